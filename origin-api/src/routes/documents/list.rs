//! `GET /v1/documents`: the caller's own documents.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    state::AppState,
    uploads,
};
use axum::extract::State;
use shared_types::documents::DocumentList;

/// Answers with the caller's own documents, newest first.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<DocumentList>, ApiError> {
    let listed = uploads::own_documents(&state.pool, &caller.0, part.behind, part.limit).await?;
    Ok(Json(DocumentList {
        documents: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}
