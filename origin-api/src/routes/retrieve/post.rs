//! `POST /v1/retrieve`: the passages nearest to a question among those that the caller may read.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    requests::RequestContext,
    retrieval,
    state::AppState,
};
use axum::{
    Extension,
    extract::State,
    response::{AppendHeaders, IntoResponse},
};
use shared_types::{headers::SERVER_TIMING, origin::RetrieveRequest};

/// Answers with at most [`shared_types::origin::RETRIEVE_LIMIT`] passages, best first, and with the time
/// that the database took.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Json(request): Json<RetrieveRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let found = retrieval::retrieve(&state, &context, &caller.0, request).await?;
    let timing = format!("sql;dur={:.1}", found.sql.as_secs_f64() * 1e3);
    Ok((
        AppendHeaders([(SERVER_TIMING, timing)]),
        Json(found.response),
    ))
}
