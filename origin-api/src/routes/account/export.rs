//! `GET /v1/account/export`: all that is the caller's, in one archive.

use crate::{error::ApiError, extract::claims::Caller, leaving, state::AppState};
use axum::{extract::State, response::Response};

/// Answers with a ZIP archive, as it is made.
pub async fn handler(State(state): State<AppState>, caller: Caller) -> Result<Response, ApiError> {
    leaving::export(&state, &caller.0).await
}
