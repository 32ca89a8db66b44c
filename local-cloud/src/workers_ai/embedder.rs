//! An encoder as a service: vectors from disk where they are there, else computed one step at a time.

use super::{
    encoder::{Encoder, EncoderError, Step, Tokenised},
    vectors::VectorStore,
};
use shared_types::embedding::Embedding;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;
use tokio::{
    sync::{OnceCell, Semaphore},
    task::JoinError,
};

/// Why there are no vectors.
#[derive(Debug, Error)]
pub enum EmbedError {
    /// The encoder can't be loaded or failed.
    #[error("the encoder failed")]
    Encoder(#[from] EncoderError),
    /// The computation was torn down.
    #[error("the computation was torn down")]
    Interrupted(#[from] JoinError),
}

/// Weights that this process knows how to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderModel {
    /// all-mpnet-base-v2.
    Mpnet,
    /// all-MiniLM-L6-v2.
    MiniLm,
}

impl EncoderModel {
    /// Its folder within the models folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Mpnet => "mpnet",
            Self::MiniLm => "minilm",
        }
    }

    /// Whatever changes the vectors: weights, pooling, longest input.
    fn fingerprint(self) -> &'static str {
        match self {
            Self::Mpnet => "all-mpnet-base-v2/mean/512",
            Self::MiniLm => "all-minilm-l6-v2/mean/512",
        }
    }
}

/// Turns the processor over to one step at a time, and lets a query pass waiting batches.
#[derive(Debug)]
pub struct Lanes {
    /// One batch at a time, so that a query stands behind at most one of their steps.
    batches: Semaphore,
    steps: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            batches: Semaphore::new(1),
            steps: Semaphore::new(1),
        }
    }
}

/// An encoder with its store of vectors; loaded at the first text that needs it.
pub struct Embedder {
    model: EncoderModel,
    folder: PathBuf,
    encoder: OnceCell<Arc<Encoder>>,
    store: Option<Arc<VectorStore>>,
    lanes: Arc<Lanes>,
}

impl Embedder {
    /// An embedder of `model` from the models folder, keeping vectors in `cache`.
    #[must_use]
    pub fn new(
        model: EncoderModel,
        models_dir: &Path,
        cache: Option<&Path>,
        lanes: Arc<Lanes>,
    ) -> Self {
        let store = cache.map(|folder| Arc::new(VectorStore::new(folder, model.fingerprint())));
        Self {
            model,
            folder: models_dir.join(model.folder()),
            encoder: OnceCell::new(),
            store,
            lanes,
        }
    }

    /// Which weights it runs.
    #[must_use]
    pub fn model(&self) -> EncoderModel {
        self.model
    }

    /// Loads the weights now instead of at the first text.
    pub async fn load(&self) -> Result<(), EmbedError> {
        self.encoder().await.map(drop)
    }

    /// The vector of each text, in order. Equal texts are computed once.
    pub async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, EmbedError> {
        let mut vectors = self.stored(texts).await?;
        let missing: Vec<usize> = (0..texts.len())
            .filter(|at| vectors[*at].is_none())
            .collect();
        if !missing.is_empty() {
            let mut distinct: Vec<String> = missing.iter().map(|at| texts[*at].clone()).collect();
            distinct.sort_unstable();
            distinct.dedup();
            let computed = self.compute(distinct.clone()).await?;
            for at in missing {
                let place = distinct.binary_search(&texts[at]).ok();
                vectors[at] = place.map(|place| computed[place].clone());
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    async fn encoder(&self) -> Result<&Arc<Encoder>, EmbedError> {
        self.encoder
            .get_or_try_init(|| async {
                let folder = self.folder.clone();
                let encoder = tokio::task::spawn_blocking(move || Encoder::load(&folder)).await??;
                tracing::info!(model = ?self.model, "encoder loaded");
                Ok(Arc::new(encoder))
            })
            .await
    }

    async fn stored(&self, texts: &[String]) -> Result<Vec<Option<Embedding>>, EmbedError> {
        let Some(store) = self.store.clone() else {
            return Ok(vec![None; texts.len()]);
        };
        let texts = texts.to_vec();
        let read = move || texts.iter().map(|text| store.get(text)).collect();
        Ok(tokio::task::spawn_blocking(read).await?)
    }

    async fn compute(&self, texts: Vec<String>) -> Result<Vec<Embedding>, EmbedError> {
        let encoder = self.encoder().await?;
        let _batch = match texts.len() {
            1 => None,
            // Neither semaphore is ever closed.
            _ => self.lanes.batches.acquire().await.ok(),
        };
        let texts = Arc::new(texts);
        let tokenised = {
            let (encoder, texts) = (encoder.clone(), texts.clone());
            let tokenise = move || {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                encoder.tokenise(&texts)
            };
            Arc::new(tokio::task::spawn_blocking(tokenise).await??)
        };
        let mut vectors = vec![None; texts.len()];
        for step in tokenised.steps() {
            let _turn = self.lanes.steps.acquire().await.ok();
            for (at, vector) in self.run_step(encoder, &texts, &tokenised, step).await? {
                vectors[at] = Some(vector);
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    async fn run_step(
        &self,
        encoder: &Arc<Encoder>,
        texts: &Arc<Vec<String>>,
        tokenised: &Arc<Tokenised>,
        step: Step,
    ) -> Result<Vec<(usize, Embedding)>, EmbedError> {
        let (encoder, texts, tokenised) = (encoder.clone(), texts.clone(), tokenised.clone());
        let store = self.store.clone();
        let run = move || {
            let vectors = encoder.embed(&tokenised, &step)?;
            let vectors: Vec<(usize, Embedding)> = step.into_iter().zip(vectors).collect();
            if let Some(store) = store {
                for (at, vector) in &vectors {
                    if let Err(error) = store.put(&texts[*at], vector) {
                        tracing::warn!(%error, "vector not kept");
                    }
                }
            }
            Ok::<_, EncoderError>(vectors)
        };
        Ok(tokio::task::spawn_blocking(run).await??)
    }
}
