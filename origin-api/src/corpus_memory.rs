//! Keeps what is searched at hand. Searches never wait for it.

use crate::{error::chain, metrics::metrics};
use shared_types::claims::AccessClaims;
use std::{sync::Arc, time::Duration};
use storage::{
    PgPool, reader,
    search::{CorpusMemory, Kept, Readable},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, interval, timeout},
};
use tracing::Instrument;

/// For reading what one search missed.
const PATIENCE: Duration = Duration::from_mins(1);
/// From one look for what is to be forgotten to the next.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Corpora that were searched lately, and who reads them; cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper {
    pool: PgPool,
    memory: CorpusMemory,
    /// One reading at a time.
    permit: Arc<Semaphore>,
}

impl Keeper {
    /// Nothing yet, and never more than so many bytes. To be called within a runtime, where what nobody searches any more
    /// is forgotten.
    pub(crate) fn new(pool: PgPool, max_bytes: usize) -> Self {
        let memory = CorpusMemory::new(max_bytes);
        let looked_at = memory.clone();
        tokio::spawn(async move {
            let mut interval = interval(LOOK_EVERY);
            loop {
                looked_at.forget(interval.tick().await.into_std());
                metrics().corpora_held(looked_at.bytes());
            }
        });
        Self {
            pool,
            memory,
            permit: Arc::new(Semaphore::new(1)),
        }
    }

    /// What this reader may read, with its corpora if they are in memory; returns at once. If they are not and could be, they
    /// are read behind everybody's back, under the reader's own rights, for searches to come.
    pub(crate) fn attach(
        &self,
        readable: Readable,
        claims: &AccessClaims,
        embedding_model: &str,
    ) -> Readable {
        let now = Instant::now().into_std();
        let readable = self.memory.attach(readable, embedding_model, now);
        if !readable.is_in_memory() && self.memory.wants(&readable, embedding_model, now) {
            self.load(&readable, claims, embedding_model);
        }
        readable
    }

    fn load(&self, readable: &Readable, claims: &AccessClaims, embedding_model: &str) {
        let Ok(permit) = Arc::clone(&self.permit).try_acquire_owned() else {
            return;
        };
        let (this, readable, claims) = (self.clone(), readable.clone(), claims.clone());
        let model = embedding_model.to_owned();
        let loading = async move {
            let _permit = permit;
            let outcome = match timeout(PATIENCE, this.read(&claims, &model)).await {
                Ok(Ok(Kept::Whole)) => "ok",
                Ok(Ok(Kept::NoRoom)) => "no_room",
                Ok(Ok(Kept::Broken)) => "incomplete",
                failed => {
                    let cause = match failed {
                        Ok(Err(error)) => chain(&error),
                        _ => "it took too long".to_owned(),
                    };
                    tracing::warn!(cause, "corpora were not read into memory");
                    let now = Instant::now().into_std();
                    this.memory.postpone(&readable, &model, now);
                    "failed"
                }
            };
            metrics().corpora_loaded(outcome);
            metrics().corpora_held(this.memory.bytes());
        };
        tokio::spawn(loading.instrument(tracing::info_span!(parent: None, "corpus memory")));
    }

    async fn read(&self, claims: &AccessClaims, model: &str) -> Result<Kept, storage::Error> {
        let mut reader = reader::begin_snapshot(&self.pool, claims).await?;
        let loaded = self.memory.read(&mut reader, model).await?;
        reader.end_reading();
        Ok(self.memory.keep(loaded, Instant::now().into_std()))
    }
}
