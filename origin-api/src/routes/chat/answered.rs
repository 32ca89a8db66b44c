//! `PUT /v1/chat/messages/{message_id}/answer`: what a question in a conversation was answered with.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    state::AppState,
};
use axum::{extract::State, http::StatusCode};
use shared_types::{conversation::Answered, ids::MessageId};

/// The largest body: the longest answer that a relay passes on, with the places of its citations.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Keeps the answer, once; that it was told, the edge knows. For the person who asked.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(message_id): Path<MessageId>,
    Json(answered): Json<Answered>,
) -> Result<StatusCode, ApiError> {
    conversations::answered(&state.pool, &caller.0, message_id, &answered).await?;
    Ok(StatusCode::NO_CONTENT)
}
