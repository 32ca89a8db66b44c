//! `POST /v1/documents`: announces an upload.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    state::AppState,
    uploads,
};
use axum::{extract::State, http::StatusCode};
use rag_core::access::may_upload;
use shared_types::{
    documents::{CreateDocument, CreatedDocument},
    problem::ProblemKind,
};

/// Answers with the document and the URL that takes its file. For teachers and admins.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Json(announced): Json<CreateDocument>,
) -> Result<(StatusCode, Json<CreatedDocument>), ApiError> {
    if !may_upload(caller.role()) {
        return Err(ApiError::refused(
            ProblemKind::Forbidden,
            "Only teachers add documents.",
        ));
    }
    let created = uploads::announce(&state, &caller.0, announced).await?;
    Ok((StatusCode::CREATED, Json(created)))
}
