//! Log lines as Cloud Logging reads them.
//!
//! Source: <https://cloud.google.com/logging/docs/structured-logging>.

use chrono::{DateTime, SecondsFormat, Utc};
use opentelemetry::{Context, trace::TraceContextExt};
use serde_json::{Map, Value};
use std::{fmt::Debug, io::Write, time::SystemTime};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer, fmt::MakeWriter, layer::Context as LayerContext, registry::LookupSpan,
};

/// Writes each event as one JSON object on a line: severity, time, message, the fields of the event and of the spans that it
/// happened in, and the trace and span that it belongs to.
#[derive(Debug)]
pub struct CloudLogging<W> {
    project: Option<String>,
    writer: W,
}

impl<W> CloudLogging<W> {
    /// Lines into what `writer` makes. Traces are named as those of `project` where one is given.
    pub fn new(project: Option<String>, writer: W) -> Self {
        Self { project, writer }
    }
}

/// The fields of a span so far.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for CloudLogging<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: LayerContext<'_, S>,
    ) {
        let mut fields = Map::new();
        attributes.record(&mut Fields(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: LayerContext<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(&mut Fields(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let mut line = Map::new();
        let metadata = event.metadata();
        line.insert("severity".into(), severity(*metadata.level()).into());
        line.insert(
            "time".into(),
            now().to_rfc3339_opts(SecondsFormat::Micros, true).into(),
        );
        line.insert("target".into(), metadata.target().into());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                for (name, value) in fields {
                    // What an inner span says stands.
                    line.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        event.record(&mut Fields(&mut line));
        self.place(&mut line);
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        // Nobody is left to be told that standard error is gone.
        let _ = self.writer.make_writer_for(metadata).write_all(&bytes);
    }
}

impl<W> CloudLogging<W> {
    /// Says which span the line belongs to, where it does.
    fn place(&self, line: &mut Map<String, Value>) {
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let trace_id = span.trace_id().to_string();
        let trace = match &self.project {
            Some(project) => format!("projects/{project}/traces/{trace_id}"),
            None => trace_id,
        };
        line.insert("logging.googleapis.com/trace".into(), trace.into());
        let span_id = span.span_id().to_string();
        line.insert("logging.googleapis.com/spanId".into(), span_id.into());
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a log line says when it was written"
)]
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Puts fields into a JSON object. Those with a dot in their names are for the span of the trace alone, which has names of its
/// own for things.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        if !field.name().contains('.') {
            self.0.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::traces;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing::{error, info, info_span};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are written during `work` in this thread.
    pub(crate) fn lines(project: Option<&str>, work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let logging = CloudLogging::new(project.map(str::to_owned), move || writer.clone());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(tracer))
            .with(logging);
        tracing::subscriber::with_default(subscriber, work);
        let bytes = written.0.lock().unwrap();
        let lines = serde_json::Deserializer::from_slice(&bytes).into_iter();
        lines.map(Result::unwrap).collect()
    }

    #[test]
    fn a_line_has_the_shape_that_cloud_logging_reads() {
        let lines = lines(Some("etude"), || {
            let request = info_span!("request", request_id = "r-1", otel.kind = "server");
            let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            traces::follow(&request, sent.parse().unwrap());
            request.in_scope(|| {
                let query = info_span!("sql.search", rows = tracing::field::Empty);
                query.in_scope(|| {
                    query.record("rows", 7);
                    error!(attempt = 2, "database is away");
                });
            });
        });
        let line = &lines[0];
        assert_eq!(line["severity"], "ERROR");
        assert_eq!(line["message"], "database is away");
        assert_eq!((&line["attempt"], &line["rows"]), (&2.into(), &7.into()));
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(
            line["logging.googleapis.com/trace"],
            "projects/etude/traces/4bf92f3577b34da6a3ce929d0e0e4736"
        );
        let span_id = line["logging.googleapis.com/spanId"].as_str().unwrap();
        assert_eq!(span_id.len(), 16);
        assert_ne!(span_id, "00f067aa0ba902b7", "that is the caller's");
        let time = line["time"].as_str().unwrap();
        assert!(DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        assert_eq!(line.get("otel.kind"), None);
    }

    #[test]
    fn what_happens_outside_of_any_request_belongs_to_no_trace() {
        let lines = lines(None, || info!("started"));
        assert_eq!(lines[0]["severity"], "INFO");
        assert_eq!(lines[0].get("logging.googleapis.com/trace"), None);
    }
}
