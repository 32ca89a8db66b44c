//! An OpenTelemetry collector: takes spans over OTLP/HTTP and shows them again.
//!
//! `POST /otlp/v1/traces` is the protocol's, in protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>); `GET /otlp/spans` and `GET /otlp/traces/{trace_id}` are what a
//! person or a test asks. The latest [`MOST`] spans are kept, in memory.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value::Value as Kind},
    trace::v1::{ResourceSpans, Span, Status, status::StatusCode as SpanStatus},
};
use prost::Message;
use serde_json::{Map, Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Spans that are kept.
const MOST: usize = 20_000;
/// The largest batch, in bytes.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The spans that came in, oldest first, as they are shown.
#[derive(Debug, Default)]
struct Spans(Mutex<VecDeque<Value>>);

impl Spans {
    fn take(&self, spans: impl IntoIterator<Item = Value>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(spans);
        let surplus = kept.len().saturating_sub(MOST);
        kept.drain(..surplus);
    }

    fn all(&self, matching: impl Fn(&Value) -> bool) -> Vec<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|span| matching(span)).cloned().collect()
    }
}

/// The routes of the collector.
pub fn router() -> Router {
    Router::new()
        .route("/otlp/v1/traces", post(export))
        .route("/otlp/spans", get(latest))
        .route("/otlp/traces/{trace_id}", get(one))
        .layer(DefaultBodyLimit::max(MAX_BATCH_BYTES))
        .with_state(Arc::<Spans>::default())
}

async fn export(State(spans): State<Arc<Spans>>, body: Bytes) -> impl IntoResponse {
    match ExportTraceServiceRequest::decode(body) {
        Ok(request) => {
            spans.take(request.resource_spans.iter().flat_map(shown));
            let reply = ExportTraceServiceResponse::default().encode_to_vec();
            Ok(([(header::CONTENT_TYPE, "application/x-protobuf")], reply))
        }
        Err(error) => Err((StatusCode::BAD_REQUEST, error.to_string())),
    }
}

async fn latest(State(spans): State<Arc<Spans>>) -> Json<Vec<Value>> {
    Json(spans.all(|_| true))
}

async fn one(State(spans): State<Arc<Spans>>, Path(trace_id): Path<String>) -> Json<Vec<Value>> {
    Json(spans.all(|span| span["trace_id"] == *trace_id))
}

fn shown(of: &ResourceSpans) -> Vec<Value> {
    let resource = of.resource.as_ref().map(|it| attributes(&it.attributes));
    let service = resource.and_then(|mut it| it.remove("service.name"));
    let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
    spans.map(|span| show(service.as_ref(), span)).collect()
}

fn show(service: Option<&Value>, span: &Span) -> Value {
    let status = span.status.as_ref().map(Status::code);
    json!({
        "service": service,
        "trace_id": hex::encode(&span.trace_id),
        "span_id": hex::encode(&span.span_id),
        "parent_span_id": hex::encode(&span.parent_span_id),
        "name": span.name,
        "kind": span.kind().as_str_name(),
        "start_unix_nano": span.start_time_unix_nano,
        "end_unix_nano": span.end_time_unix_nano,
        "attributes": attributes(&span.attributes),
        "events": span.events.iter().map(|event| json!({
            "name": event.name,
            "attributes": attributes(&event.attributes),
        })).collect::<Vec<_>>(),
        "failed": status == Some(SpanStatus::Error),
    })
}

fn attributes(attributes: &[KeyValue]) -> Map<String, Value> {
    let pair = |it: &KeyValue| (it.key.clone(), it.value.as_ref().map_or(Value::Null, value));
    attributes.iter().map(pair).collect()
}

fn value(value: &AnyValue) -> Value {
    match &value.value {
        Some(Kind::StringValue(text)) => text.clone().into(),
        Some(Kind::BoolValue(truth)) => (*truth).into(),
        Some(Kind::IntValue(number)) => (*number).into(),
        Some(Kind::DoubleValue(number)) => (*number).into(),
        // Nobody here sends anything else.
        other => format!("{other:?}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_spans_push_out_the_oldest() {
        let spans = Spans::default();
        spans.take((0..=MOST).map(Value::from));
        let kept = spans.all(|_| true);
        assert_eq!((kept.len(), &kept[0]), (MOST, &Value::from(1)));
    }
}
