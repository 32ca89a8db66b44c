//! `POST /v1/documents/{document_id}/reprocess`: reads a document's file once more.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    library,
    state::AppState,
};
use axum::{extract::State, http::StatusCode};
use shared_types::{documents::Document, ids::DocumentId};

/// Answers with the document, in the hands of the workers again. For its owner, and for a document that is ready or has
/// failed.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(document_id): Path<DocumentId>,
) -> Result<(StatusCode, Json<Document>), ApiError> {
    let document = library::retry(&state, &caller.0, document_id).await?;
    Ok((StatusCode::ACCEPTED, Json(document)))
}
