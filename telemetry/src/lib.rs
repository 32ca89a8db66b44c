//! What a process of ours tells of itself: log lines in Cloud Logging's shape, its spans of each trace over OTLP, and
//! metrics for Prometheus.
//!
//! Code says what it does with `tracing` alone: spans at `INFO` become spans of the trace, those named `sql.…` are counted by
//! [`metrics::SpanDurations`] as well, and events become log lines. None of the three ever holds a question, an answer, a
//! token or an e-mail address, since no span and no event of ours names one.

pub mod config;
pub mod logs;
pub mod metrics;
pub mod traces;

use config::{LogFormat, TelemetryConfig};
use logs::CloudLogging;
use metrics::SpanDurations;
use std::io::IsTerminal;
use traces::Traces;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Begins to tell: log lines on standard error, at `info` unless `RUST_LOG` says otherwise, durations of named spans into
/// `durations`, and traces where there is a collector. To be called once, at start. What it returns goes on telling until
/// [`Traces::end`].
pub fn init(
    process: &'static str,
    config: &TelemetryConfig,
    durations: SpanDurations,
) -> Result<Traces, traces::TracesError> {
    let lines = || {
        EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("info,sqlx::query=warn"))
    };
    let (cloud, text) = match config.log_format {
        LogFormat::Json => {
            let layer = CloudLogging::new(config.project.clone(), std::io::stderr);
            (Some(layer.with_filter(lines())), None)
        }
        LogFormat::Text => {
            let layer = fmt::layer()
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr);
            (None, Some(layer.with_filter(lines())))
        }
    };
    let traces = Traces::new(process, config)?;
    // Not by `RUST_LOG`: who wants fewer lines does not want fewer spans.
    let spans =
        || filter_fn(|metadata| metadata.is_span() && *metadata.level() <= tracing::Level::INFO);
    tracing_subscriber::registry()
        .with(traces.layer().with_filter(spans()))
        .with(durations.with_filter(spans()))
        .with(cloud)
        .with(text)
        .init();
    Ok(traces)
}
