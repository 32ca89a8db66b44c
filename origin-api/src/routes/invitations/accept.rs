//! `POST /v1/invitations/{invitation_id}/accept`: accepts an invitation that was sent to the caller's address.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, ids::InvitationId, origin::Changed};
use storage::invitations::Chosen;

/// Answers with the teacher, and with whose scope has changed. For students.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(invitation_id): Path<InvitationId>,
) -> Result<Json<Changed>, ApiError> {
    people::only(
        &caller.0,
        Role::Student,
        "Only students accept invitations.",
    )?;
    let chosen = Chosen::Sent(invitation_id);
    Ok(Json(people::accept(&state.pool, &caller.0, chosen).await?))
}
