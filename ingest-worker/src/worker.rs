//! The loop that claims jobs.

use crate::{
    config::Config,
    curated, discard,
    document::Pipeline,
    job::{self, End},
};
use secrecy::ExposeSecret;
use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};
use storage::{
    PgPool, PoolSettings,
    jobs::{self, Job, WakeUp},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::Instrument;

/// How long to wait before listening again after the listening connection failed.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);

/// How long it may take to hand jobs back. Together with [`Rhythm::drain`] less than the ten seconds that Cloud Run
/// leaves a task between its two signals.
///
/// [`Rhythm::drain`]: crate::config::Rhythm::drain
const HAND_BACK: Duration = Duration::from_secs(3);

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
    pub(crate) pool: PgPool,
    pub(crate) pipeline: Arc<Pipeline>,
    config: Config,
    name: String,
}

impl Worker {
    /// Looks for what a worker needs, reads the tokenizer and connects to the database. `name` tells workers apart in the
    /// queue.
    pub async fn start(config: Config, name: String) -> anyhow::Result<Self> {
        let pipeline = Arc::new(Pipeline::new(&config)?);
        let settings = PoolSettings {
            // A job needs one connection at a time, and now and then one more for its progress; the removal of
            // files needs one, and so do teachers' own answers.
            max_connections: config.concurrency as u32 + 4,
            application_name: "etude-ingest",
            ..PoolSettings::default()
        };
        let pool = storage::connect(config.database_url.expose_secret(), settings).await?;
        Ok(Self {
            pool,
            pipeline,
            config,
            name,
        })
    }

    /// The worker's connections.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Works until `stop` is ready or the queue is drained, then lets running jobs finish for a while.
    /// What does not finish is handed back: another worker does it.
    pub async fn run(&self, until: Until, stop: impl Future<Output = ()>) {
        self.work_off(until, stop).await;
        if until == Until::Drained {
            discard::remove_due(&self.pool, &self.pipeline.store).await;
            curated::embed_all(&self.pool, &self.pipeline.embedder).await;
        }
        self.pool.close().await;
    }

    /// As [`Worker::run`], which it leaves able to go on; says what became of the jobs.
    pub(crate) async fn work_off(&self, until: Until, stop: impl Future<Output = ()>) -> Tally {
        let mut running = Running {
            jobs: JoinSet::new(),
            give_up: watch::Sender::new(false),
            tally: Tally::default(),
        };
        self.work(until, stop, &mut running).await;
        self.drain(&mut running).await;
        running.tally
    }

    /// Claims jobs, removes files, and embeds teachers' own answers, until there is no need to go on. Nothing but `running`
    /// goes on after that.
    async fn work(&self, until: Until, stop: impl Future<Output = ()>, running: &mut Running) {
        tokio::pin!(stop);
        let url = self.config.database_url.expose_secret();
        let wake = Arc::new(tokio::sync::Notify::new());
        let listener = listen(url, &wake);
        tokio::pin!(listener);
        let removal =
            discard::keep_removing(&self.pool, &self.pipeline.store, self.config.rhythm.sweep);
        tokio::pin!(removal);
        let pause = self.config.rhythm.sweep;
        let embedding = curated::keep_embedding(&self.pool, &self.pipeline.embedder, pause);
        tokio::pin!(embedding);
        loop {
            let idle = self.claim_all(running).await;
            if idle && running.jobs.is_empty() && until == Until::Drained && self.is_drained().await
            {
                break;
            }
            tokio::select! {
                () = &mut stop => break,
                never = &mut listener => match never {},
                never = &mut removal => match never {},
                never = &mut embedding => match never {},
                () = wake.notified(), if running.jobs.len() < self.config.concurrency => {}
                () = sleep(self.pause(until).await), if running.jobs.len() < self.config.concurrency => {}
                Some(done) = running.jobs.join_next() => running.tally.count(done),
            }
        }
    }

    /// Claims until all hands are full. `true`: nothing more is due.
    async fn claim_all(&self, running: &mut Running) -> bool {
        while running.jobs.len() < self.config.concurrency {
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

    fn spawn(&self, running: &mut Running, job: Job) {
        let (pool, pipeline) = (self.pool.clone(), Arc::clone(&self.pipeline));
        let (rhythm, given_up) = (self.config.rhythm, running.give_up.subscribe());
        let work = async move { job::run(&pool, &pipeline, &rhythm, &job, given_up).await };
        running.jobs.spawn(work.in_current_span());
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

    async fn drain(&self, running: &mut Running) {
        if running.jobs.is_empty() {
            return;
        }
        tracing::info!(jobs = running.jobs.len(), "finishing running jobs");
        if timeout(self.config.rhythm.drain, running.all())
            .await
            .is_ok()
        {
            return;
        }
        running.give_up.send_replace(true);
        if timeout(HAND_BACK, running.all()).await.is_err() {
            tracing::warn!(jobs = running.jobs.len(), "jobs were left to their leases");
        }
    }
}

/// The jobs in hand.
struct Running {
    jobs: JoinSet<End>,
    /// Told `true` once they are to be handed back.
    give_up: watch::Sender<bool>,
    tally: Tally,
}

impl Running {
    /// Returns when all have ended.
    async fn all(&mut self) {
        while let Some(done) = self.jobs.join_next().await {
            self.tally.count(done);
        }
    }
}

/// How many jobs ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Documents that are searchable.
    pub searchable: u64,
    /// Documents that failed, with a reason for their owners.
    pub failed: u64,
    /// Attempts that are made again, by whichever worker.
    pub again: u64,
}

impl Tally {
    fn count(&mut self, done: Result<End, tokio::task::JoinError>) {
        match done {
            Ok(End::Searchable) => self.searchable += 1,
            Ok(End::Failed) => self.failed += 1,
            Ok(End::WillRetry | End::HandedBack | End::Lost) => self.again += 1,
            Err(error) => {
                // tokio's own words would quote the panic, which may quote the document; the panic's line names its place.
                let error = std::io::Error::from(error);
                tracing::error!(error = %error, "a job's task panicked; its lease will run out");
                self.again += 1;
            }
        }
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
