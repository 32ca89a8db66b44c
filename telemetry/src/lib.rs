//! What a process of ours tells of itself: log lines in Cloud Logging's shape, its spans of each trace over OTLP, and
//! metrics for Prometheus.
//!
//! Code says what it does with `tracing` alone: spans at `INFO` become spans of the trace, those named `sql.…` are counted by
//! [`metrics::SpanDurations`] as well, and events become log lines. None of the three ever holds a question, an answer, a
//! token or an e-mail address, since no span and no event of ours names one.

pub mod config;
pub mod logs;
pub mod metrics;
pub mod panics;
pub mod traces;

use config::{ConfigError, LogFormat, TelemetryConfig};
use logs::CloudLogging;
use metrics::SpanDurations;
use prometheus_client::registry::Registry;
use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
};
use thiserror::Error;
use tokio::net::TcpListener;
use traces::{Traces, TracesError};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Why a process can't tell of itself.
#[derive(Debug, Error)]
pub enum TellingError {
    /// A setting is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The collector can't be spoken to.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// Nobody can listen where the metrics are to be found.
    #[error("listening on {address} for metrics")]
    Metrics {
        /// By `METRICS_BIND` and `METRICS_PORT`.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A process that tells of itself, from its start to [`Telling::end`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telling {
    process: &'static str,
    config: TelemetryConfig,
    traces: Traces,
    durations: SpanDurations,
}

impl Telling {
    /// Begins, with settings through `lookup`. To be called once, at start.
    pub fn begin(
        process: &'static str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, TellingError> {
        let config = TelemetryConfig::read(lookup)?;
        let durations = SpanDurations::default();
        let traces = init(process, &config, durations.clone())?;
        Ok(Self {
            process,
            config,
            traces,
            durations,
        })
    }

    /// Its traces.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Serves metrics from now on, where that is wanted: those of every process, and what `register` adds to them.
    pub async fn serve_metrics(
        &self,
        register: impl FnOnce(&mut Registry, &SpanDurations),
    ) -> Result<(), TellingError> {
        let Some(address) = self.config.metrics else {
            return Ok(());
        };
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| TellingError::Metrics { address, source })?;
        let mut registry = metrics::registry(self.process, self.traces.counts(), &self.durations);
        register(&mut registry, &self.durations);
        tokio::spawn(metrics::serve(listener, registry));
        Ok(())
    }

    /// Sends what is left to tell.
    pub async fn end(self) {
        // It waits for the collector, and for nothing of ours.
        let _ = tokio::task::spawn_blocking(move || self.traces.end()).await;
    }
}

/// Begins to tell: log lines on standard error, at `info` unless `RUST_LOG` says otherwise, durations of named spans into
/// `durations`, and traces where there is a collector.
fn init(
    process: &'static str,
    config: &TelemetryConfig,
    durations: SpanDurations,
) -> Result<Traces, TracesError> {
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
