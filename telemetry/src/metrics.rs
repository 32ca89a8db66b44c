//! Metrics: of what kinds they are, and where Prometheus finds them. `docs/METRICS.md` lists them all.

mod process;
mod spans;

pub use spans::SpanDurations;

use crate::traces::Counts;
use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use opentelemetry::{Context, trace::TraceContextExt};
use process::Process;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{
        MetricType, counter::ConstCounter, exemplar::HistogramWithExemplars, family::Family,
        gauge::ConstGauge, info::Info,
    },
    registry::Registry,
};
use std::{fmt, hash::Hash, sync::Arc};
use tokio::net::TcpListener;

/// Seconds, from a look into the isolate's memory to a long answer.
const SECONDS: [f64; 19] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0,
    2.5, 5.0, 10.0, 30.0,
];

/// The trace that an observation belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Exemplar {
    trace_id: String,
}

/// How long something took, by labels, each bucket with the trace of its last observation.
pub type Durations<L> = Family<L, Duration, fn() -> Duration>;
/// The same without labels.
pub type Duration = HistogramWithExemplars<Exemplar>;

/// A histogram of seconds.
#[must_use]
pub fn duration() -> Duration {
    HistogramWithExemplars::new(SECONDS.into_iter())
}

/// Histograms of seconds.
#[must_use]
pub fn durations<L: Clone + Hash + Eq>() -> Durations<L> {
    Family::new_with_constructor(duration)
}

/// Notes a duration in seconds. Within a span, that one's trace is the exemplar.
pub fn observe(duration: &Duration, seconds: f64) {
    let context = Context::current();
    let trace_id = context.span().span_context().trace_id();
    observe_of(
        duration,
        seconds,
        (trace_id != opentelemetry::TraceId::INVALID).then(|| trace_id.to_string()),
    );
}

/// Notes a duration in seconds that belongs to this trace.
pub fn observe_of(duration: &Duration, seconds: f64, trace_id: Option<String>) {
    let exemplar = trace_id.map(|trace_id| Exemplar { trace_id });
    duration.observe(seconds, exemplar, None);
}

/// A registry with what every process tells: its build, its resources, its traces and the durations of named spans.
#[must_use]
pub fn registry(process: &'static str, traces: Arc<Counts>, spans: &SpanDurations) -> Registry {
    let mut registry = Registry::default();
    let labels = vec![("version", env!("CARGO_PKG_VERSION")), ("process", process)];
    registry.register("etude_build", "What runs", Info::new(labels));
    registry.register_collector(Box::new(Process::new()));
    registry.register_collector(Box::new(TraceCounts(traces)));
    spans.register(&mut registry);
    registry
}

/// What is only known when it is asked for: a number by name.
pub struct Readings<F>(pub F);

/// Writes readings, one after another.
pub struct Pen<'a>(DescriptorEncoder<'a>);

impl Pen<'_> {
    /// A value that may rise and fall, for each value of one label.
    pub fn gauge<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &'l str,
        values: impl IntoIterator<Item = (&'l str, f64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, reading) in values {
            let labels = [(label, value)];
            ConstGauge::new(reading).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A value that only rises, for each value of one label.
    pub fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &'l str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, reading) in values {
            let labels = [(label, value)];
            ConstCounter::new(reading).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A single value that may rise and fall.
    pub fn single(&mut self, name: &str, help: &str, reading: f64) -> fmt::Result {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(reading).encode(metric)
    }

    /// A single value that only rises.
    pub fn single_counter(&mut self, name: &str, help: &str, reading: f64) -> fmt::Result {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(reading).encode(metric)
    }
}

/// The connections of a pool as `read` tells them: free ones, those in use, as many as there may be, and callers who have
/// waited in vain.
pub fn connections(
    read: impl Fn() -> (u32, u32, u32, u64) + Send + Sync + 'static,
) -> Box<dyn Collector> {
    Box::new(Readings(move |pen: &mut Pen<'_>| {
        let (idle, used, most, timeouts) = read();
        let states = [("idle", idle.into()), ("used", used.into())];
        pen.gauge(
            "db_client_connections",
            "Connections of the pool",
            "state",
            states,
        )?;
        pen.single(
            "db_client_connections_max",
            "Connections that there may be",
            most.into(),
        )?;
        pen.single_counter(
            "db_client_connection_timeouts",
            "Callers who waited in vain for a connection",
            timeouts as f64,
        )
    }))
}

impl<F> fmt::Debug for Readings<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readings")
    }
}

impl<F: Fn(&mut Pen<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Readings<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Pen(encoder))
    }
}

#[derive(Debug)]
struct TraceCounts(Arc<Counts>);

impl Collector for TraceCounts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "This process's parts of traces, by whether they were kept";
        Pen(encoder).counter("etude_traces", help, "outcome", self.0.read())
    }
}

/// All metrics as OpenMetrics text.
///
/// # Errors
///
/// None that a registry of ours can cause.
pub fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

/// Serves `GET /metrics` until the process ends.
pub async fn serve(listener: TcpListener, registry: Registry) {
    let app = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(registry));
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(cause = %error, "metrics are served no more");
    }
}

async fn scrape(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match text(&registry) {
        Ok(text) => Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text)),
        Err(error) => {
            tracing::error!(cause = %error, "metrics can't be told");
            Err(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::{Instrument, info_span};
    use tracing_subscriber::layer::SubscriberExt;

    #[tokio::test]
    async fn a_named_statement_is_counted_with_the_trace_that_it_served() {
        let durations = SpanDurations::default();
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(tracer))
            .with(durations.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let request = info_span!("request");
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        traces::follow(&request, sent.parse().unwrap());
        async {
            let statement = async { tokio::task::yield_now().await };
            statement
                .instrument(info_span!("sql.search.by_vector"))
                .await;
            async {}.instrument(info_span!("something else")).await;
        }
        .instrument(request)
        .await;
        let text = text(&registry("test", Arc::default(), &durations)).unwrap();
        let counted =
            "db_client_operation_duration_seconds_count{operation=\"search.by_vector\"} 1";
        assert!(text.contains(counted), "{text}");
        assert!(!text.contains("something else"));
        assert!(text.contains("# {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"}"));
    }

    #[test]
    fn a_process_tells_of_its_build_and_its_resources() {
        let text = text(&registry("test", Arc::default(), &SpanDurations::default())).unwrap();
        for line in [
            "etude_build_info{version=",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_max_fds ",
            "process_threads ",
            "process_start_time_seconds ",
            "etude_traces_total{outcome=\"kept\"} 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
