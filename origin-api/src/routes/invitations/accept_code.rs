//! `POST /v1/invitations/accept`: accepts an invitation by its code.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, origin::Changed, people::AcceptCode};

/// Answers with the teacher, and with whose scope has changed. For students.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Json(accepted): Json<AcceptCode>,
) -> Result<Json<Changed>, ApiError> {
    people::only(
        &caller.0,
        Role::Student,
        "Only students accept invitations.",
    )?;
    let changed = people::accept_code(&state.pool, &caller.0, &accepted.code).await?;
    Ok(Json(changed))
}
