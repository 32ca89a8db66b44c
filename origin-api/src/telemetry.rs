//! Logs: where they go, and the one completion line of each request.
//!
//! A line never holds a body, a token, an e-mail address or a question.

use crate::{
    config::LogFormat,
    error::{Failure, problem_response},
    flight::Part,
    host,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::{Stream, StreamExt};
use shared_types::{
    event::EVENT_STREAM,
    headers::{REQUEST_ID, TRACEPARENT},
    ids::{RequestId, UserId},
    trace::TraceParent,
};
use std::{
    io::IsTerminal,
    str::FromStr,
    sync::{Arc, OnceLock},
};
use tokio::time::Instant;
use tracing::Instrument;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Sends logs to standard error, in `format`, at `info` unless `RUST_LOG` says otherwise.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_current_span(false))
            .init(),
        LogFormat::Text => registry.with(layer).init(),
    }
}

/// What is known of the request in hand; an extension of it.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// From the edge's `x-request-id`, or drawn here.
    pub request_id: RequestId,
    /// From the edge's `traceparent`, or begun here.
    pub trace: TraceParent,
    user_id: Arc<OnceLock<UserId>>,
    flight: Arc<OnceLock<Part>>,
}

impl RequestContext {
    /// A request of which nothing but its name is known.
    #[must_use]
    pub fn new(request_id: RequestId, trace: TraceParent) -> Self {
        Self {
            request_id,
            trace,
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
    let trace = sent(&request, TRACEPARENT).unwrap_or_else(|| TraceParent::beginning(request_id));
    let context = RequestContext::new(request_id, trace);
    let mut line = CompletionLine {
        context: context.clone(),
        method: request.method().clone(),
        route: request
            .extensions()
            .get::<MatchedPath>()
            .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned()),
        start: Instant::now(),
        status: StatusCode::INTERNAL_SERVER_ERROR,
        failure: None,
        whole: false,
    };
    let name = HeaderValue::try_from(context.request_id.to_string());
    // Lines of its handler carry the request's name as well.
    let span = tracing::info_span!("request", request_id = %context.request_id);
    request.extensions_mut().insert(context);

    let mut response = next.run(request).instrument(span).await;
    line.failure = response.extensions_mut().remove::<Failure>();
    if let Some(failure) = &mut line.failure {
        let instance = line.context.request_id.to_string();
        failure.problem.instance = Some(instance);
        response = problem_response(&failure.problem);
    }
    line.status = response.status();
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
        while let Some(piece) = pieces.next().await {
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
    status: StatusCode,
    failure: Option<Failure>,
    whole: bool,
}

impl Drop for CompletionLine {
    fn drop(&mut self) {
        let request_id = self.context.request_id.to_string();
        let trace_id = self.context.trace.trace_id();
        let user_id = self.context.user_id.get().map(ToString::to_string);
        let flight = self.context.flight.get().map(|part| part.label());
        let problem = self.failure.as_ref().map(|f| f.problem.type_uri.as_str());
        let cause = self.failure.as_ref().and_then(|f| f.cause.as_deref());
        let duration_ms = self.start.elapsed().as_secs_f64() * 1e3;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id,
                    trace_id,
                    method = %self.method,
                    route = self.route,
                    status = self.status.as_u16(),
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
        if self.status.is_server_error() {
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
            status: StatusCode::OK,
            failure: None,
            whole: true,
        });
        lines.read().remove(0)
    }

    #[test]
    fn the_line_of_a_request_says_what_part_it_had_in_a_flight_if_any() {
        let request_id = RequestId(Uuid::nil());
        let context = || RequestContext::new(request_id, TraceParent::beginning(request_id));
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
