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

/// Embeds all that has no embedding of the library's model. What fails is tried again at the next call.
pub async fn embed_all(pool: &PgPool, embedder: &Embedder) {
    if let Err(error) = try_embed_all(pool, embedder).await {
        tracing::warn!(error = %error, "answers of teachers' own are not embedded for now");
    }
}

async fn try_embed_all(pool: &PgPool, embedder: &Embedder) -> anyhow::Result<()> {
    let live = reembedding::live(pool).await?;
    // An empty library is going to be of this worker's model.
    let model = live.unwrap_or_else(|| embedder.model_and_pooling());
    loop {
        let bare = curated::bare(pool, &model, BATCH).await?;
        if bare.is_empty() {
            return Ok(());
        }
        let (ids, questions): (Vec<_>, Vec<_>) = bare.into_iter().unzip();
        let embeddings = embedder.of(&model)?.embed(&questions).await?;
        for (id, embedding) in ids.iter().zip(&embeddings) {
            curated::embedded(pool, *id, &model, embedding).await?;
        }
    }
}
