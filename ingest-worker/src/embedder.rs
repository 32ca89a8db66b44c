//! Embedding passages through the REST API of Workers AI.

use crate::{config::EmbeddingConfig, metrics::metrics};
use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use shared_types::{
    embedding::{DIMENSIONS, Embedding, EmbeddingError},
    workers_ai::{EmbeddingInput, EmbeddingOutput, Pooling, RestEnvelope},
};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// Texts in one request: few enough that a slow encoder answers in time.
pub const BATCH: usize = 32;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
const MAX_RETRIES: usize = 5;
/// The longest wait that the service may ask for.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Why passages were not embedded.
#[derive(Debug, Error)]
pub enum EmbedError {
    /// No answer.
    #[error("the embedding service did not answer")]
    Request(#[from] reqwest::Error),
    /// An answer other than success.
    #[error("the embedding service answered {status} (codes {codes:?})")]
    Status {
        /// The HTTP status.
        status: u16,
        /// Cloudflare's error codes.
        codes: Vec<u32>,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Success, and no vectors that fit the texts.
    #[error("the embedding service sent {vectors} vectors of shape {shape:?} for {texts} texts")]
    Shape {
        /// Texts sent.
        texts: usize,
        /// Vectors received.
        vectors: usize,
        /// What the service says that it sent.
        shape: Vec<usize>,
    },
    /// Vectors of another pooling can't be compared with ours.
    #[error("the embedding service used another pooling than it was asked for")]
    Pooling,
    /// A vector that is none.
    #[error("the embedding service sent a vector that is none")]
    Vector(#[from] EmbeddingError),
}

impl EmbedError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Request(error) => !error.is_builder(),
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Shape { .. } | Self::Pooling | Self::Vector(_) => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A client of one embedding model.
#[derive(Clone, Debug)]
pub struct Embedder {
    client: reqwest::Client,
    /// Of all models; a model's name follows.
    base: String,
    token: SecretString,
    model: String,
    backoff: ExponentialBuilder,
}

impl Embedder {
    /// A client of `config.model`.
    pub fn new(config: &EmbeddingConfig) -> anyhow::Result<Self> {
        let base = config.api_base.as_str().trim_end_matches('/');
        let account = &config.account_id;
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            base: format!("{base}/accounts/{account}/ai/run/"),
            token: config.api_token.clone(),
            model: config.model.clone(),
            backoff: ExponentialBuilder::default()
                .with_min_delay(config.retry_delay)
                .with_max_delay(Duration::from_secs(20))
                .with_max_times(MAX_RETRIES)
                .with_jitter(),
        })
    }

    /// A client of another model, which is given with its pooling; [`EmbedError::Pooling`] where that is not ours.
    pub fn of(&self, model_and_pooling: &str) -> Result<Self, EmbedError> {
        let model = model_and_pooling
            .strip_suffix("#cls")
            .ok_or(EmbedError::Pooling)?;
        Ok(Self {
            model: model.to_owned(),
            ..self.clone()
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Model and pooling, as stored beside every vector: `@cf/baai/bge-base-en-v1.5#cls`.
    #[must_use]
    pub fn model_and_pooling(&self) -> String {
        format!("{}#cls", self.model)
    }

    /// One vector per text, in order; at most [`BATCH`] texts. Tries again after 408, 429, 5xx and silence.
    pub async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, EmbedError> {
        let input = EmbeddingInput {
            text: texts.to_vec(),
            pooling: Pooling::Cls,
        };
        (|| self.counted(&input))
            .retry(self.backoff)
            .when(EmbedError::is_transient)
            .adjust(|error, wait| match error.retry_after() {
                Some(asked) => wait.map(|wait| wait.max(asked.min(MAX_WAIT))),
                None => wait,
            })
            .notify(|error, wait| {
                tracing::warn!(error = %error, wait_ms = wait.as_millis(), "embedding will be tried again");
            })
            .await
    }

    async fn counted(&self, input: &EmbeddingInput) -> Result<Vec<Embedding>, EmbedError> {
        let begun = Instant::now();
        let embedded = self.request(input).await;
        metrics().embedded(embedded.is_ok(), begun.elapsed());
        embedded
    }

    async fn request(&self, input: &EmbeddingInput) -> Result<Vec<Embedding>, EmbedError> {
        let request = self
            .client
            .post(format!("{}{}", self.base, self.model))
            .bearer_auth(self.token.expose_secret())
            .json(input);
        let response = request.send().await?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = response.bytes().await?;
        let envelope = serde_json::from_slice::<RestEnvelope<EmbeddingOutput>>(&body).ok();
        match envelope {
            Some(RestEnvelope {
                result: Some(output),
                success: true,
                ..
            }) if status.is_success() => vectors(input.text.len(), output),
            envelope => Err(EmbedError::Status {
                // Success without a result is a failure of the service.
                status: if status.is_success() {
                    502
                } else {
                    status.as_u16()
                },
                codes: envelope
                    .map(|envelope| envelope.errors.iter().map(|error| error.code).collect())
                    .unwrap_or_default(),
                retry_after,
            }),
        }
    }
}

fn vectors(texts: usize, output: EmbeddingOutput) -> Result<Vec<Embedding>, EmbedError> {
    if output.shape != [texts, DIMENSIONS] || output.data.len() != texts {
        return Err(EmbedError::Shape {
            texts,
            vectors: output.data.len(),
            shape: output.shape,
        });
    }
    if output
        .pooling
        .is_some_and(|pooling| pooling != Pooling::Cls)
    {
        return Err(EmbedError::Pooling);
    }
    let vectors = output.data.into_iter().map(Embedding::new);
    Ok(vectors.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(texts: usize, dimensions: usize, pooling: Option<Pooling>) -> EmbeddingOutput {
        EmbeddingOutput {
            shape: vec![texts, dimensions],
            data: vec![vec![0.5; dimensions]; texts],
            pooling,
        }
    }

    #[test]
    fn vectors_of_another_count_dimension_or_pooling_are_refused() {
        assert_eq!(vectors(2, output(2, 768, None)).unwrap().len(), 2);
        assert!(matches!(
            vectors(2, output(1, 768, None)),
            Err(EmbedError::Shape { .. })
        ));
        assert!(matches!(
            vectors(2, output(2, 384, None)),
            Err(EmbedError::Shape { .. })
        ));
        assert!(matches!(
            vectors(1, output(1, 768, Some(Pooling::Mean))),
            Err(EmbedError::Pooling)
        ));
    }
}
