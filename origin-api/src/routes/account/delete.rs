//! `DELETE /v1/account`: removes the caller's account and all that is the caller's.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    leaving,
    state::AppState,
};
use axum::extract::State;
use shared_types::{origin::Changed, people::DeleteAccount};

/// Answers with whose scope has changed.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Json(confirmed): Json<DeleteAccount>,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(
        leaving::delete(&state.pool, &caller.0, &confirmed).await?,
    ))
}
