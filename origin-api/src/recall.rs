//! What searches miss: now and then one is made once more, exactly, behind everybody's back.

use crate::{error::chain, metrics::metrics};
use shared_types::{claims::AccessClaims, embedding::Embedding, ids::ChunkId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use storage::{
    PgPool, reader,
    search::{self, Ranked, SearchRequest},
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::Instrument;

/// Of so many of the nearest passages it is said how many were found.
const NEAREST: usize = 10;
/// For one exact search.
const PATIENCE: Duration = Duration::from_secs(10);
/// From one to the next: however much is asked, measuring takes no more than a fraction of the database's time.
const REST: Duration = Duration::from_secs(2);

/// Picks searches and measures them; cheap to clone.
#[derive(Clone)]
pub struct RecallSample {
    pool: PgPool,
    every: u64,
    searches: Arc<AtomicU64>,
    /// One at a time, and none soon after it: it reads every vector.
    permit: Arc<Semaphore>,
}

/// A search that was picked.
pub struct Picked {
    /// Whose it was.
    pub claims: AccessClaims,
    /// Of what.
    pub embedding: Embedding,
    /// Model and pooling of the embedding.
    pub embedding_model: String,
    /// By which plan.
    pub plan: &'static str,
    /// What it found, best first.
    pub found: Vec<ChunkId>,
}

impl RecallSample {
    /// Picks one of `every` searches; none where that is zero.
    #[must_use]
    pub fn new(pool: PgPool, every: u64) -> Self {
        Self {
            pool,
            every,
            searches: Arc::default(),
            permit: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether the search that has just been made is to be measured.
    #[must_use]
    pub fn picks(&self) -> bool {
        let nth = self.searches.fetch_add(1, Ordering::Relaxed);
        self.every > 0 && nth.is_multiple_of(self.every)
    }

    /// Measures a search; returns at once. Where another is being measured, or the database has no time, it is let go.
    pub fn measure(&self, picked: Picked) {
        let Ok(permit) = Arc::clone(&self.permit).try_acquire_owned() else {
            return;
        };
        let pool = self.pool.clone();
        let measuring = async move {
            let _permit = permit;
            match timeout(PATIENCE, exact(&pool, &picked)).await {
                Ok(Ok(nearest)) => {
                    if let Some(share) = recall(&nearest, &picked.found) {
                        metrics().recalled(picked.plan, share);
                    }
                }
                Ok(Err(error)) => tracing::warn!(cause = chain(&error), "recall was not measured"),
                Err(_) => tracing::warn!("recall was not measured in time"),
            }
            sleep(REST).await;
        };
        tokio::spawn(measuring.instrument(tracing::info_span!(parent: None, "recall sample")));
    }
}

async fn exact(pool: &PgPool, picked: &Picked) -> Result<Vec<Ranked>, storage::Error> {
    let mut reader = reader::begin_snapshot(pool, &picked.claims).await?;
    let readable = search::readable(&mut reader).await?;
    let request = SearchRequest {
        query: "",
        embedding: Some(&picked.embedding),
        embedding_model: &picked.embedding_model,
    };
    let exact = search::exactly(&mut reader, &readable, &picked.embedding, &request).await?;
    reader.commit().await?;
    Ok(exact)
}

/// The share of the nearest that are among the first that were found; none where there is nothing to find. A passage as
/// near as the last of them is as good as that one.
fn recall(nearest: &[Ranked], found: &[ChunkId]) -> Option<f64> {
    let last = nearest.get(NEAREST - 1).or(nearest.last())?;
    let found = &found[..found.len().min(NEAREST)];
    let near_enough = nearest.iter().take_while(|it| it.score <= last.score);
    let hits = near_enough
        .filter(|it| found.contains(&it.chunk_id))
        .count();
    Some(hits as f64 / nearest.len().min(NEAREST) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> ChunkId {
        ChunkId(Uuid::from_u128(n))
    }

    fn at(distances: &[f64]) -> Vec<Ranked> {
        let ranked = distances.iter().zip(1..);
        let ranked = ranked.map(|(&score, n)| Ranked {
            chunk_id: id(n),
            score,
        });
        ranked.collect()
    }

    #[test]
    fn recall_is_the_share_of_the_ten_nearest_that_were_found() {
        let nearest = at(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1]);
        let found: Vec<ChunkId> = (1..=10).map(id).collect();
        assert_eq!(recall(&nearest, &found), Some(1.0));
        let found: Vec<ChunkId> = (3..=12).map(id).collect();
        assert_eq!(recall(&nearest, &found), Some(0.8));
    }

    #[test]
    fn of_passages_equally_near_either_will_do_and_fewer_than_ten_are_all_that_there_is() {
        let mut nearest = at(&[0.1; 12]);
        let found: Vec<ChunkId> = (3..=12).map(id).collect();
        assert_eq!(recall(&nearest, &found), Some(1.0));
        nearest.truncate(4);
        assert_eq!(recall(&nearest, &[id(1), id(2)]), Some(0.5));
        assert_eq!(recall(&[], &[]), None);
    }

    #[tokio::test]
    async fn the_first_of_so_many_searches_is_picked_and_none_where_nobody_wants_to_know() {
        let pool = sqlx::postgres::PgPoolOptions::new()
            .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
            .unwrap();
        let sample = RecallSample::new(pool.clone(), 3);
        let picked: Vec<bool> = (0..6).map(|_| sample.picks()).collect();
        assert_eq!(picked, [true, false, false, true, false, false]);
        assert!(!RecallSample::new(pool, 0).picks());
    }
}
