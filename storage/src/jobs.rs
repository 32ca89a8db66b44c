//! The ingestion queue: the truth about what is still to be done.
//!
//! At least once: a worker claims a job for a time (its lease), prolongs that by heartbeats, and
//! ends it. A worker that dies loses its lease, and the job is claimed again, [`MAX_ATTEMPTS`]
//! times in all. Whoever lost a lease can change nothing any more. The clock is the database's.

mod complete;
mod wake;

pub use complete::{EmbeddedChunk, EmbeddedChunks, Legibility, Processed, complete};
pub use wake::WakeUp;

use crate::{
    Error,
    documents::{format, visibility},
    pool,
    rows::{signed, unsigned},
};
use shared_types::{
    documents::{IngestStage, LibraryFile, Visibility},
    ids::{DocumentId, UserId},
    trace::TraceParent,
};
use sqlx::{FromRow, PgPool, postgres::types::PgInterval};
use std::time::Duration;
use uuid::Uuid;

/// How often a job is tried.
pub const MAX_ATTEMPTS: u32 = 3;

/// What the owner reads where every attempt ended without a word from the worker.
const WORKERS_STOPPED: &str = "Our worker stopped each time while it was reading this file, which may be the file's fault or ours. Have it read once more; if that fails, too, save the file anew and upload that.";

/// A worker's hold on a job. The attempt's number fences it: a later claim has another, whatever became of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    job_id: Uuid,
    number: i32,
}

/// A job to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The hold on it.
    pub lease: Lease,
    /// Which attempt this is, from 1 to [`MAX_ATTEMPTS`]; those that were handed back are not counted.
    pub attempt: u32,
    /// The file of the document to make searchable.
    pub file: LibraryFile,
    /// The document's title.
    pub title: String,
    /// Length of the file as announced.
    pub size_bytes: u64,
    /// SHA-256 of the file as announced, lower-case hex.
    pub sha256: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// The trace of the request that queued the job.
    pub trace: Option<TraceParent>,
}

/// How a job failed. The reason is in words for the document's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<'a> {
    /// Another attempt may work; the last one counts as for good.
    Passing {
        /// Why.
        reason: &'a str,
        /// When to try again; the caller adds back-off and jitter.
        retry_in: Duration,
    },
    /// No attempt can work.
    ForGood {
        /// Why.
        reason: &'a str,
    },
}

/// What became of a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It waits for another attempt.
    WillRetry,
    /// It is dead, and its document has failed.
    Dead,
}

/// The state of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs that wait for a worker, for a later attempt included.
    pub queued: u64,
    /// Jobs in a worker's hands.
    pub running: u64,
    /// How long until the next waiting job, or the next lease to run out, is due; zero: now.
    pub next_due_in: Option<Duration>,
    /// For how long the job that has been due longest has been so.
    pub overdue_by: Duration,
}

#[derive(FromRow)]
struct JobRow {
    job_id: Uuid,
    number: i32,
    attempt: i32,
    doc_id: Uuid,
    owner_id: Uuid,
    format: String,
    is_base: bool,
    title: String,
    size_bytes: i64,
    sha256: String,
    is_public: bool,
    traceparent: Option<String>,
}

/// Takes the job that has been due longest, and its document to `processing`, unless that is searchable: then it stays
/// `ready`. Jobs whose lease ran out are due again; those that have had all attempts end here as dead. `None`: nothing
/// is due.
#[tracing::instrument(name = "sql.jobs.claim", skip_all)]
pub async fn claim(pool: &PgPool, worker: &str, lease: Duration) -> Result<Option<Job>, Error> {
    let attempts: i32 = signed(MAX_ATTEMPTS, "attempt")?;
    let mut tx = pool::begin(pool, "begin").await?;
    sqlx::query(include_str!("jobs/bury.sql"))
        .bind(attempts)
        .bind(WORKERS_STOPPED)
        .execute(&mut *tx)
        .await?;
    let row: Option<JobRow> = sqlx::query_as(include_str!("jobs/claim.sql"))
        .bind(attempts)
        .bind(worker)
        .bind(interval(lease)?)
        .fetch_optional(&mut *tx)
        .await?;
    tx.commit().await?;
    row.map(job).transpose()
}

/// Prolongs a lease to `lease` from now. `false`: it was lost, and the work must stop.
#[tracing::instrument(name = "sql.jobs.heartbeat", skip_all)]
pub async fn heartbeat(pool: &PgPool, held: &Lease, lease: Duration) -> Result<bool, Error> {
    let done = sqlx::query(
        "update ingest_jobs set heartbeat_at = now(), lease_expires_at = now() + $3 \
         where id = $1 and attempts = $2 and state = 'running'",
    )
    .bind(held.job_id)
    .bind(held.number)
    .bind(interval(lease)?)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Tells the owner how far the work is. `total` is 0 while unknown. `false`: the lease was lost.
#[tracing::instrument(name = "sql.jobs.progress", skip_all)]
pub async fn progress(
    pool: &PgPool,
    held: &Lease,
    stage: IngestStage,
    done: u32,
    total: u32,
) -> Result<bool, Error> {
    let done = sqlx::query(
        // Locked, so that what is late says nothing of a job that has ended meanwhile.
        "with job as ( \
             select doc_id from ingest_jobs \
             where id = $1 and attempts = $2 and state = 'running' for share \
         ) \
         update knowledge_base_docs d \
         set stage = $3, progress_done = $4, progress_total = $5 \
         from job where d.id = job.doc_id",
    )
    .bind(held.job_id)
    .bind(held.number)
    .bind(stage.as_str())
    .bind(signed::<u32, i32>(done, "progress")?)
    .bind(signed::<u32, i32>(total, "progress")?)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends an attempt that did not work. A document that was searchable before stays so, with what was read then.
/// [`Error::LeaseLost`] where the job is not ours any more.
#[tracing::instrument(name = "sql.jobs.fail", skip_all)]
pub async fn fail(
    pool: &PgPool,
    held: &Lease,
    failure: Failure<'_>,
) -> Result<AfterFailure, Error> {
    let (reason, retry_in) = match failure {
        Failure::Passing { reason, retry_in } => (reason, Some(retry_in)),
        Failure::ForGood { reason } => (reason, None),
    };
    let state: Option<String> = sqlx::query_scalar(include_str!("jobs/fail.sql"))
        .bind(held.job_id)
        .bind(held.number)
        .bind(reason)
        .bind(retry_in.map(interval).transpose()?)
        .bind(signed::<u32, i32>(MAX_ATTEMPTS, "attempt")?)
        .fetch_optional(pool)
        .await?;
    match state.as_deref() {
        Some("queued") => Ok(AfterFailure::WillRetry),
        Some(_) => Ok(AfterFailure::Dead),
        None => Err(Error::LeaseLost),
    }
}

/// Gives up an attempt that nothing is wrong with: the job is due at once, and the attempt does not count.
/// [`Error::LeaseLost`] where the job is not ours any more.
#[tracing::instrument(name = "sql.jobs.hand_back", skip_all)]
pub async fn hand_back(pool: &PgPool, held: &Lease) -> Result<(), Error> {
    let done = sqlx::query(include_str!("jobs/hand_back.sql"))
        .bind(held.job_id)
        .bind(held.number)
        .execute(pool)
        .await?;
    if done.rows_affected() == 0 {
        return Err(Error::LeaseLost);
    }
    Ok(())
}

/// Queues a reading of every document that is on its way and has no job, and of every searchable one that lacks
/// passages; returns how many there were. None should exist, so this is for what was mended by hand.
#[tracing::instrument(name = "sql.jobs.requeue_stuck", skip_all)]
pub async fn requeue_stuck(pool: &PgPool) -> Result<u64, Error> {
    let stuck: i64 = sqlx::query_scalar("select requeue_stuck_documents()")
        .fetch_one(pool)
        .await?;
    unsigned(stuck, "count")
}

/// How much is still to be done, and when to look again.
#[tracing::instrument(name = "sql.jobs.backlog", skip_all)]
pub async fn backlog(pool: &PgPool) -> Result<Backlog, Error> {
    let (queued, running, next_due_in_s): (i64, i64, Option<f64>) =
        sqlx::query_as(include_str!("jobs/backlog.sql"))
            .fetch_one(pool)
            .await?;
    Backlog::of(queued, running, next_due_in_s)
}

impl Backlog {
    fn of(queued: i64, running: i64, next_due_in_s: Option<f64>) -> Result<Self, Error> {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).ok();
        Ok(Self {
            queued: unsigned(queued, "count")?,
            running: unsigned(running, "count")?,
            next_due_in: next_due_in_s.and_then(seconds),
            overdue_by: next_due_in_s
                .and_then(|due_in_s| seconds(-due_in_s))
                .unwrap_or_default(),
        })
    }
}

/// The queue as the origin may see it: its state, and how many jobs have had all their attempts in vain.
#[tracing::instrument(name = "sql.jobs.queue", skip_all)]
pub async fn queue(pool: &PgPool) -> Result<(Backlog, u64), Error> {
    let (queued, running, dead, next_due_in_s): (i64, i64, i64, Option<f64>) =
        sqlx::query_as("select queued, running, dead, next_due_in_s from ingest_queue()")
            .fetch_one(pool)
            .await?;
    let backlog = Backlog::of(queued, running, next_due_in_s)?;
    Ok((backlog, unsigned(dead, "count")?))
}

fn job(row: JobRow) -> Result<Job, Error> {
    Ok(Job {
        lease: Lease {
            job_id: row.job_id,
            number: row.number,
        },
        attempt: unsigned(row.attempt, "attempt")?,
        file: LibraryFile {
            document_id: DocumentId(row.doc_id),
            owner_id: UserId(row.owner_id),
            format: format(&row.format)?,
            is_base: row.is_base,
        },
        title: row.title,
        size_bytes: unsigned(row.size_bytes, "file size")?,
        sha256: row.sha256,
        visibility: visibility(row.is_public),
        trace: row.traceparent.and_then(|text| text.parse().ok()),
    })
}

fn interval(duration: Duration) -> Result<PgInterval, Error> {
    Ok(PgInterval {
        months: 0,
        days: 0,
        microseconds: signed(duration.as_micros(), "duration")?,
    })
}
