//! `POST /v1/chat/sessions`: begins a conversation.

use crate::{
    conversations,
    error::ApiError,
    extract::{claims::Caller, json::Json},
    state::AppState,
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use shared_types::conversation::CreateSession;

/// Answers with the conversation.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Json(wanted): Json<CreateSession>,
) -> Result<impl IntoResponse, ApiError> {
    let session = conversations::create(&state.pool, &caller.0, wanted).await?;
    let location = [(
        header::LOCATION,
        format!("/v1/chat/sessions/{}", session.id),
    )];
    Ok((StatusCode::CREATED, location, Json(session)))
}
