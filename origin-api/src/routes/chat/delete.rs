//! `DELETE /v1/chat/sessions/{session_id}`: removes a conversation with all that was said in it.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, path::Path},
    state::AppState,
};
use axum::{extract::State, http::StatusCode};
use shared_types::ids::ChatSessionId;

/// For the person whose it is.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<ChatSessionId>,
) -> Result<StatusCode, ApiError> {
    conversations::delete(&state.pool, &caller.0, session_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
