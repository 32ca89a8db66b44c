//! `DELETE /v1/documents/{document_id}`: takes a document out of the library.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    library,
    state::AppState,
};
use axum::extract::State;
use shared_types::{ids::DocumentId, origin::Changed};

/// Answers with the document as it was, and with those whose scope has changed. For its owner and for admins.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(document_id): Path<DocumentId>,
) -> Result<Json<Changed>, ApiError> {
    let deleted = library::delete(&state.pool, &caller.0, document_id).await?;
    Ok(Json(deleted))
}
