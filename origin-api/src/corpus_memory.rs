//! Keeps what is searched at hand. Searches never wait for it.

use crate::{error::chain, metrics::metrics};
use shared_types::claims::AccessClaims;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use storage::{
    PgPool, reader,
    search::{CorpusMemory, Readable},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tracing::Instrument;

/// For reading what one search missed.
const PATIENCE: Duration = Duration::from_mins(1);
/// After reading has failed; twice as long after each further time, up to [`LONGEST_REST`].
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_mins(10);

/// Corpora that were searched lately, and who reads them; cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper {
    pool: PgPool,
    memory: CorpusMemory,
    /// One reading at a time.
    permit: Arc<Semaphore>,
    /// Readings that have failed in a row.
    failures: Arc<AtomicU32>,
}

impl Keeper {
    /// Nothing yet, and never more than so many bytes.
    pub(crate) fn new(pool: PgPool, max_bytes: usize) -> Self {
        Self {
            pool,
            memory: CorpusMemory::new(max_bytes),
            permit: Arc::new(Semaphore::new(1)),
            failures: Arc::default(),
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
            // Held through the rest: nobody else tries meanwhile.
            let _permit = permit;
            let cause = match timeout(PATIENCE, this.read(&claims, &model)).await {
                Ok(Ok(())) => {
                    this.failures.store(0, Ordering::Relaxed);
                    metrics().corpora_loaded("ok", this.memory.bytes());
                    return;
                }
                Ok(Err(error)) => chain(&error),
                Err(_) => "it took too long".to_owned(),
            };
            tracing::warn!(cause, "corpora were not read into memory");
            metrics().corpora_loaded("failed", this.memory.bytes());
            let failures = this.failures.fetch_add(1, Ordering::Relaxed);
            sleep(rest(failures)).await;
        };
        tokio::spawn(loading.instrument(tracing::info_span!(parent: None, "corpus memory")));
    }

    async fn read(&self, claims: &AccessClaims, model: &str) -> Result<(), storage::Error> {
        let mut reader = reader::begin_snapshot(&self.pool, claims).await?;
        let loaded = self.memory.read(&mut reader, model).await?;
        reader.commit().await?;
        self.memory.keep(loaded, Instant::now().into_std());
        Ok(())
    }
}

/// How long nobody tries after so many failures before this one.
fn rest(failures: u32) -> Duration {
    let times = 2_u32.saturating_pow(failures);
    REST.saturating_mul(times).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_again_and_again_rests_ever_longer_but_not_for_ever() {
        let rests: Vec<u64> = (0..8).map(|failures| rest(failures).as_secs()).collect();
        assert_eq!(rests, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(rest(u32::MAX), LONGEST_REST);
    }
}
