//! Keeps the vectors of what is searched at hand. Searches never wait for it.

use crate::{error::chain, metrics::metrics};
use shared_types::claims::AccessClaims;
use std::{sync::Arc, time::Duration};
use storage::{PgPool, reader, search::Readable};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tracing::Instrument;

/// For reading what one search missed.
const PATIENCE: Duration = Duration::from_mins(1);
/// After that has failed.
const REST: Duration = Duration::from_secs(10);

/// The vectors of corpora that were searched lately, and who reads them; cheap to clone.
#[derive(Clone)]
pub(crate) struct VectorMemory {
    pool: PgPool,
    memory: storage::search::VectorMemory,
    /// One reading at a time.
    permit: Arc<Semaphore>,
}

impl VectorMemory {
    /// Nothing yet, and never more than so many bytes.
    pub(crate) fn new(pool: PgPool, max_bytes: usize) -> Self {
        Self {
            pool,
            memory: storage::search::VectorMemory::new(max_bytes),
            permit: Arc::new(Semaphore::new(1)),
        }
    }

    /// What this reader may read, with its vectors if they are in memory; returns at once. If they are not and could be,
    /// they are read behind everybody's back, under the reader's own rights, for searches to come.
    pub(crate) fn attach(
        &self,
        readable: Readable,
        claims: &AccessClaims,
        embedding_model: &str,
    ) -> Readable {
        let now = Instant::now().into_std();
        let readable = self.memory.attach(readable, embedding_model, now);
        if !readable.is_in_memory() && self.memory.wants(&readable, embedding_model, now) {
            self.load(claims, embedding_model);
        }
        readable
    }

    fn load(&self, claims: &AccessClaims, embedding_model: &str) {
        let Ok(permit) = Arc::clone(&self.permit).try_acquire_owned() else {
            return;
        };
        let (this, claims, model) = (self.clone(), claims.clone(), embedding_model.to_owned());
        let loading = async move {
            let _permit = permit;
            let outcome = match timeout(PATIENCE, this.read(&claims, &model)).await {
                Ok(Ok(())) => "ok",
                Ok(Err(error)) => {
                    tracing::warn!(cause = chain(&error), "vectors were not read into memory");
                    "failed"
                }
                Err(_) => {
                    tracing::warn!("vectors were not read into memory in time");
                    "failed"
                }
            };
            metrics().vectors_loaded(outcome, this.memory.bytes());
            if outcome == "failed" {
                sleep(REST).await;
            }
        };
        tokio::spawn(loading.instrument(tracing::info_span!(parent: None, "vector memory")));
    }

    async fn read(&self, claims: &AccessClaims, model: &str) -> Result<(), storage::Error> {
        let mut reader = reader::begin_snapshot(&self.pool, claims).await?;
        let now = Instant::now().into_std();
        self.memory.load(&mut reader, model, now).await?;
        reader.commit().await
    }
}
