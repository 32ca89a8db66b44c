//! What the ingest worker counts. `docs/METRICS.md` says what each is for.

use crate::job::End;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{
    convert::Infallible,
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};
use storage::{
    PgPool,
    jobs::{self, Backlog},
};
use telemetry::metrics::{Durations, connections, durations, observe};
use tokio::time::sleep;

/// How often the queue is counted.
const EVERY: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;

/// Everything that is counted in this process.
pub struct Metrics {
    queue: Family<State, Level>,
    oldest: Gauge<f64, AtomicU64>,
    ended: Family<Outcome, Count>,
    jobs: Durations<Outcome>,
    pages: Count,
    chunks: Count,
    embedding: Durations<Outcome>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    queue: Family::default(),
    oldest: Gauge::default(),
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

    fn counted(&self, backlog: &Backlog, dead: u64) {
        for (state, jobs) in [
            ("queued", backlog.queued),
            ("running", backlog.running),
            ("dead", dead),
        ] {
            let level = self.queue.get_or_create(&State { state });
            level.set(jobs.cast_signed());
        }
        self.oldest.set(backlog.overdue_by.as_secs_f64());
    }

    /// Counts the queue now and then, for as long as it is polled.
    pub async fn keep_counting(&self, pool: &PgPool) -> Infallible {
        loop {
            let counted = async {
                Ok::<_, storage::Error>((jobs::backlog(pool).await?, jobs::dead(pool).await?))
            };
            match counted.await {
                Ok((backlog, dead)) => self.counted(&backlog, dead),
                Err(error) => tracing::warn!(error = %error, "the queue can't be counted"),
            }
            sleep(EVERY).await;
        }
    }

    /// Puts everything into `registry`, the connections of `pool` as well.
    pub fn register(&self, registry: &mut Registry, pool: PgPool) {
        // Nothing yet is a figure, too: a rate over a series that was not there before is none.
        for outcome in ["searchable", "will_retry", "failed", "handed_back", "lost"] {
            self.ended.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        let r = registry;
        r.register("etude_ingest_jobs", "Jobs of the queue", self.queue.clone());
        r.register(
            "etude_ingest_oldest_job_seconds",
            "How long the job that has been due longest has waited",
            self.oldest.clone(),
        );
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
