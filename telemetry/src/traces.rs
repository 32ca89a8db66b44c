//! Spans: whose trace they belong to, which of them are kept, and how they leave the process.

mod keeping;

pub use keeping::{Counts, HEAD_MS, Keeping, Policy};

use crate::config::TelemetryConfig;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
        SpanProcessor,
    },
};
use shared_types::trace::TraceParent;
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

/// For one batch on its way to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Spans that wait to leave; one more is lost.
const WAITING: usize = 4_096;
/// For what waits when the process ends.
const LAST: Duration = Duration::from_secs(3);

/// The collector can't be spoken to.
#[derive(Debug, Error)]
#[error("spans can't be exported")]
pub struct TracesError(#[from] opentelemetry_otlp::ExporterBuildError);

/// A share of all traces, from 0 to 1. Which ones, their ids say: the same in every process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// Every trace.
    pub const ALL: Self = Self(1.0);

    /// None where `share` is not from 0 to 1.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// Whether the trace is among them.
    #[must_use]
    pub fn has(self, trace_id: TraceId) -> bool {
        // The last seven bytes are random in every id, by the W3C's rule.
        let low = u128::from_be_bytes(trace_id.to_bytes()) as u64 & ((1 << 56) - 1);
        (low as f64) < self.0 * (1_u64 << 56) as f64
    }
}

/// The spans of this process, and of others that it speaks for, on their way to the collector.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    collector: Option<String>,
    policy: Policy,
    counts: Arc<Counts>,
}

impl Traces {
    /// Spans of the service `etude-{process}`. Without a collector they end with the process: log lines still say which trace
    /// they belong to.
    pub fn new(process: &'static str, config: &TelemetryConfig) -> Result<Self, TracesError> {
        let policy = Policy {
            share: config.share,
            slow: config.slow,
        };
        let counts = Arc::<Counts>::default();
        let mut provider = SdkTracerProvider::builder()
            .with_resource(resource(process))
            // What is kept is known at the end alone.
            .with_sampler(Sampler::AlwaysOn);
        if let Some(collector) = &config.collector {
            let processor = Keeping::new(exporting(collector)?, policy, Arc::clone(&counts));
            provider = provider.with_span_processor(processor);
        }
        Ok(Self {
            provider: provider.build(),
            collector: config.collector.clone(),
            policy,
            counts,
        })
    }

    /// Spans of `tracing` become those of traces.
    #[must_use]
    pub fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("etude"))
            // Where in our source a span begins is a matter of the source.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }

    /// Takes spans of another service of ours, by the same rule of what is kept. None where they would go nowhere.
    pub fn on_behalf_of(
        &self,
        process: &'static str,
    ) -> Result<Option<Keeping<BatchSpanProcessor>>, TracesError> {
        let Some(collector) = &self.collector else {
            return Ok(None);
        };
        let mut exporting = exporting(collector)?;
        exporting.set_resource(&resource(process));
        Ok(Some(Keeping::new(
            exporting,
            self.policy,
            Arc::clone(&self.counts),
        )))
    }

    /// How many traces were kept, and how many were not.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Sends what waits, for three seconds at most. Blocks.
    pub fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(cause = %error, "the last spans were lost");
        }
    }
}

fn resource(process: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(format!("etude-{process}"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// In batches, from a thread of its own, out of a bounded queue: no request waits for the collector.
fn exporting(collector: &str) -> Result<BatchSpanProcessor, TracesError> {
    // The client wants one even for plain HTTP. Whoever has installed one before had the same in mind.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{collector}/v1/traces"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(WAITING)
        .with_scheduled_delay(Duration::from_secs(1))
        .build();
    Ok(BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build())
}

/// Makes `span` part of the trace that another process began. To be called before the span is entered.
pub fn follow(span: &Span, parent: TraceParent) {
    let flags = if parent.is_sampled() {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let parent = SpanContext::new(
        TraceId::from(parent.trace()),
        SpanId::from(parent.span()),
        flags,
        true,
        TraceState::default(),
    );
    // Without a layer of traces there is nothing to be part of.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Where the current span stands in its trace, for whoever is called from it.
#[must_use]
pub fn here() -> Option<TraceParent> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    TraceParent::new(
        u128::from_be_bytes(span.trace_id().to_bytes()),
        u64::from_be_bytes(span.span_id().to_bytes()),
        span.is_sampled(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_share_has_the_traces_of_a_smaller_one(id: u128, small in 0.0..=1.0, large in 0.0..=1.0) {
            let (small, large) = if small <= large { (small, large) } else { (large, small) };
            let id = TraceId::from(id);
            prop_assert!(!Share(small).has(id) || Share(large).has(id));
            prop_assert!(Share::ALL.has(id));
            prop_assert!(!Share(0.0).has(id));
        }
    }

    #[test]
    fn a_tenth_is_a_tenth_of_random_ids() {
        let share = Share::new(0.1).unwrap();
        let mixed = |n: u128| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let kept = (1..=10_000).filter(|n| share.has(TraceId::from(mixed(*n))));
        let kept = kept.count();
        assert!((900..=1_100).contains(&kept), "{kept}");
    }
}
