//! `GET /v1/documents/{document_id}/events`: a document of the caller on its way, told live.

use crate::{
    error::ApiError,
    extract::{claims::Caller, path::Path},
    progress,
    requests::RequestContext,
    state::AppState,
    uploads,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, sse::KeepAlive, sse::Sse},
};
use shared_types::ids::DocumentId;

/// Answers with events as they come. For the document's owner.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(document_id): Path<DocumentId>,
) -> Result<impl IntoResponse, ApiError> {
    let document = uploads::own_document(&state.pool, &caller.0, document_id).await?;
    let events = progress::watch(state, caller.0, context.request_id, document)?;
    // A comment every 15 seconds keeps proxies open.
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
