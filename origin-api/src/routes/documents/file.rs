//! `GET /v1/documents/{document_id}/file`: where the file of a document lies.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    state::AppState,
    uploads,
};
use axum::extract::State;
use shared_types::{ids::DocumentId, origin::DocumentFile};

/// Answers with a file that the caller may have, for the edge to send. A document that is not confirmed, or
/// not the caller's to read, is one that does not exist.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(document_id): Path<DocumentId>,
) -> Result<Json<DocumentFile>, ApiError> {
    let file = uploads::file(&state.pool, &caller.0, document_id).await?;
    Ok(Json(file))
}
