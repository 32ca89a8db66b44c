//! What is told of each request: its span, its one completion line, and its place among the counts.
//!
//! None of them ever holds a body, a token, an e-mail address or a question.

use crate::{
    error::{Failure, problem_response},
    flight::Part,
    host,
    metrics::{Counted, metrics},
    state::AppState,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::{Stream, StreamExt};
use shared_types::{
    event::EVENT_STREAM,
    headers::{REQUEST_ID, TRACEPARENT},
    ids::{RequestId, UserId},
};
use std::{
    str::FromStr,
    sync::{Arc, LazyLock, OnceLock},
};
use telemetry::traces;
use tokio::time::Instant;
use tracing::{Instrument, Span, field::Empty};

/// Of a caller who left before there was an answer: nobody's fault of ours. As nginx has it.
static LEFT: LazyLock<StatusCode> =
    LazyLock::new(|| StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST));

/// What is known of the request in hand; an extension of it.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// From the edge's `x-request-id`, or drawn here.
    pub request_id: RequestId,
    user_id: Arc<OnceLock<UserId>>,
    flight: Arc<OnceLock<Part>>,
}

impl RequestContext {
    /// A request of which nothing but its name is known.
    #[must_use]
    pub fn new(request_id: RequestId) -> Self {
        Self {
            request_id,
            user_id: Arc::default(),
            flight: Arc::default(),
        }
    }

    /// Remembers who asks, once the token has been verified.
    pub fn identify(&self, user_id: UserId) {
        // A second identification of one request is the same person's.
        let _ = self.user_id.set(user_id);
    }

    /// Remembers whether the request led or joined the work that it was answered from.
    pub(crate) fn boarded(&self, part: Part) {
        // A request boards once.
        let _ = self.flight.set(part);
    }
}

/// Middleware around every route: names the request, answers with its name, and writes its completion line
/// when the last byte of the reply has gone out or the caller has gone away.
pub async fn complete(mut request: Request, next: Next) -> Response {
    let request_id: RequestId =
        sent(&request, REQUEST_ID).unwrap_or_else(|| RequestId(host::new_id()));
    let context = RequestContext::new(request_id);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = span_of(&request, request_id, &route);
    let mut line = CompletionLine {
        context: context.clone(),
        method,
        route,
        start: Instant::now(),
        status: None,
        failure: None,
        whole: false,
        span: span.clone(),
        _counted: metrics().request(),
    };
    let name = HeaderValue::try_from(context.request_id.to_string());
    request.extensions_mut().insert(context);

    let mut response = next.run(request).instrument(span).await;
    line.failure = response.extensions_mut().remove::<Failure>();
    if let Some(failure) = &mut line.failure {
        let instance = line.context.request_id.to_string();
        failure.problem.instance = Some(instance);
        response = problem_response(&failure.problem);
    }
    line.status = Some(response.status());
    line.span
        .record(traces::HEAD_MS, line.start.elapsed().as_millis() as i64);
    if let Ok(name) = name {
        response
            .headers_mut()
            .insert(HeaderName::from_static(REQUEST_ID), name);
    }
    if is_event_stream(&response) {
        response.map(|body| Body::from_stream(until_last_byte(body, line)))
    } else {
        line.whole = true;
        response
    }
}

/// Middleware: once the process was asked to end, whoever it answers is asked to connect anew, which will be elsewhere.
pub async fn let_go(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if state.readiness.is_ending() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// The request's span, part of the trace that the caller began. Lines of its handler carry the request's id.
fn span_of(request: &Request, request_id: RequestId, route: &str) -> Span {
    let method = request.method();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        %request_id,
        etude.head_ms = Empty,
    );
    if let Some(trace) = sent(request, TRACEPARENT) {
        traces::follow(&span, trace);
    }
    span
}

/// What a header says, where it can be read.
fn sent<T: FromStr>(request: &Request, header: &str) -> Option<T> {
    request.headers().get(header)?.to_str().ok()?.parse().ok()
}

/// Whether the response is sent piece by piece.
pub(crate) fn is_event_stream(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(EVENT_STREAM.as_bytes()))
}

fn until_last_byte(
    body: Body,
    line: CompletionLine,
) -> impl Stream<Item = Result<bytes::Bytes, axum::Error>> {
    let mut pieces = body.into_data_stream();
    async_stream::stream! {
        // The whole line moves in, so that it is written when the stream is dropped and not before.
        let mut line = line;
        let span = line.span.clone();
        while let Some(piece) = pieces.next().instrument(span.clone()).await {
            yield piece;
        }
        line.whole = true;
        drop(line);
    }
}

/// Written when dropped, so that a caller who goes away leaves a line as well.
struct CompletionLine {
    context: RequestContext,
    method: Method,
    route: String,
    start: Instant,
    /// None while there is no head.
    status: Option<StatusCode>,
    failure: Option<Failure>,
    whole: bool,
    span: Span,
    _counted: Counted,
}

impl Drop for CompletionLine {
    fn drop(&mut self) {
        let span = self.span.clone();
        let _within = span.enter();
        let took = self.start.elapsed();
        let status = self.status.unwrap_or(*LEFT);
        metrics().request_ended(&self.method, &self.route, status, took);
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        let request_id = self.context.request_id.to_string();
        let user_id = self.context.user_id.get().map(ToString::to_string);
        let flight = self.context.flight.get().map(|part| part.label());
        let problem = self.failure.as_ref().map(|f| f.problem.type_uri.as_str());
        let cause = self.failure.as_ref().and_then(|f| f.cause.as_deref());
        let duration_ms = took.as_secs_f64() * 1e3;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id,
                    method = %self.method,
                    route = self.route,
                    status = status.as_u16(),
                    duration_ms,
                    user_id,
                    flight,
                    problem,
                    cause,
                    whole = self.whole,
                    "request completed"
                )
            };
        }
        if status.is_server_error() {
            line!(error);
        } else {
            line!(info);
        }
    }
}

#[cfg(test)]
pub(crate) mod lines;

#[cfg(test)]
mod tests {
    use super::{lines::Lines, *};
    use uuid::Uuid;

    fn completion_line(context: RequestContext) -> serde_json::Value {
        let (lines, _guard) = Lines::of_this_thread();
        drop(CompletionLine {
            context,
            method: Method::POST,
            route: "/v1/answer".into(),
            start: Instant::now(),
            status: Some(StatusCode::OK),
            failure: None,
            whole: true,
            span: Span::none(),
            _counted: metrics().request(),
        });
        lines.read().remove(0)
    }

    #[test]
    fn the_line_of_a_request_says_what_part_it_had_in_a_flight_if_any() {
        let request_id = RequestId(Uuid::nil());
        let context = || RequestContext::new(request_id);
        assert_eq!(completion_line(context()).get("flight"), None);
        for (part, label) in [
            (Part::Led, "led"),
            (Part::Joined, "joined"),
            (Part::Alone, "alone"),
        ] {
            let context = context();
            context.boarded(part);
            assert_eq!(completion_line(context)["flight"], label);
        }
    }
}
