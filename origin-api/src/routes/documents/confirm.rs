//! `POST /v1/documents/{document_id}/confirm`: says that the file has been uploaded.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    state::AppState,
    uploads,
};
use axum::{body::Bytes, extract::State, http::StatusCode};
use shared_types::{
    documents::{ConfirmDocument, Document},
    ids::DocumentId,
};

/// Answers with the document, from now on in the hands of the workers. Confirming again changes nothing
/// and answers with where the document stands. For its owner.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(document_id): Path<DocumentId>,
    body: Bytes,
) -> Result<(StatusCode, Json<Document>), ApiError> {
    let confirmed = if body.is_empty() {
        ConfirmDocument::default()
    } else {
        Json::from_bytes(&body)?.0
    };
    let document = uploads::confirm(&state, &caller.0, document_id, &confirmed).await?;
    Ok((StatusCode::ACCEPTED, Json(document)))
}
