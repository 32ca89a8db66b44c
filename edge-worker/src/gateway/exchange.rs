//! A request as the gateway sees it, and its reply, independent of the host.

use crate::{
    config::EdgeConfig,
    gateway::{
        csrf::CookieCall, files::selection::Selection, headers::ReplyHeaders, memory::Memory,
        timing::Timings,
    },
    ports::{ByteStream, FileBody, Host, PortError, Severity},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared_types::{
    ids::RequestId,
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    trace::TraceParent,
};
use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
};

/// The media type of most bodies.
pub const JSON: &str = "application/json";

/// The headers that the gateway reads. Fields rather than a map: each costs a call out of wasm.
#[derive(Clone, Debug, Default)]
pub struct IncomingHeaders {
    /// `Accept`.
    pub accept: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Cookie`, where there is no `Authorization`.
    pub cookie: Option<String>,
    /// [`shared_types::headers::CSRF_TOKEN`], beside a cookie on what changes something.
    pub csrf_token: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// Scheme, host and port that the request was sent to, on what changes something without
    /// `Authorization`. From the URL.
    pub own_origin: Option<String>,
    /// [`shared_types::headers::EDGE_TOKEN`].
    pub edge_token: Option<String>,
    /// `Last-Event-ID`, of a question.
    pub last_event_id: Option<String>,
    /// `traceparent`.
    pub traceparent: Option<String>,
    /// `CF-Connecting-IP`: written by Cloudflare, so it can be relied on.
    pub client_address: Option<String>,
    /// `Content-Length`, where it is a number.
    pub content_length: Option<usize>,
    /// What of a file is wanted; read for files alone.
    pub selection: Selection,
}

/// A request.
pub struct Incoming {
    /// The method.
    pub method: Method,
    /// The path, without query.
    pub path: String,
    /// The query, without its question mark; empty where there is none.
    pub query: String,
    /// The headers.
    pub headers: IncomingHeaders,
    /// The body, not read yet.
    pub body: ByteStream,
}

/// What a reply carries.
pub enum ReplyBody {
    /// Nothing.
    Empty,
    /// Bytes, at once.
    Whole(Bytes),
    /// Bytes as they come. The stream can't fail: whatever goes wrong is part of what it says.
    Stream(futures_util::stream::LocalBoxStream<'static, Bytes>),
    /// Bytes of a file, which the host itself passes on.
    File(FileBody),
}

/// A reply.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: ReplyHeaders,
    /// What it carries.
    pub body: ReplyBody,
}

/// One request's surroundings.
pub struct Exchange<H> {
    /// The outside world.
    pub host: Rc<H>,
    /// The configuration.
    pub config: Rc<EdgeConfig>,
    /// What the isolate has read of late.
    pub memory: Rc<Memory>,
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that the request belongs to; this request is its latest span.
    pub trace: TraceParent,
    /// When it came.
    pub started: DateTime<Utc>,
    /// When the caller has waited long enough: no stage goes on beyond it.
    pub deadline: DateTime<Utc>,
    /// The cookies that came in place of a bearer token.
    pub cookies: Option<CookieCall>,
    /// How long each stage took.
    pub timings: Timings,
    /// Whether something of ours failed on the way, for the completion line.
    pub degraded: Cell<bool>,
    /// What a flow adds to the completion line.
    pub notes: RefCell<Vec<(&'static str, Value)>>,
}

impl<H: Host> Exchange<H> {
    /// Waits for `work`, but for `limit_ms` at most, and not beyond the deadline.
    pub async fn within<T>(
        &self,
        limit_ms: u32,
        work: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let left = self.deadline - self.host.now();
        let left_ms = u32::try_from(left.num_milliseconds()).unwrap_or_default();
        let limit_ms = limit_ms.min(left_ms);
        let limit = pin!(self.host.sleep(limit_ms));
        match select(pin!(work), limit).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(PortError::TimedOut(limit_ms)),
        }
    }

    /// Waits for one stage and notes how long it took.
    pub async fn stage<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let started = self.host.now();
        let result = work.await;
        let took = self.host.now() - started;
        self.timings.add(name, started - self.started, took);
        result
    }

    /// Logs that something outside failed.
    pub fn warn(&self, message: &str, error: &PortError) {
        self.degraded.set(true);
        self.host.log(
            Severity::Warning,
            message,
            &[
                ("request_id", self.request_id.to_string().into()),
                ("error", error.to_string().into()),
            ],
        );
    }

    /// Logs a failure and turns it into what the caller is told.
    pub fn fail(&self, kind: ProblemKind, message: &str, error: &PortError) -> Problem {
        self.warn(message, error);
        Problem::new(kind)
    }
}

/// Reads a body of at most `limit` bytes. One that comes in a single piece is not copied.
pub async fn read_body(mut body: ByteStream, limit: usize) -> Result<Bytes, ReadError> {
    let mut pieces = Vec::new();
    let mut length = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(ReadError::Broken)?;
        length += piece.len();
        if length > limit {
            return Err(ReadError::TooLarge);
        }
        pieces.push(piece);
    }
    Ok(match &*pieces {
        [whole] => whole.clone(),
        pieces => pieces.concat().into(),
    })
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Above the limit.
    #[error("the body is too large")]
    TooLarge,
    /// The connection broke.
    #[error("the body broke off")]
    Broken(#[source] PortError),
}

impl Incoming {
    /// Reads the body as JSON of at most `limit` bytes.
    pub async fn json<H: Host, T: DeserializeOwned>(
        self,
        exchange: &Exchange<H>,
        limit: usize,
    ) -> Result<T, Problem> {
        parse(&self.bytes(exchange, limit).await?)
    }

    /// The same, where an empty body stands for `T`'s default.
    pub async fn json_or_default<H: Host, T: DeserializeOwned + Default>(
        self,
        exchange: &Exchange<H>,
        limit: usize,
    ) -> Result<T, Problem> {
        let bytes = self.bytes(exchange, limit).await?;
        if bytes.is_empty() {
            return Ok(T::default());
        }
        parse(&bytes)
    }

    /// Reads the body, of at most `limit` bytes.
    pub async fn bytes<H: Host>(
        self,
        exchange: &Exchange<H>,
        limit: usize,
    ) -> Result<Bytes, Problem> {
        if self
            .headers
            .content_length
            .is_some_and(|length| length > limit)
        {
            return Err(too_large(limit));
        }
        let reading = async { Ok(read_body(self.body, limit).await) };
        match exchange
            .within(exchange.config.timeouts.body_ms, reading)
            .await
        {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(ReadError::TooLarge)) => Err(too_large(limit)),
            Ok(Err(ReadError::Broken(_))) => Err(Problem::new(ProblemKind::BodyInvalid)),
            Err(_) => Err(Problem::new(ProblemKind::BodyTooSlow)),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // The reader's message says where and what, and quotes at most the offending field name.
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(ProblemKind::BodyInvalid).with_detail(error.to_string()))
}

fn too_large(limit: usize) -> Problem {
    Problem::new(ProblemKind::BodyTooLarge).with_detail(format!("At most {limit} bytes."))
}

/// A reply without body.
#[must_use]
pub fn empty(status: StatusCode) -> Reply {
    Reply {
        status,
        headers: ReplyHeaders::default(),
        body: ReplyBody::Empty,
    }
}

/// A reply with a body of a type.
#[must_use]
pub fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = empty(status);
    reply.headers.set("content-type", content_type);
    reply.body = ReplyBody::Whole(body.into());
    reply
}

/// A JSON reply.
#[must_use]
pub fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    // Our own wire types have string keys and finite numbers: they always serialise.
    whole(status, JSON, serde_json::to_vec(value).unwrap_or_default())
}

/// A problem as a reply.
#[must_use]
pub fn refusal(problem: &Problem) -> Reply {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = json(status, problem);
    reply.headers.set("content-type", PROBLEM_JSON);
    if let Some(seconds) = problem.retry_after_s {
        reply.headers.set("retry-after", seconds.to_string());
    }
    reply
}

/// A millisecond count as a JSON number for logs, to a tenth.
#[must_use]
pub fn log_ms(duration: chrono::TimeDelta) -> Value {
    let tenths = duration.num_microseconds().unwrap_or(i64::MAX) / 100;
    (tenths as f64 / 10.0).into()
}
