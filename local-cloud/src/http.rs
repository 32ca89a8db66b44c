//! What several of the services say in the same way.

use crate::faults::{Faults, Target, Verdict, broken_reply};
use axum::{
    Json,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// The header that asks for patience, where there is reason for it.
pub(crate) fn retry_after(seconds: Option<u32>) -> Option<[(HeaderName, String); 1]> {
    seconds.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())])
}

/// Lets a call of one of Google's REST interfaces through, unless it is to fail or brings no token.
pub(crate) async fn admit(
    faults: &Faults,
    target: Target,
    headers: &HeaderMap,
) -> Result<(), Response> {
    match faults.call(target).await {
        Verdict::Proceed => {}
        Verdict::Refuse { status, .. } => return Err(google_refusal(status)),
        Verdict::Break(_) => return Err(broken_reply()),
    }
    if has_bearer(headers) {
        return Ok(());
    }
    Err(google_error(
        401,
        "UNAUTHENTICATED",
        "Request is missing required authentication credential.",
    ))
}

/// Whether a bearer token came along. Any will do: who holds it is the real service's business.
pub(crate) fn has_bearer(headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|token| !token.trim().is_empty())
}

/// An error as Google's REST interfaces write it.
pub(crate) fn google_error(code: u16, status: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message, "status": status } });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, Json(body)).into_response()
}

/// A refusal on demand, as Google's REST interfaces write it.
fn google_refusal(status: StatusCode) -> Response {
    let name = match status.as_u16() {
        403 => "PERMISSION_DENIED",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        _ => "UNAVAILABLE",
    };
    google_error(status.as_u16(), name, "Refused on demand.")
}
