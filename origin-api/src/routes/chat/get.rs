//! `GET /v1/chat/sessions/{session_id}`: a conversation.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    state::AppState,
};
use axum::extract::State;
use shared_types::{conversation::ChatSession, ids::ChatSessionId};

/// For the person whose it is.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<ChatSessionId>,
) -> Result<Json<ChatSession>, ApiError> {
    let session = conversations::get(&state.pool, &caller.0, session_id).await?;
    Ok(Json(session))
}
