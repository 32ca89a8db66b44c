//! `POST /v1/chat/sessions/{session_id}/messages`: a question in a conversation, before it is answered.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    requests::RequestContext,
    state::AppState,
};
use axum::{Extension, extract::State};
use shared_types::{
    conversation::{Ask, Turn},
    ids::ChatSessionId,
};

/// Answers with its place and with the question that is to be answered. For the person whose conversation it is.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(session_id): Path<ChatSessionId>,
    Json(ask): Json<Ask>,
) -> Result<Json<Turn>, ApiError> {
    let turn = conversations::ask(&state, &context, &caller.0, session_id, &ask).await?;
    Ok(Json(turn))
}
