//! Names of the headers that our own processes exchange.

/// The shared secret by which the edge proves itself to the origin, and the origin's side to the edge.
pub const EDGE_TOKEN: &str = "x-etude-edge-token";
/// The request id, made at the edge, echoed by everybody, present in every log line.
pub const REQUEST_ID: &str = "x-request-id";
/// Which trace a call belongs to ([`crate::trace`]).
pub const TRACEPARENT: &str = "traceparent";
/// Stages and their durations (<https://www.w3.org/TR/server-timing/>), durations in milliseconds.
pub const SERVER_TIMING: &str = "server-timing";
/// Proof that a page of ours sends a request with a session cookie; replies that begin or name such a
/// session carry it too.
pub const CSRF_TOKEN: &str = "x-csrf-token";
