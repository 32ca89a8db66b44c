//! Another embedding model in the place of the one that is searched: `docs/REEMBEDDING.md` is the order of steps.

use crate::embedder::{BATCH, Embedder};
use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::time::Duration;
use storage::{
    Error, PgPool,
    reembedding::{self, Bare, Place, Standby, Standing},
};
use tokio::time::sleep;

/// Passages stored in one transaction: what a killed run does again.
const PAGE: u32 = 256;
/// Requests to the embedding service at a time.
const CONCURRENCY: usize = 4;
/// How often a step is tried against transactions in its way, a second apart.
const TRIES: u32 = 30;

/// How far a building is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Passages with the new vector.
    pub done: u64,
    /// Passages that were there at the start.
    pub total: u64,
}

/// Embeds whatever passage lacks a vector of this model, and stores it beside the live one. Goes on where an earlier
/// run was stopped. Done when a pass finds nothing to do; what is uploaded afterwards is [`switch`]'s.
pub async fn build(
    pool: &PgPool,
    embedder: &Embedder,
    mut tell: impl FnMut(Progress),
) -> anyhow::Result<()> {
    let name = embedder.model_and_pooling();
    match reembedding::begin(pool, embedder.model(), "cls").await {
        Err(Error::Conflict) => bail!(
            "{name} can't be built now: {}",
            describe(&reembedding::standing(pool).await?)
        ),
        begun => begun?,
    }
    let standing = reembedding::standing(pool).await?;
    let mut progress = Progress {
        done: standing.beside,
        total: standing.passages,
    };
    tell(progress);
    while let stored @ 1.. = pass(pool, embedder, &mut |stored| {
        progress.done += stored;
        progress.total = progress.total.max(progress.done);
        tell(progress);
    })
    .await?
    {
        tracing::info!(stored, "passages embedded");
    }
    Ok(())
}

/// Builds what is missing and switches over; returns once searches find by this model.
pub async fn switch(
    pool: &PgPool,
    embedder: &Embedder,
    mut tell: impl FnMut(Progress),
) -> anyhow::Result<()> {
    let name = embedder.model_and_pooling();
    for _ in 0..TRIES {
        build(pool, embedder, &mut tell).await?;
        match reembedding::switch(pool, &name).await {
            Ok(0) => return Ok(()),
            // Uploaded since the last pass.
            Ok(missing) => tracing::info!(missing, "passages came in between"),
            Err(Error::Unavailable(error)) => {
                tracing::warn!(error = %error, "a long transaction is in the way");
                sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("{name} was not switched to in {TRIES} tries; it can be tried again at any time")
}

/// Where things stand, in a sentence.
#[must_use]
pub fn describe(standing: &Standing) -> String {
    let Some(live) = &standing.live else {
        return "the library is empty; its first document decides the model".to_owned();
    };
    let Standing {
        passages, beside, ..
    } = standing;
    match &standing.standby {
        Standby::Empty => format!("{passages} passages are searched by {live}"),
        Standby::Building(name) => format!(
            "{passages} passages are searched by {live}; {beside} of them have their vector of {name}"
        ),
        Standby::Former(name) => format!(
            "{passages} passages are searched by {live}; the vectors of {name} are still kept"
        ),
    }
}

/// Goes through all passages once; returns how many were embedded.
async fn pass(
    pool: &PgPool,
    embedder: &Embedder,
    stored: &mut impl FnMut(u64),
) -> anyhow::Result<u64> {
    let (mut place, mut all) = (Place::START, 0);
    loop {
        let page = reembedding::bare(pool, place, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        place = last.place;
        let done = page.len() as u64;
        embed_and_store(pool, embedder, page).await?;
        all += done;
        stored(done);
    }
}

async fn embed_and_store(
    pool: &PgPool,
    embedder: &Embedder,
    page: Vec<Bare>,
) -> anyhow::Result<()> {
    let texts: Vec<Vec<String>> = page
        .chunks(BATCH)
        .map(|batch| batch.iter().map(|bare| bare.content.clone()).collect())
        .collect();
    let vectors: Vec<_> = stream::iter(texts)
        .map(async |texts| embedder.embed(&texts).await)
        .buffered(CONCURRENCY)
        .try_collect()
        .await
        .context("passages were not embedded")?;
    let with_vectors: Vec<_> = page
        .into_iter()
        .zip(vectors.into_iter().flatten())
        .collect();
    let name = embedder.model_and_pooling();
    for _ in 1..TRIES {
        match reembedding::store(pool, &name, &with_vectors).await {
            Err(Error::Unavailable(error)) => {
                tracing::warn!(error = %error, "passages were not stored");
                sleep(Duration::from_secs(1)).await;
            }
            stored => return Ok(stored?),
        }
    }
    Ok(reembedding::store(pool, &name, &with_vectors).await?)
}
