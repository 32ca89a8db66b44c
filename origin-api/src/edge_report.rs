//! What the edge tells of itself: each completion line becomes counts, and a part of its request's trace.

use crate::metrics::{known_name, metrics};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks};
use shared_types::{
    edge_lines::{CompletionLine, EdgeLines, Invocation, MAX_INVOCATIONS},
    ids::RequestId,
    trace::TraceParent,
};
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};
use telemetry::traces::{HEAD_MS, Keeping};

/// Stages of one line; there are ten or so.
const MAX_STAGES: usize = 64;
/// The longest name of a stage, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Ten minutes: no request takes longer, so no part of one does.
const MAX_MS: f64 = 600_000.0;

/// Where the edge's spans go; nowhere without a collector.
pub type EdgeSpans = Keeping<BatchSpanProcessor>;

/// Takes what the edge tells. What is beyond the bound, or unreadable, is left out and counted.
pub fn take(lines: EdgeLines, spans: Option<&EdgeSpans>) {
    for invocation in lines.invocations.into_iter().take(MAX_INVOCATIONS) {
        let edge = &metrics().edge;
        edge.invocation(&invocation.outcome);
        let Invocation {
            at_ms: Some(at_ms),
            line: Some(line),
            ..
        } = invocation
        else {
            continue;
        };
        // A line that is no JSON comes as `false`.
        let line = serde_json::from_value::<CompletionLine>(line).ok();
        let line = line.filter(|line| (0.0..=MAX_MS).contains(&line.duration_ms));
        edge.line(line.is_some());
        if let Some(line) = line {
            count(&line, &own_span(line.request_id, sent(&line)).trace_id());
            if let Some(spans) = spans {
                spans.take(spans_of(&line, at_ms));
            }
        }
    }
}

fn count(line: &CompletionLine, trace_id: &str) {
    let edge = &metrics().edge;
    let seconds = line.duration_ms / 1e3;
    edge.request(&line.method, &line.route, line.status, seconds, trace_id);
    // What the isolate remembered tells nothing of the cache behind it.
    let asked = stages(&line.stages).filter(|stage| stage.description != Some("memory"));
    for stage in asked {
        edge.stage(stage.name, stage.duration_ms / 1e3, trace_id);
    }
    if let Some(report) = &line.cache {
        edge.looked_up(*report);
    }
    for reason in &line.degradations {
        edge.degraded(*reason);
    }
    if let Some(bytes) = line.file_bytes {
        edge.sent_of_file(bytes);
    }
}

/// One stage of a request, as its line tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stage<'a> {
    name: &'a str,
    /// Since the request came; absent of the origin's own.
    begun_ms: Option<f64>,
    duration_ms: f64,
    description: Option<&'a str>,
}

/// The stages that can be read, in the order of the line.
fn stages(text: &str) -> impl Iterator<Item = Stage<'_>> {
    let read = |metric| {
        let mut parts = str::split(metric, ';').map(str::trim);
        let name = parts.next().filter(|name| is_name(name))?;
        let (mut begun_ms, mut duration_ms, mut description) = (None, None, None);
        for part in parts {
            match part.split_once('=')? {
                ("at", at) => begun_ms = Some(milliseconds(at)?),
                ("dur", duration) => duration_ms = Some(milliseconds(duration)?),
                ("desc", text) => {
                    description = Some(text.trim_matches('"')).filter(|it| is_name(it));
                }
                _ => {}
            }
        }
        Some(Stage {
            name,
            begun_ms,
            duration_ms: duration_ms?,
            description,
        })
    };
    text.split(',').take(MAX_STAGES).filter_map(read)
}

fn is_name(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_token)
}

fn milliseconds(text: &str) -> Option<f64> {
    let milliseconds = text.parse().ok()?;
    (0.0..=MAX_MS)
        .contains(&milliseconds)
        .then_some(milliseconds)
}

/// The request's own span, and one for each stage. Calls of the origin have named the stage's span as their parent.
fn spans_of(line: &CompletionLine, at_ms: u64) -> Vec<SpanData> {
    let sent = sent(line);
    let own = own_span(line.request_id, sent);
    let ended = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms);
    let began = ended - Duration::from_secs_f64(line.duration_ms / 1e3);
    let mut root = span(
        own,
        sent.map_or(SpanId::INVALID, |sent: TraceParent| {
            SpanId::from(sent.span())
        }),
        format!("{} {}", known_name(&line.method), line.route),
        (began, ended),
    );
    root.parent_span_is_remote = true;
    root.span_kind = SpanKind::Server;
    root.attributes = vec![
        KeyValue::new("http.request.method", known_name(&line.method)),
        KeyValue::new("http.route", line.route.clone()),
        KeyValue::new("http.response.status_code", i64::from(line.status)),
        KeyValue::new("request_id", line.request_id.to_string()),
        KeyValue::new(HEAD_MS, line.duration_ms as i64),
    ];
    if line.status >= 500 {
        root.status = Status::error("");
    }
    let mut spans = vec![root];
    let mut names = HashSet::new();
    for stage in stages(&line.stages) {
        let Some(begun_ms) = stage.begun_ms else {
            continue;
        };
        // A stage that is gone through twice is told once: its name is its id.
        if !names.insert(stage.name) {
            continue;
        }
        let entered = began + Duration::from_secs_f64(begun_ms / 1e3);
        let left = entered + Duration::from_secs_f64(stage.duration_ms / 1e3);
        let within = own.within(stage.name);
        let mut span = span(
            within,
            SpanId::from(own.span()),
            stage.name.to_owned(),
            (entered, left),
        );
        let outcome = stage
            .description
            .map(|it| KeyValue::new("outcome", it.to_owned()));
        span.attributes.extend(outcome);
        spans.push(span);
    }
    spans
}

/// What began the trace, where the caller did.
fn sent(line: &CompletionLine) -> Option<TraceParent> {
    line.parent.as_deref()?.parse().ok()
}

/// The request's span, as the edge has drawn it up.
fn own_span(request_id: RequestId, sent: Option<TraceParent>) -> TraceParent {
    sent.map_or_else(
        || TraceParent::beginning(request_id),
        |sent| sent.continued(request_id),
    )
}

fn span(
    at: TraceParent,
    parent: SpanId,
    name: String,
    (start_time, end_time): (SystemTime, SystemTime),
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(at.trace()),
            SpanId::from(at.span()),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time,
        end_time,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("etude").build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn line() -> CompletionLine {
        serde_json::from_value(json!({
            "message": "request answered",
            "request_id": "01234567-89ab-4def-8123-456789abcdef",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "parent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "method": "POST",
            "route": "/api/chat/query",
            "status": 200,
            "degraded": false,
            "duration_ms": 40.5,
            "stages": "scope;dur=1.2;desc=\"hit\";at=0.3, retrieve;dur=20.0;at=10.0, origin_sql;dur=9.1",
            "passages": 3,
            "cache": {"scope": "hit", "search": "miss", "embedding": "miss", "answer": "miss"},
            "degradations": ["reranker-unavailable"]
        }))
        .unwrap()
    }

    #[test]
    fn a_line_becomes_the_request_and_its_stages_under_what_the_caller_began() {
        let spans = spans_of(&line(), 1_000_000);
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["POST /api/chat/query", "scope", "retrieve"]);
        let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(
            spans
                .iter()
                .all(|span| span.span_context.trace_id().to_string() == trace_id)
        );
        let [root, scope, retrieve] = &spans[..] else {
            panic!()
        };
        assert_eq!(root.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(scope.parent_span_id, root.span_context.span_id());
        // What the origin was told by the edge.
        let sent: TraceParent = line().parent.unwrap().parse().unwrap();
        let told = sent.continued(line().request_id).within("retrieve");
        assert_eq!(retrieve.span_context.span_id(), SpanId::from(told.span()));
        let since = |time: SystemTime| time.duration_since(root.start_time).unwrap().as_millis();
        assert_eq!(
            (since(retrieve.start_time), since(retrieve.end_time)),
            (10, 30)
        );
        assert_eq!(since(root.end_time), 40);
        assert_eq!(scope.attributes[0].value.as_str(), "hit");
    }

    #[test]
    fn what_is_not_readable_is_counted_and_costs_the_others_nothing() {
        let invocation = |line| Invocation {
            outcome: "ok".to_owned(),
            at_ms: Some(1),
            line: Some(line),
        };
        let whole = json!({
            "request_id": "01234567-89ab-4def-8123-456789abcdef", "trace_id": "a", "method": "BREW",
            "route": "/api/health", "status": 200, "duration_ms": 1.5, "file_bytes": 1_024
        });
        let mut endless = whole.clone();
        endless["duration_ms"] = json!(1e300);
        let lines = [json!(false), json!({"status": "many"}), endless, whole];
        let invocations = lines.into_iter().map(invocation).collect();
        take(EdgeLines { invocations }, None);
        let mut registry = prometheus_client::registry::Registry::default();
        metrics().edge.register(&mut registry);
        let text = telemetry::metrics::text(&registry).unwrap();
        for line in [
            "etude_edge_lines_total{outcome=\"taken\"} 1",
            "etude_edge_lines_total{outcome=\"unreadable\"} 3",
            "etude_edge_invocations_total{outcome=\"ok\"} 4",
            "etude_edge_file_bytes_total 1024",
            "etude_edge_request_duration_seconds_count{http_request_method=\"other\",http_route=\"/api/health\",http_response_status_code=\"200\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_of_stages_panic_or_take_what_is_no_name(text in "\\PC{0,200}") {
            for stage in stages(&text) {
                prop_assert!(is_name(stage.name));
                prop_assert!((0.0..=MAX_MS).contains(&stage.duration_ms));
            }
        }
    }
}
