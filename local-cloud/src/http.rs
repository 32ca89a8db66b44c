//! What several of the services say by HTTP headers.

use axum::http::{HeaderMap, HeaderName, header};

/// The header that asks for patience, where there is reason for it.
pub(crate) fn retry_after(seconds: Option<u32>) -> Option<[(HeaderName, String); 1]> {
    seconds.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())])
}

/// Whether a bearer token came along. Any will do: who holds it is the real service's business.
pub(crate) fn has_bearer(headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|token| !token.trim().is_empty())
}
