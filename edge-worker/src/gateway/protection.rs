//! What every request keeps to, and what every reply says to browsers: who may read it, and how it must be
//! treated.

use crate::gateway::{
    exchange::{IncomingHeaders, Reply, empty},
    headers::ReplyHeaders,
};
use http::StatusCode;
use shared_types::{
    headers::EDGE_TOKEN,
    problem::{Problem, ProblemKind},
};

const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "authorization, content-type, if-match, if-modified-since, \
    if-none-match, if-range, if-unmodified-since, last-event-id, range, traceparent, x-csrf-token";
const EXPOSED_HEADERS: &str = "accept-ranges, content-disposition, content-range, etag, location, \
    retry-after, server-timing, x-csrf-token, x-request-id";
const PREFLIGHT_LIFE_S: &str = "7200";
/// The longest header of each kind that is read, in bytes; tokens have a limit of their own
/// ([`rag_core::token::MAX_TOKEN_BYTES`]). The runtime bounds them all together.
pub const MAX_HEADER_BYTES: usize = 1_024;
/// The longest `Cookie`, which holds those of other applications of the domain as well.
pub const MAX_COOKIE_BYTES: usize = 16 * 1_024;

/// Refuses headers that nobody sends in earnest, before anything is compared with them.
pub fn check_sizes(headers: &IncomingHeaders) -> Result<(), Problem> {
    let bounded = [
        ("Accept", &headers.accept, MAX_HEADER_BYTES),
        ("Cookie", &headers.cookie, MAX_COOKIE_BYTES),
        ("Origin", &headers.origin, MAX_HEADER_BYTES),
        (EDGE_TOKEN, &headers.edge_token, MAX_HEADER_BYTES),
        ("Last-Event-ID", &headers.last_event_id, MAX_HEADER_BYTES),
        ("Range", &headers.selection.range, MAX_HEADER_BYTES),
        ("If-Range", &headers.selection.if_range, MAX_HEADER_BYTES),
        ("If-Match", &headers.selection.if_match, MAX_HEADER_BYTES),
        (
            "If-None-Match",
            &headers.selection.if_none_match,
            MAX_HEADER_BYTES,
        ),
        (
            "If-Modified-Since",
            &headers.selection.if_modified_since,
            MAX_HEADER_BYTES,
        ),
        (
            "If-Unmodified-Since",
            &headers.selection.if_unmodified_since,
            MAX_HEADER_BYTES,
        ),
    ];
    for (name, value, limit) in bounded {
        if value.as_ref().is_some_and(|value| value.len() > limit) {
            let detail = format!("{name} has at most {limit} bytes.");
            return Err(Problem::new(ProblemKind::HeadersTooLarge).with_detail(detail));
        }
    }
    Ok(())
}

/// The headers of every reply.
pub const PROTECTION_HEADERS: [(&str, &str); 7] = [
    // Replies are personal, and our own caches are keyed by what their reader may see.
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    (
        "strict-transport-security",
        "max-age=63072000; includeSubDomains",
    ),
    // A reply differs by origin, whether or not this one is allowed.
    ("vary", "Origin"),
    ("x-content-type-options", "nosniff"),
];

/// The answer to a preflight request. One from a foreign origin gets no permission.
#[must_use]
pub fn preflight(origin: Option<&str>, allowed: &[String]) -> Reply {
    let mut reply = empty(StatusCode::NO_CONTENT);
    if is_allowed(origin, allowed) {
        let headers = &mut reply.headers;
        headers.set("access-control-allow-methods", METHODS);
        headers.set("access-control-allow-headers", REQUEST_HEADERS);
        headers.set("access-control-max-age", PREFLIGHT_LIFE_S);
    }
    reply
}

/// Adds the CORS headers for a request from `origin`, and the security headers, save those that the
/// endpoint has set itself.
pub fn protect(headers: &mut ReplyHeaders, origin: Option<&str>, allowed: &[String]) {
    if let Some(origin) = origin.filter(|_| is_allowed(origin, allowed)) {
        headers.set("access-control-allow-origin", origin.to_owned());
        headers.set("access-control-allow-credentials", "true");
        headers.set("access-control-expose-headers", EXPOSED_HEADERS);
        headers.set("timing-allow-origin", origin.to_owned());
    }
    for (name, value) in PROTECTION_HEADERS {
        if headers.get(name).is_none() {
            headers.set(name, value);
        }
    }
}

fn is_allowed(origin: Option<&str>, allowed: &[String]) -> bool {
    origin.is_some_and(|origin| allowed.iter().any(|candidate| candidate == origin))
}
