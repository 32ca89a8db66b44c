//! What is counted of the database, now and then. Every origin counts the same.

use super::{Count, Level, Outcome, State};
use crate::error::chain;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};
use storage::{PgPool, indexes::IndexFigures, jobs::Backlog};
use tokio::time::sleep;

const COUNTED_EVERY: Duration = Duration::from_secs(15);

/// The queue of ingestion, since its workers may be none, and the indexes.
#[derive(Default)]
pub struct DatabaseMetrics {
    queue: Family<State, Level>,
    oldest_job: Gauge<f64, AtomicU64>,
    index_blocks: Family<Outcome, Count>,
    /// As the server last told.
    indexes: Mutex<IndexFigures>,
    graph_bytes: Level,
}

impl DatabaseMetrics {
    /// Counts every 15 seconds, for as long as it is polled. Of the queue, what can't be counted is not told.
    pub async fn keep_counting(&self, pool: &PgPool) -> Infallible {
        loop {
            match storage::jobs::queue(pool).await {
                Ok((backlog, dead)) => self.queue_is(&backlog, dead),
                Err(error) => {
                    self.queue.clear();
                    self.oldest_job.set(f64::NAN);
                    tracing::warn!(cause = chain(&error), "the queue can't be counted");
                }
            }
            match storage::indexes::figures(pool).await {
                Ok(figures) => self.indexes_are(figures),
                Err(error) => tracing::warn!(cause = chain(&error), "indexes can't be counted"),
            }
            sleep(COUNTED_EVERY).await;
        }
    }

    fn queue_is(&self, backlog: &Backlog, dead: u64) {
        for (state, jobs) in [
            ("queued", backlog.queued),
            ("running", backlog.running),
            ("dead", dead),
        ] {
            let level = self.queue.get_or_create(&State { state });
            level.set(jobs.cast_signed());
        }
        self.oldest_job.set(backlog.overdue_by.as_secs_f64());
    }

    /// Counts what has come since the last look. The server's own counts fall where it begins anew, and where an index is
    /// dropped: then nothing has come that could be told.
    fn indexes_are(&self, figures: IndexFigures) {
        let mut last = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        for (outcome, blocks, before) in [
            ("hit", figures.blocks_hit, last.blocks_hit),
            ("read", figures.blocks_read, last.blocks_read),
        ] {
            let counter = self.index_blocks.get_or_create(&Outcome { outcome });
            counter.inc_by(blocks.saturating_sub(before));
        }
        *last = figures;
        self.graph_bytes.set(figures.graph_bytes.cast_signed());
    }

    pub(crate) fn register(&self, r: &mut Registry) {
        r.register("etude_ingest_jobs", "Jobs of the queue", self.queue.clone());
        r.register(
            "etude_ingest_oldest_job_seconds",
            "How long the job that has been due longest has waited",
            self.oldest_job.clone(),
        );
        r.register(
            "etude_index_blocks",
            "Blocks of the database's indexes, by whether they were in its memory",
            self.index_blocks.clone(),
        );
        r.register(
            "etude_vector_graph_bytes",
            "What the graphs of vectors take, and want to have in memory",
            self.graph_bytes.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_begins_anew_takes_nothing_back() {
        let metrics = DatabaseMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        for (blocks_hit, told) in [(900, "900"), (7, "900"), (10, "903")] {
            metrics.indexes_are(IndexFigures {
                blocks_hit,
                blocks_read: 1,
                graph_bytes: 8_192,
            });
            let text = telemetry::metrics::text(&registry).unwrap();
            let line = format!("etude_index_blocks_total{{outcome=\"hit\"}} {told}\n");
            assert!(text.contains(&line), "{text}");
            assert!(text.contains("etude_vector_graph_bytes 8192\n"), "{text}");
        }
    }
}
