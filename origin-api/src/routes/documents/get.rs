//! `GET /v1/documents/{document_id}`: where a document stands.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    state::AppState,
    uploads,
};
use axum::extract::State;
use shared_types::{documents::Document, ids::DocumentId};

/// Answers with one of the caller's own documents.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(document_id): Path<DocumentId>,
) -> Result<Json<Document>, ApiError> {
    let document = uploads::own_document(&state.pool, &caller.0, document_id).await?;
    Ok(Json(document))
}
