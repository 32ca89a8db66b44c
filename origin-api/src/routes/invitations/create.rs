//! `POST /v1/invitations`: invites somebody to become the caller's student.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    people,
    state::AppState,
};
use axum::{extract::State, http::StatusCode};
use shared_types::{
    claims::Role,
    people::{CreatedInvitation, Invite},
};

/// Answers with the invitation and, where it is to no address, its code. For teachers.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Json(invite): Json<Invite>,
) -> Result<(StatusCode, Json<CreatedInvitation>), ApiError> {
    people::only(&caller.0, Role::Teacher, "Only teachers invite.")?;
    let created = people::invite(&state.pool, &caller.0, invite).await?;
    Ok((StatusCode::CREATED, Json(created)))
}
