//! What is done every night: documents that are stuck, the queue, files that are due to go, and passages that lack the
//! vector of a model that is being built. Each step may be broken off anywhere and done again.
//!
//! Live vectors are never of another model than the library's: the database takes no others. What can lack is a
//! passage, which is found by its document's count, or a vector beside the live ones.

use crate::{
    curated, discard,
    job::told,
    reembed,
    worker::{Tally, Until, Worker},
};
use std::{fmt, future::Future};
use storage::{
    jobs,
    reembedding::{self, Standby},
};
use tokio::sync::watch;

/// What a night's run found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Documents without a job that would end them, or without all of their passages: queued again.
    pub stuck: u64,
    /// What became of the queue's jobs.
    pub jobs: Tally,
    /// Uploads that were never confirmed.
    pub uploads_forgotten: u64,
    /// Files of deleted documents.
    pub files_removed: u64,
    /// Passages that got their vector of the model that is being built.
    pub passages_embedded: u64,
    /// Jobs that still wait or are in another worker's hands.
    pub left: u64,
    is_whole: bool,
}

impl Report {
    /// Whether every step was done. `false`: the run was told to stop before that.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("documents that were stuck, queued again", self.stuck),
            ("documents made searchable", self.jobs.searchable),
            ("documents that failed", self.jobs.failed),
            ("attempts that are made again", self.jobs.again),
            (
                "uploads that nobody confirmed, forgotten",
                self.uploads_forgotten,
            ),
            ("files of deleted documents, removed", self.files_removed),
            (
                "passages embedded for the model that is built",
                self.passages_embedded,
            ),
            ("jobs left", self.left),
        ];
        for (place, (what, count)) in rows.iter().enumerate() {
            let end = if place + 1 == rows.len() { "" } else { "\n" };
            write!(f, "{what:<48}{count:>8}{end}")?;
        }
        Ok(())
    }
}

/// Does all of it, or what can be done until `stop` is ready.
pub async fn run(worker: &Worker, stop: impl Future<Output = ()>) -> anyhow::Result<Report> {
    let stopped = watch::Sender::new(false);
    let mut report = Report::default();
    {
        let night = steps(worker, stopped.subscribe(), &mut report);
        tokio::pin!(night);
        tokio::select! {
            done = &mut night => done?,
            () = stop => {
                stopped.send_replace(true);
                // The worker hands its jobs back.
                night.await?;
            }
        }
    }
    Ok(report)
}

async fn steps(
    worker: &Worker,
    stop: watch::Receiver<bool>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (pool, store) = (&worker.pool, &worker.pipeline.store);
    report.stuck = jobs::requeue_stuck(pool).await?;
    report.uploads_forgotten = discard::expire_uploads(pool).await;
    discard::expire_invitations(pool).await;
    curated::embed_all(pool, &worker.pipeline.embedder).await;
    while let removed @ 1.. = discard::remove_due(pool, store).await {
        report.files_removed += removed;
        if *stop.borrow() {
            return Ok(());
        }
    }
    report.jobs = worker.work_off(Until::Drained, told(stop.clone())).await;
    let rest = async {
        report.passages_embedded = go_on_building(worker).await?;
        let backlog = jobs::backlog(pool).await?;
        report.left = backlog.queued + backlog.running;
        report.is_whole = true;
        anyhow::Ok(())
    };
    tokio::select! {
        done = rest => done,
        () = told(stop) => Ok(()),
    }
}

/// Goes on with the building of a model, where one was begun. To begin and to switch is an operator's.
async fn go_on_building(worker: &Worker) -> anyhow::Result<u64> {
    let standing = reembedding::standing(&worker.pool).await?;
    let Standby::Building(name) = standing.standby else {
        return Ok(0);
    };
    let embedder = worker.pipeline.embedder.of(&name)?;
    let mut last = standing.beside;
    reembed::build(&worker.pool, &embedder, |progress| last = progress.done).await?;
    Ok(last - standing.beside)
}
