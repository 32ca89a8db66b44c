//! What the gateway needs from its host. In production the host is workerd (`cloudflare`, a module
//! of WebAssembly alone); in tests it is memory. Futures are not `Send`: an isolate has one thread.

#![expect(
    async_fn_in_trait,
    reason = "every host is single-threaded, so no caller needs a Send bound"
)]

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{future::LocalBoxFuture, stream::LocalBoxStream};
use http::Method;
use rag_core::{jwks::Jwk, token::UnverifiedToken};
use serde_json::Value;
use shared_types::{
    embedding::Embedding, ids::RequestId, trace::TraceParent, workers_ai::RerankScore,
};
use thiserror::Error;

/// Why something outside did not do what it was asked. For the log; callers are never shown it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PortError {
    /// No answer within so many milliseconds.
    #[error("no answer within {0} ms")]
    TimedOut(u32),
    /// It failed; the host's own words.
    #[error("{0}")]
    Failed(String),
}

/// A cache namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Scope version by person.
    Scope,
    /// Reranked passages by scope and query.
    Search,
    /// Embedding by query.
    Embedding,
    /// Answer by query and passages.
    Answer,
    /// The sign-in service's public keys. No namespace of its own: it is a single value.
    Keys,
}

/// A key-value store per [`Layer`]. Eventually consistent; may lose anything at any time.
pub trait Cache {
    /// The bytes under a key, `None` where there are none.
    async fn get(&self, layer: Layer, key: &str) -> Result<Option<Vec<u8>>, PortError>;
    /// Keeps bytes for `ttl_s` seconds, at least 60.
    async fn put(
        &self,
        layer: Layer,
        key: &str,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> Result<(), PortError>;
    /// Forgets a key.
    async fn delete(&self, layer: Layer, key: &str) -> Result<(), PortError>;
}

/// The embedding model.
pub trait Embedder {
    /// The embedding of one normalised query.
    async fn embed(&self, query: &str) -> Result<Embedding, PortError>;
}

/// The reranking model.
pub trait Reranker {
    /// Judges texts against a query and returns the best `top`, with the model's raw scores.
    async fn rerank(
        &self,
        query: &str,
        texts: &[&str],
        top: usize,
    ) -> Result<Vec<RerankScore>, PortError>;
}

/// A body as it arrives. An error ends it.
pub type ByteStream = LocalBoxStream<'static, Result<Bytes, PortError>>;

/// A request to the origin.
#[derive(Clone, Debug)]
pub struct OriginCall<'a> {
    /// The method.
    pub method: Method,
    /// Path with leading slash, escaped.
    pub path: &'a str,
    /// The caller's `Authorization` header, passed on as it came.
    pub authorization: Option<&'a str>,
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that it belongs to.
    pub trace: TraceParent,
    /// The wanted media type.
    pub accept: &'static str,
    /// A JSON body.
    pub body: Option<Vec<u8>>,
}

/// A reply from outside: its head, and its body yet to come.
pub struct Upstream {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Server-Timing`.
    pub server_timing: Option<String>,
    /// The body.
    pub body: ByteStream,
}

/// The origin API.
pub trait Origin {
    /// Calls it with the edge's own token; resolves when the head of the reply is there.
    /// Dropping the future or the body ends the connection.
    async fn call(&self, call: OriginCall<'_>) -> Result<Upstream, PortError>;

    /// The same, for a reply that goes on to the caller as it comes.
    async fn pass(&self, call: OriginCall<'_>) -> Result<Passing, PortError>;
}

/// A reply that was to be passed on.
pub enum Passing {
    /// It is.
    On {
        /// `Content-Type`.
        content_type: Option<String>,
        /// The body.
        body: FileBody,
    },
    /// It is not of status 200, so it is read.
    Instead(Upstream),
}

/// A part of a file: never empty, and never beyond its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Bytes on their way from the store, or the origin, to the reader. They never come into our memory: in
/// production this is the runtime's own stream.
#[cfg(target_arch = "wasm32")]
pub type FileBody = web_sys::ReadableStream;
/// Bytes on their way from the store, or the origin, to the reader.
#[cfg(not(target_arch = "wasm32"))]
pub type FileBody = LocalBoxStream<'static, Bytes>;

/// How much of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its length alone.
    Head,
    /// All of it.
    Whole,
    /// A part of it.
    Part(Part),
}

/// A file in the store.
pub struct StoredFile {
    /// Length of the whole file.
    pub size_bytes: u64,
    /// The bytes that are wanted; none of a head. Dropping them ends the reading.
    pub body: Option<FileBody>,
}

/// The library bucket.
pub trait FileStore {
    /// Opens a file; `None` where there is no such file.
    async fn open(&self, key: &str, reading: Reading) -> Result<Option<StoredFile>, PortError>;
}

/// A request to Supabase Auth.
#[derive(Clone, Debug)]
pub struct AuthCall<'a> {
    /// The method.
    pub method: Method,
    /// Path and query below `/auth/v1`.
    pub path: &'a str,
    /// The caller's `Authorization` header.
    pub authorization: Option<&'a str>,
    /// A JSON body.
    pub body: Option<Vec<u8>>,
}

/// The sign-in service.
pub trait AuthProvider {
    /// Calls it with the project's public API key.
    async fn call_auth(&self, call: AuthCall<'_>) -> Result<Upstream, PortError>;
}

/// Public-key cryptography of the host.
pub trait SignatureVerifier {
    /// Whether the token was signed with this key. The key's algorithm is already known to be the token's.
    async fn verify(&self, key: &Jwk, token: &UnverifiedToken<'_>) -> Result<bool, PortError>;
}

/// Which allowance a request is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allowance {
    /// One signed-in person's.
    User,
    /// One address's.
    Address,
}

/// Counters of requests, per location and permissive by design.
pub trait RateLimiter {
    /// Counts one request; whether it is within the allowance.
    async fn allow(&self, allowance: Allowance, key: &str) -> Result<bool, PortError>;
}

/// Time. Workers see it move only across I/O.
pub trait Clock {
    /// The wall clock.
    fn now(&self) -> DateTime<Utc>;
    /// Resolves after so many milliseconds.
    async fn sleep(&self, duration_ms: u32);
}

/// Dates as HTTP writes them, in whole seconds since 1970.
pub trait HttpDates {
    /// The date of a header, `None` where it is none.
    fn read_date(&self, text: &str) -> Option<i64>;
    /// A date for a header.
    fn write_date(&self, seconds: i64) -> String;
}

/// Work that must not hold up a response.
pub trait Background {
    /// Runs the future to its end, also after the response is out.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Info,
    /// Something was degraded.
    Warning,
    /// Somebody was refused service by our fault.
    Error,
}

/// The structured log.
pub trait Log {
    /// Writes a line: a message that reads alone, and fields to query by.
    fn log(&self, severity: Severity, message: &str, fields: &[(&str, Value)]);
}

/// Everything together.
pub trait Host:
    Cache
    + Embedder
    + Reranker
    + Origin
    + FileStore
    + AuthProvider
    + SignatureVerifier
    + RateLimiter
    + Clock
    + HttpDates
    + Background
    + Log
    + 'static
{
}

impl<T> Host for T where
    T: Cache
        + Embedder
        + Reranker
        + Origin
        + FileStore
        + AuthProvider
        + SignatureVerifier
        + RateLimiter
        + Clock
        + HttpDates
        + Background
        + Log
        + 'static
{
}
