//! How long named statements and stages take: from the spans that they have anyway.

use super::{Duration, Durations, durations, observe};
use prometheus_client::{encoding::EncodeLabelSet, registry::Registry};
use tokio::time::Instant;
use tracing::{Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// What the names of spans around SQL begin with.
const SQL: &str = "sql.";
/// What those of a document's stages begin with.
const INGEST: &str = "ingest.";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

/// Counts the spans named `sql.…` and `ingest.…` and how long they take; cheap to clone. Their names stand in our source, so
/// there are only so many.
#[derive(Clone, Debug)]
pub struct SpanDurations {
    operations: Durations<Operation>,
    stages: Durations<Stage>,
}

impl Default for SpanDurations {
    fn default() -> Self {
        Self {
            operations: durations(),
            stages: durations(),
        }
    }
}

impl SpanDurations {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "db_client_operation_duration_seconds",
            "How long named statements took",
            self.operations.clone(),
        );
    }

    /// Puts the stages of documents into `registry`, where documents are worked on.
    pub fn register_stages(&self, registry: &mut Registry) {
        registry.register(
            "etude_ingest_stage_duration_seconds",
            "How long the stages of documents took",
            self.stages.clone(),
        );
    }

    /// The histogram of the spans of this name.
    fn of(&self, name: &'static str) -> Option<Duration> {
        if let Some(operation) = name.strip_prefix(SQL) {
            Some(
                self.operations
                    .get_or_create_owned(&Operation { operation }),
            )
        } else {
            let stage = name.strip_prefix(INGEST)?;
            Some(self.stages.get_or_create_owned(&Stage { stage }))
        }
    }
}

struct Begun(Instant);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanDurations {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let name = attributes.metadata().name();
        if (name.starts_with(SQL) || name.starts_with(INGEST))
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(Begun(Instant::now()));
        }
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        if let Some(Begun(at)) = span.extensions().get()
            && let Some(duration) = self.of(span.metadata().name())
        {
            observe(&duration, at.elapsed().as_secs_f64());
        }
    }
}
