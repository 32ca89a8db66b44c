//! `GET /v1/chat/sessions/{session_id}/messages`: what was asked and answered in a conversation.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part, path::Path},
    state::AppState,
};
use axum::extract::State;
use shared_types::{conversation::MessageList, ids::ChatSessionId};

/// Answers with the messages, the last one first, [`storage::conversations::MESSAGE_LIST_LIMIT`] at most. For the person
/// whose conversation it is.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<ChatSessionId>,
    part: Part,
) -> Result<Json<MessageList>, ApiError> {
    let messages = conversations::messages(&state.pool, &caller.0, session_id, part).await?;
    Ok(Json(messages))
}
