//! How many requests are in work at once.

use crate::{error::ApiError, requests::is_event_stream, state::AppState};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use shared_types::problem::ProblemKind;
use std::time::Duration;

/// How long a caller is asked to wait where there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Middleware: refuses a request at once where as many as may be are in work. A stream is in work until its
/// last byte has gone out or its caller has gone away, which is why `tower`'s limit does not do: it counts
/// a request until the head of its response.
pub async fn admit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Ok(permit) = state.request_permits.clone().try_acquire_owned() else {
        return ApiError::new(ProblemKind::Overloaded)
            .retry_after(Some(RETRY_AFTER))
            .into_response();
    };
    let response = next.run(request).await;
    if !is_event_stream(&response) {
        return response;
    }
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            // Owned by the stream, and given back with it.
            let _ = &permit;
            piece
        }))
    })
}
