//! `POST /v1/chat/messages/{message_id}/feedback`: what the person who asked says of the answer.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    feedback,
    state::AppState,
};
use axum::{extract::State, http::StatusCode};
use shared_types::{feedback::Feedback, ids::MessageId};

/// Keeps it in place of what was said before. For the person who asked.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(message_id): Path<MessageId>,
    Json(given): Json<Feedback>,
) -> Result<StatusCode, ApiError> {
    feedback::give(&state.pool, &caller.0, message_id, given).await?;
    Ok(StatusCode::NO_CONTENT)
}
