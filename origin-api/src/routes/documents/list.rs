//! `GET /v1/documents`: the caller's own documents.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    state::AppState,
    uploads,
};
use axum::extract::State;
use shared_types::documents::DocumentList;

/// Answers with the caller's own documents, newest first.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<DocumentList>, ApiError> {
    let documents = uploads::own_documents(&state.pool, &caller.0).await?;
    Ok(Json(DocumentList { documents }))
}
