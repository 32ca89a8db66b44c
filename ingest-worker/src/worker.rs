//! The loop that claims jobs.

use crate::{config::Config, discard, document::Pipeline, job};
use secrecy::ExposeSecret;
use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};
use storage::{
    PgPool, PoolSettings,
    jobs::{self, Job, WakeUp},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::Instrument;

/// How long to wait before listening again after the listening connection failed.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Told to.
    Stopped,
    /// The queue is empty, jobs that wait for another attempt included.
    Drained,
}

/// A worker of the ingestion queue.
#[derive(Debug)]
pub struct Worker {
    pool: PgPool,
    pipeline: Arc<Pipeline>,
    config: Config,
    name: String,
}

impl Worker {
    /// Connects to the database and reads the tokenizer. `name` tells workers apart in the queue.
    pub async fn start(config: Config, name: String) -> anyhow::Result<Self> {
        let settings = PoolSettings {
            // A job needs one connection at a time, and now and then one more for its progress; the removal of
            // files needs one.
            max_connections: config.concurrency as u32 + 3,
            application_name: "etude-ingest",
            ..PoolSettings::default()
        };
        let pool = storage::connect(config.database_url.expose_secret(), settings).await?;
        let pipeline = Arc::new(Pipeline::new(&config)?);
        Ok(Self {
            pool,
            pipeline,
            config,
            name,
        })
    }

    /// Works until `stop` is ready or the queue is drained, then lets running jobs finish for a while.
    /// What does not finish is left to its lease: another worker does it again.
    pub async fn run(&self, until: Until, stop: impl Future<Output = ()>) {
        let mut running = JoinSet::new();
        self.work(until, stop, &mut running).await;
        self.drain(running).await;
        if until == Until::Drained {
            discard::remove_due(&self.pool, &self.pipeline.store).await;
        }
        self.pool.close().await;
    }

    /// Claims jobs, and removes files, until there is no need to go on. Nothing but `running` goes on after that.
    async fn work(&self, until: Until, stop: impl Future<Output = ()>, running: &mut JoinSet<()>) {
        tokio::pin!(stop);
        let url = self.config.database_url.expose_secret();
        let wake = Arc::new(tokio::sync::Notify::new());
        let listener = listen(url, &wake);
        tokio::pin!(listener);
        let removal =
            discard::keep_removing(&self.pool, &self.pipeline.store, self.config.rhythm.sweep);
        tokio::pin!(removal);
        loop {
            let idle = self.claim_all(running).await;
            if idle && running.is_empty() && until == Until::Drained && self.is_drained().await {
                break;
            }
            tokio::select! {
                () = &mut stop => break,
                never = &mut listener => match never {},
                never = &mut removal => match never {},
                () = wake.notified(), if running.len() < self.config.concurrency => {}
                () = sleep(self.pause(until).await), if running.len() < self.config.concurrency => {}
                Some(done) = running.join_next() => report(done),
            }
        }
    }

    /// Claims until all hands are full. `true`: nothing more is due.
    async fn claim_all(&self, running: &mut JoinSet<()>) -> bool {
        while running.len() < self.config.concurrency {
            match jobs::claim(&self.pool, &self.name, self.config.rhythm.lease).await {
                Ok(Some(job)) => self.spawn(running, job),
                Ok(None) => return true,
                Err(error) => {
                    tracing::error!(error = %error, "no job could be claimed");
                    return false;
                }
            }
        }
        false
    }

    fn spawn(&self, running: &mut JoinSet<()>, job: Job) {
        let (pool, pipeline) = (self.pool.clone(), Arc::clone(&self.pipeline));
        let rhythm = self.config.rhythm;
        let work = async move { job::run(&pool, &pipeline, &rhythm, &job).await };
        running.spawn(work.in_current_span());
    }

    async fn is_drained(&self) -> bool {
        match jobs::backlog(&self.pool).await {
            Ok(backlog) => backlog.queued == 0,
            Err(error) => {
                tracing::error!(error = %error, "the queue can't be counted");
                false
            }
        }
    }

    /// A sweep's wait; shorter where a drained queue is waited for and the next attempt is due sooner.
    async fn pause(&self, until: Until) -> Duration {
        let sweep = self.config.rhythm.sweep;
        if until == Until::Stopped {
            return sweep;
        }
        let backlog = jobs::backlog(&self.pool).await.ok();
        let due = backlog.and_then(|backlog| backlog.next_due_in);
        due.map_or(sweep, |due| due.clamp(Duration::from_millis(20), sweep))
    }

    async fn drain(&self, mut running: JoinSet<()>) {
        if running.is_empty() {
            return;
        }
        tracing::info!(jobs = running.len(), "finishing running jobs");
        let all = async {
            while let Some(done) = running.join_next().await {
                report(done);
            }
        };
        if timeout(self.config.rhythm.drain, all).await.is_err() {
            tracing::warn!("jobs were left to their leases");
        }
    }
}

fn report(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(error = %error, "a job's task panicked; its lease will run out");
    }
}

/// Turns announcements of the database into wake-ups. Without them, sweeps find every job all the same.
async fn listen(url: &str, wake: &tokio::sync::Notify) -> Infallible {
    loop {
        let error = match WakeUp::listen(url).await {
            Ok(mut announcements) => loop {
                match announcements.wait().await {
                    Ok(()) => wake.notify_one(),
                    Err(error) => break error,
                }
            },
            Err(error) => error,
        };
        tracing::warn!(error = %error, "not listening for jobs; sweeping only");
        sleep(LISTEN_AGAIN).await;
    }
}
