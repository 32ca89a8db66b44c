//! What the ingest worker counts. `docs/METRICS.md` says what each is for.

use crate::job::End;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use std::{
    sync::{LazyLock, atomic::AtomicU64},
    time::Duration,
};
use storage::PgPool;
use telemetry::metrics::{Durations, connections, durations, observe};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

type Count = Counter<u64, AtomicU64>;

/// Everything that is counted in this process.
pub struct Metrics {
    ended: Family<Outcome, Count>,
    jobs: Durations<Outcome>,
    pages: Count,
    chunks: Count,
    embedding: Durations<Outcome>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    ended: Family::default(),
    jobs: durations(),
    pages: Count::default(),
    chunks: Count::default(),
    embedding: durations(),
});

/// The counts of this process.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &METRICS
}

impl Metrics {
    /// An attempt at a job has ended. To be called within its span.
    pub fn ended(&self, end: End, took: Duration) {
        let outcome = Outcome {
            outcome: match end {
                End::Searchable => "searchable",
                End::WillRetry => "will_retry",
                End::Failed => "failed",
                End::HandedBack => "handed_back",
                End::Lost => "lost",
            },
        };
        self.ended.get_or_create(&outcome).inc();
        observe(&self.jobs.get_or_create(&outcome), took.as_secs_f64());
    }

    /// A document has become searchable.
    pub fn searchable(&self, pages: u32, chunks: usize) {
        self.pages.inc_by(pages.into());
        self.chunks.inc_by(chunks as u64);
    }

    /// The embedding service was called once.
    pub fn embedded(&self, is_well: bool, took: Duration) {
        let outcome = if is_well { "ok" } else { "failed" };
        let calls = self.embedding.get_or_create(&Outcome { outcome });
        observe(&calls, took.as_secs_f64());
    }

    /// Puts everything into `registry`, the connections of `pool` as well.
    pub fn register(&self, registry: &mut Registry, pool: PgPool) {
        // Nothing yet is a figure, too: a rate over a series that was not there before is none.
        for outcome in ["searchable", "will_retry", "failed", "handed_back", "lost"] {
            self.ended.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        let r = registry;
        r.register(
            "etude_ingest_jobs_ended",
            "Attempts at jobs by how they ended",
            self.ended.clone(),
        );
        r.register(
            "etude_ingest_job_duration_seconds",
            "Attempts at jobs",
            self.jobs.clone(),
        );
        r.register(
            "etude_ingest_pages",
            "Pages of documents that became searchable",
            self.pages.clone(),
        );
        r.register(
            "etude_ingest_chunks",
            "Passages of documents that became searchable",
            self.chunks.clone(),
        );
        r.register(
            "etude_embedding_duration_seconds",
            "Calls of the embedding service",
            self.embedding.clone(),
        );
        r.register_collector(connections(move || {
            let connections = storage::connections(&pool);
            (
                connections.idle,
                connections.used,
                connections.most,
                connections.timeouts,
            )
        }));
    }
}
