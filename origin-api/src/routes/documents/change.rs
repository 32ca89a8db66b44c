//! `PATCH /v1/documents/{document_id}`: another title, or other readers.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    library,
    state::AppState,
};
use axum::extract::State;
use shared_types::{documents::ChangeDocument, ids::DocumentId, origin::Changed};

/// Answers with the document as it is now, and with those whose scope has changed. For its owner.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(document_id): Path<DocumentId>,
    Json(change): Json<ChangeDocument>,
) -> Result<Json<Changed>, ApiError> {
    let changed = library::change(&state.pool, &caller.0, document_id, change).await?;
    Ok(Json(changed))
}
