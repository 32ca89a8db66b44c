//! `GET /v1/chat/sessions`: the caller's conversations.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    state::AppState,
};
use axum::extract::State;
use shared_types::conversation::SessionList;

/// Answers with them, the one last asked in first.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<SessionList>, ApiError> {
    Ok(Json(
        conversations::list(&state.pool, &caller.0, part).await?,
    ))
}
