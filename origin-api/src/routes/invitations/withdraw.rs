//! `DELETE /v1/invitations/{invitation_id}`: takes an invitation back, or declines it.

use crate::{
    error::ApiError,
    extract::{claims::Caller, path::Path},
    people,
    state::AppState,
};
use axum::{extract::State, http::StatusCode};
use shared_types::ids::InvitationId;

/// For the teacher who sent it, and the student to whose address it was sent.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(invitation_id): Path<InvitationId>,
) -> Result<StatusCode, ApiError> {
    people::withdraw(&state.pool, &caller.0, invitation_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
