//! `GET /v1/documents`: the caller's own documents.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, query::Query},
    state::AppState,
    uploads,
};
use axum::extract::State;
use serde::Deserialize;
use shared_types::{documents::DocumentList, problem::ProblemKind};
use storage::documents::LIST_LIMIT;

/// Which part of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// From 1 to [`LIST_LIMIT`].
    limit: Option<u32>,
    /// [`DocumentList::next_cursor`] of the part before.
    cursor: Option<String>,
}

/// Answers with the caller's own documents, newest first.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Query(part): Query<Part>,
) -> Result<Json<DocumentList>, ApiError> {
    let refused = |detail: String| ApiError::refused(ProblemKind::ParametersInvalid, detail);
    let limit = part.limit.unwrap_or(LIST_LIMIT);
    if !(1..=LIST_LIMIT).contains(&limit) {
        return Err(refused(format!("A limit is from 1 to {LIST_LIMIT}.")));
    }
    let behind = part.cursor.map(|text| text.parse()).transpose();
    let behind = behind
        .map_err(|_| refused("A cursor is what `next_cursor` said, unchanged.".to_owned()))?;
    let listed = uploads::own_documents(&state.pool, &caller.0, behind, limit).await?;
    Ok(Json(DocumentList {
        documents: listed.documents,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}
