//! One claimed job: the work, its lease and its end.

use crate::{
    config::Rhythm,
    document::{Pipeline, Progress},
    embedder::Embedder,
    failure::{JobError, Part, chain},
    metrics::metrics,
};
use source_formats::Charset;
use std::time::Duration;
use storage::{
    PgPool,
    jobs::{self, AfterFailure, EmbeddedChunks, Failure, Job, Lease, Processed},
    people, reembedding,
};
use telemetry::traces;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tracing::{Instrument, Span, field::Empty, info_span};

/// How often progress is written at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its document is searchable.
    Searchable,
    /// It waits for another try.
    WillRetry,
    /// It is dead, and its owner reads why.
    Failed,
    /// It was handed back.
    HandedBack,
    /// It is another worker's, or left to its lease.
    Lost,
}

/// Does a job to its end: the document is searchable, waits for another try, or has failed with a reason. Once `stop`
/// is true, the job is handed back instead, and the attempt does not count.
///
/// Dropping the future leaves the job to whoever claims it after the lease; nothing is half done.
///
/// It is a part of the trace of whoever queued it.
pub async fn run(
    pool: &PgPool,
    pipeline: &Pipeline,
    rhythm: &Rhythm,
    job: &Job,
    stop: watch::Receiver<bool>,
) -> End {
    let span = info_span!(
        "job",
        otel.kind = "consumer",
        otel.status_code = Empty,
        document_id = %job.file.document_id,
        attempt = job.attempt,
    );
    if let Some(trace) = job.trace {
        traces::follow(&span, trace);
    }
    let counted = async {
        let begun = Instant::now();
        let end = to_its_end(pool, pipeline, rhythm, job, stop).await;
        metrics().ended(end, begun.elapsed());
        if matches!(end, End::Failed | End::WillRetry) {
            Span::current().record("otel.status_code", "ERROR");
        }
        end
    };
    counted.instrument(span).await
}

async fn to_its_end(
    pool: &PgPool,
    pipeline: &Pipeline,
    rhythm: &Rhythm,
    job: &Job,
    stop: watch::Receiver<bool>,
) -> End {
    let (progress, watched) = watch::channel(Progress::START);
    let outcome = tokio::select! {
        () = told(stop) => return hand_back(pool, job).await,
        outcome = work(pool, pipeline, job, rhythm, progress) => outcome,
        () = overdue(rhythm.job, watched) => {
            Err(JobError::failed(Part::Time, anyhow::anyhow!("longer than {:?}", rhythm.job)))
        }
    };
    match outcome {
        Ok(Done { pages, chunks }) => {
            tracing::info!(pages, chunks, "document is searchable");
            metrics().searchable(pages, chunks);
            announce(pool, pipeline, job).await;
            End::Searchable
        }
        Err(JobError::LeaseLost) => {
            tracing::warn!("job was lost to another worker");
            End::Lost
        }
        Err(error) => give_up(pool, job, &error, rhythm).await,
    }
}

struct Done {
    pages: u32,
    chunks: usize,
}

async fn work(
    pool: &PgPool,
    pipeline: &Pipeline,
    job: &Job,
    rhythm: &Rhythm,
    progress: watch::Sender<Progress>,
) -> Result<Done, JobError> {
    let embedder = embedder(pool, pipeline).await?;
    let watched = progress.subscribe();
    let passages = tokio::select! {
        passages = pipeline.read(job, &embedder, &progress) => passages?,
        () = keep(pool, &job.lease, watched.clone(), rhythm) => return Err(JobError::LeaseLost),
    };
    let processed = Processed {
        page_count: passages.page_count,
        legibility: passages.legibility,
        charset: passages.charset.map(Charset::name),
        embedding_model: &embedder.model_and_pooling(),
        chunks: &passages.chunks,
    };
    // Not raced with the loss of the lease: the transaction itself holds and checks it, and cutting it
    // off after its commit would look like a failure.
    let stored = *watched.borrow();
    note(pool, &job.lease, stored).await;
    let storing = jobs::complete(pool, &job.lease, &processed);
    match storing.instrument(info_span!("ingest.storing")).await {
        Ok(()) => Ok(Done {
            pages: passages.page_count,
            chunks: passages.chunks.count(),
        }),
        Err(storage::Error::LeaseLost) => Err(JobError::LeaseLost),
        Err(error @ storage::Error::Passages(_)) => Err(JobError::failed(Part::Extraction, error)),
        Err(error) => Err(JobError::failed(Part::Database, error)),
    }
}

/// Of the model that the library is embedded with, whatever the settings say: those are for its first document.
async fn embedder(pool: &PgPool, pipeline: &Pipeline) -> Result<Embedder, JobError> {
    match reembedding::live(pool).await {
        Ok(Some(live)) => pipeline
            .embedder
            .of(&live)
            .map_err(|error| JobError::failed(Part::Embedding, error)),
        Ok(None) => Ok(pipeline.embedder.clone()),
        Err(error) => Err(JobError::failed(Part::Database, error)),
    }
}

/// Renews the lease and writes progress; returns when the lease is lost.
async fn keep(
    pool: &PgPool,
    lease: &Lease,
    mut watched: watch::Receiver<Progress>,
    rhythm: &Rhythm,
) {
    let mut beats = interval(rhythm.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut writes = interval(PROGRESS_EVERY);
    writes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let held = tokio::select! {
            _ = beats.tick() => jobs::heartbeat(pool, lease, rhythm.lease).await,
            _ = writes.tick() => {
                if !watched.has_changed().unwrap_or(false) {
                    continue;
                }
                let Progress { stage, done, total, .. } = *watched.borrow_and_update();
                jobs::progress(pool, lease, stage, done, total).await
            }
        };
        match held {
            Ok(true) => {}
            Ok(false) => return,
            // The lease outlasts a few missed beats, and completing checks it in any case.
            Err(error) => tracing::warn!(error = %error, "lease was not renewed"),
        }
    }
}

/// Returns after `limit` of work. What is spent in waiting for other documents does not count.
async fn overdue(limit: Duration, mut watched: watch::Receiver<Progress>) {
    let mut left = limit;
    loop {
        let begun = Instant::now();
        let is_over = match timeout(left, watched.wait_for(|progress| progress.waits)).await {
            Ok(waits) => waits.is_err(),
            Err(_) => return,
        };
        left = left.saturating_sub(begun.elapsed());
        if is_over || watched.wait_for(|progress| !progress.waits).await.is_err() {
            // Nobody tells any more: the work has ended in time.
            return std::future::pending().await;
        }
    }
}

async fn note(pool: &PgPool, lease: &Lease, progress: Progress) {
    let Progress {
        stage, done, total, ..
    } = progress;
    if let Err(error) = jobs::progress(pool, lease, stage, done, total).await {
        tracing::warn!(error = %error, "progress was not written");
    }
}

async fn announce(pool: &PgPool, pipeline: &Pipeline, job: &Job) {
    match people::readers_of(pool, job.file.owner_id).await {
        Ok(readers) => pipeline.edge.drop_scopes(&readers).await,
        Err(error) => tracing::warn!(
            error = %error,
            "readers are unknown; their scopes expire within 60 s"
        ),
    }
}

/// Returns once it is told to. A sender that is gone tells nothing.
pub(crate) async fn told(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn hand_back(pool: &PgPool, job: &Job) -> End {
    match jobs::hand_back(pool, &job.lease).await {
        Ok(()) => {
            tracing::info!("job was handed back");
            End::HandedBack
        }
        Err(storage::Error::LeaseLost) => {
            // What was being committed when the worker was told to stop is done.
            tracing::info!("job had ended, or was another worker's");
            End::Lost
        }
        Err(error) => {
            tracing::warn!(error = %error, "job was left to its lease");
            End::Lost
        }
    }
}

async fn give_up(pool: &PgPool, job: &Job, error: &JobError, rhythm: &Rhythm) -> End {
    let reason = error.reason();
    let failure = match error {
        JobError::Rejected(_) => Failure::ForGood { reason: &reason },
        _ => Failure::Passing {
            reason: &reason,
            retry_in: retry_in(job, rhythm),
        },
    };
    let after = match jobs::fail(pool, &job.lease, failure).await {
        Ok(after) => after,
        Err(failed) => {
            // The lease runs out by itself and the job is claimed again.
            tracing::error!(
                error = %failed,
                cause = chain(error),
                "the failure of a job was not written"
            );
            return End::Lost;
        }
    };
    match error {
        JobError::Rejected(rejection) => {
            tracing::info!(rejection = ?rejection, "document was rejected");
        }
        error => tracing::error!(error = chain(error), after = ?after, "job failed"),
    }
    match after {
        AfterFailure::WillRetry => End::WillRetry,
        AfterFailure::Dead => End::Failed,
    }
}

/// The wait triples with each attempt. Documents differ by up to half of it, so that a burst of failures
/// does not come back as a burst.
fn retry_in(job: &Job, rhythm: &Rhythm) -> Duration {
    let share = (job.file.document_id.0.as_u128() % 1_000) as f64 / 2_000.0;
    let tripled = rhythm.retry * 3_u32.saturating_pow(job.attempt.saturating_sub(1).min(8));
    tripled.mul_f64(1.0 + share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(waits: bool) -> Progress {
        Progress {
            waits,
            ..Progress::START
        }
    }

    #[tokio::test]
    async fn waiting_for_other_documents_takes_nothing_from_a_jobs_time() {
        let [limit, wait] = [100, 400].map(Duration::from_millis);
        let begun = Instant::now();
        let (progress, watched) = watch::channel(waits(true));
        let work = async {
            tokio::time::sleep(wait).await;
            progress.send_replace(waits(false));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work => panic!("it never ends"),
            () = overdue(limit, watched) => {}
        }
        assert!(begun.elapsed() >= limit + wait);
    }
}
