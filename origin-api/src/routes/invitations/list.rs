//! `GET /v1/invitations`: those that are open.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::people::InvitationList;

/// Answers with what a teacher sent, or a student was sent, newest first.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<InvitationList>, ApiError> {
    Ok(Json(
        people::invitations(&state.pool, &caller.0, part).await?,
    ))
}
