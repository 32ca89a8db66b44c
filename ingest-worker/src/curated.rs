//! Embeds the questions that teachers have answered themselves, so that those close to them are found.

use crate::embedder::{BATCH, Embedder};
use std::{convert::Infallible, time::Duration};
use storage::{PgPool, curated, reembedding};
use tokio::time::sleep;

/// Embeds what has no embedding of the library's model, over and over.
pub async fn keep_embedding(pool: &PgPool, embedder: &Embedder, pause: Duration) -> Infallible {
    loop {
        embed_all(pool, embedder).await;
        sleep(pause).await;
    }
}

/// Embeds all that has no embedding of the library's model; returns how many were embedded. What fails is tried again at
/// the next call.
pub async fn embed_all(pool: &PgPool, embedder: &Embedder) -> u64 {
    let mut done = 0;
    loop {
        match embed_some(pool, embedder).await {
            Ok(0) => return done,
            Ok(more) => done += more,
            Err(error) => {
                tracing::warn!(error = %error, "answers of teachers' own are not embedded for now");
                return done;
            }
        }
    }
}

async fn embed_some(pool: &PgPool, embedder: &Embedder) -> anyhow::Result<u64> {
    let live = reembedding::standing(pool).await?.live;
    // An empty library is going to be of this worker's model.
    let model = live.unwrap_or_else(|| embedder.model_and_pooling());
    let bare = curated::bare(pool, &model, BATCH).await?;
    if bare.is_empty() {
        return Ok(0);
    }
    let (ids, questions): (Vec<_>, Vec<_>) = bare.into_iter().unzip();
    let embeddings = embedder.of(&model)?.embed(&questions).await?;
    for (id, embedding) in ids.iter().zip(&embeddings) {
        curated::embedded(pool, *id, &model, embedding).await?;
    }
    Ok(ids.len() as u64)
}
