//! How long named statements take: from the spans that they have anyway.

use super::{Durations, durations, observe};
use prometheus_client::{encoding::EncodeLabelSet, registry::Registry};
use tokio::time::Instant;
use tracing::{Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// What the names of spans around SQL begin with.
const SQL: &str = "sql.";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// Counts the spans named `sql.…` and how long they take; cheap to clone. Their names stand in our source, so there are only
/// so many.
#[derive(Clone, Debug)]
pub struct SpanDurations(Durations<Operation>);

impl Default for SpanDurations {
    fn default() -> Self {
        Self(durations())
    }
}

impl SpanDurations {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "db_client_operation_duration_seconds",
            "How long named statements took",
            self.0.clone(),
        );
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
        if attributes.metadata().name().starts_with(SQL)
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
            && let Some(operation) = span.metadata().name().strip_prefix(SQL)
        {
            let seconds = at.elapsed().as_secs_f64();
            observe(&self.0.get_or_create(&Operation { operation }), seconds);
        }
    }
}
