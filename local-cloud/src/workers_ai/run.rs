//! One run of one model, whichever face it came through.

use super::{EmbedError, EncoderModel, WorkersAi, rerank::rerank};
use crate::faults::{Target, Verdict};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared_types::{
    embedding::DIMENSIONS,
    workers_ai::{EmbeddingOutput, MAX_EMBEDDING_BATCH, Pooling, RerankInput, RerankOutput},
};
use thiserror::Error;
use tokio::try_join;

/// Why a run failed, as Cloudflare numbers it
/// (<https://developers.cloudflare.com/workers-ai/platform/errors/>).
#[derive(Debug, Error)]
pub(super) enum RunError {
    #[error("AiError: Bad input: {0}")]
    BadInput(String),
    #[error("No such model {0} or task")]
    NoSuchModel(String),
    #[error("Request is too large: at most {MAX_EMBEDDING_BATCH} texts")]
    TooLarge,
    #[error("Request timeout")]
    Timeout,
    #[error("Capacity temporarily exceeded, please try again.")]
    NoCapacity { retry_after_s: Option<u32> },
    #[error("AiError: internal server error")]
    Demanded {
        status: StatusCode,
        retry_after_s: Option<u32>,
    },
    #[error("the connection is cut")]
    Cut,
    #[error("AiError: the model failed")]
    Model(#[from] EmbedError),
}

impl RunError {
    pub(super) fn code(&self) -> u32 {
        match self {
            Self::BadInput(_) => 5006,
            Self::NoSuchModel(_) => 5007,
            Self::TooLarge => 3006,
            Self::Timeout => 3007,
            Self::NoCapacity { .. } => 3040,
            // 8007 is what the service sends where a model breaks; it is in no list.
            Self::Demanded { .. } | Self::Cut | Self::Model(_) => 8007,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::BadInput(_) | Self::NoSuchModel(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::NoCapacity { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Demanded { status, .. } => *status,
            Self::Cut | Self::Model(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::NoCapacity { retry_after_s } | Self::Demanded { retry_after_s, .. } => {
                *retry_after_s
            }
            _ => None,
        }
    }
}

/// What a model yields.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Output {
    Embedding(EmbeddingOutput),
    Rerank(RerankOutput),
}

/// The embedding model's input as the service takes it; ours always sends a list and a pooling.
#[derive(Deserialize)]
struct EmbeddingRequest {
    text: Texts,
    #[serde(default)]
    pooling: Option<Pooling>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Embedding(EncoderModel),
    Reranker,
}

/// What a model id means here; `default` stands for `bge-base`.
fn model(id: &str, default: EncoderModel) -> Option<Model> {
    let id = id.to_lowercase();
    if id.contains("reranker") {
        Some(Model::Reranker)
    } else if id.contains("mpnet") {
        Some(Model::Embedding(EncoderModel::Mpnet))
    } else if id.contains("minilm") {
        Some(Model::Embedding(EncoderModel::MiniLm))
    } else if id.contains("bge-base") {
        Some(Model::Embedding(default))
    } else {
        None
    }
}

impl WorkersAi {
    /// Runs the model `id` on its JSON input.
    pub(super) async fn run(&self, id: &str, input: Value) -> Result<Output, RunError> {
        let model =
            model(id, self.default_model).ok_or_else(|| RunError::NoSuchModel(id.to_owned()))?;
        match model {
            Model::Embedding(encoder) => {
                let working = self.embed(encoder, input);
                let ((), output) = try_join!(self.enter(Target::Embedding), working)?;
                Ok(Output::Embedding(output))
            }
            Model::Reranker => {
                let working = self.rerank(input);
                let ((), output) = try_join!(self.enter(Target::Rerank), working)?;
                Ok(Output::Rerank(output))
            }
        }
    }

    async fn rerank(&self, input: Value) -> Result<RerankOutput, RunError> {
        let input: RerankInput = parse(input)?;
        if input.query.is_empty() || input.contexts.is_empty() {
            return Err(RunError::BadInput(
                "query and contexts must not be empty".into(),
            ));
        }
        Ok(rerank(&input, self.embedder(self.default_model)).await?)
    }

    async fn embed(
        &self,
        encoder: EncoderModel,
        input: Value,
    ) -> Result<EmbeddingOutput, RunError> {
        let request: EmbeddingRequest = parse(input)?;
        let texts = match request.text {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(RunError::BadInput("text must not be empty".into()));
        }
        if texts.len() > MAX_EMBEDDING_BATCH {
            return Err(RunError::TooLarge);
        }
        let vectors = self.embedder(encoder).embed(&texts).await?;
        Ok(EmbeddingOutput {
            shape: vec![vectors.len(), DIMENSIONS],
            data: vectors.into_iter().map(Into::into).collect(),
            pooling: Some(request.pooling.unwrap_or(Pooling::Mean)),
        })
    }

    /// A fault comes before what the model would say; a stall counts from here, whatever the model takes of it.
    async fn enter(&self, target: Target) -> Result<(), RunError> {
        match self.faults.call(target).await {
            Verdict::Proceed => Ok(()),
            Verdict::Refuse {
                status,
                retry_after_s,
            } => Err(match status {
                StatusCode::TOO_MANY_REQUESTS => RunError::NoCapacity { retry_after_s },
                StatusCode::REQUEST_TIMEOUT => RunError::Timeout,
                status => RunError::Demanded {
                    status,
                    retry_after_s,
                },
            }),
            Verdict::Break(_) => Err(RunError::Cut),
        }
    }
}

fn parse<T: DeserializeOwned>(input: Value) -> Result<T, RunError> {
    serde_json::from_value(input).map_err(|error| RunError::BadInput(error.to_string()))
}

/// Tells the log what the caller is not told.
pub(super) fn log(error: &RunError) {
    if let RunError::Model(source) = error {
        tracing::error!(error = source as &dyn std::error::Error, "model failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_both_worlds_find_their_model() {
        let find = |id| model(id, EncoderModel::MiniLm);
        let embedding = |encoder| Some(Model::Embedding(encoder));
        assert_eq!(
            find("@cf/baai/bge-base-en-v1.5"),
            embedding(EncoderModel::MiniLm)
        );
        assert_eq!(
            find("@local/all-mpnet-base-v2"),
            embedding(EncoderModel::Mpnet)
        );
        assert_eq!(
            find("@local/all-minilm-l6-v2"),
            embedding(EncoderModel::MiniLm)
        );
        assert_eq!(find("@cf/baai/bge-reranker-base"), Some(Model::Reranker));
        assert_eq!(find("@cf/meta/llama-3"), None);
    }
}
