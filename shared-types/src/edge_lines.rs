//! `POST /v1/edge-lines`: what the edge's tail Worker passes on of each invocation of the edge.

use crate::{
    chat::{CacheReport, Degradation},
    ids::RequestId,
};
use serde::{Deserialize, Serialize};

/// The largest body, in bytes.
pub const MAX_EDGE_LINES_BYTES: usize = 1024 * 1024;
/// The most invocations in one.
pub const MAX_INVOCATIONS: usize = 500;

/// Invocations that have ended, in any order.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct EdgeLines {
    /// At most [`MAX_INVOCATIONS`].
    pub invocations: Vec<Invocation>,
}

/// One invocation of the edge.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Invocation {
    /// How the runtime ended it: `ok`, `exception`, `exceededCpu`, …
    #[serde(default)]
    pub outcome: String,
    /// When its completion line was written, in milliseconds since 1970; absent where there is none.
    #[serde(default)]
    pub at_ms: Option<u64>,
    /// Its completion line. What is not readable as a [`CompletionLine`] costs nothing but itself.
    #[serde(default)]
    pub line: Option<serde_json::Value>,
}

/// The completion line of one request, as far as it is made into metrics and spans.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct CompletionLine {
    /// The request.
    pub request_id: RequestId,
    /// Its trace, 32 lower-case hex digits.
    pub trace_id: String,
    /// The `traceparent` that the caller sent, where it began the trace.
    #[serde(default)]
    pub parent: Option<String>,
    /// The method.
    pub method: String,
    /// The template of the path.
    pub route: String,
    /// The status.
    pub status: u16,
    /// To the head of the reply.
    pub duration_ms: f64,
    /// Stages as in `Server-Timing`, each with `at`, the milliseconds since the request came.
    #[serde(default)]
    pub stages: String,
    /// Of a question: what each layer of caches gave.
    #[serde(default)]
    pub cache: Option<CacheReport>,
    /// Of a document's file: how much of it the reply holds.
    #[serde(default)]
    pub file_bytes: Option<u64>,
    /// Of a question: what failed on the way.
    #[serde(default)]
    pub degradations: Vec<Degradation>,
}
