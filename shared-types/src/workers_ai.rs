//! Request and response shapes of the two Workers AI models that Etude uses, and of the REST envelope.
//!
//! Source: Cloudflare's model pages for `bge-base-en-v1.5` and `bge-reranker-base`.

use serde::{Deserialize, Serialize};

/// Texts in one embedding request at most.
pub const MAX_EMBEDDING_BATCH: usize = 100;

/// How token vectors become one. `cls` and `mean` vectors of one model can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The vector of the first token: what bge was trained with.
    Cls,
    /// The mean of all: the service's default, never sent by us.
    Mean,
}

/// Input of the embedding model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingInput {
    /// 1 to [`MAX_EMBEDDING_BATCH`] texts.
    pub text: Vec<String>,
    /// Always sent.
    pub pooling: Pooling,
}

/// Output of the embedding model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingOutput {
    /// `[texts, 768]`.
    pub shape: Vec<usize>,
    /// One vector per text, in order.
    pub data: Vec<Vec<f32>>,
    /// The pooling that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
}

/// One candidate for the reranker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerankContext {
    /// The candidate's text.
    pub text: String,
}

/// Input of the reranker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerankInput {
    /// The question.
    pub query: String,
    /// The candidates.
    pub contexts: Vec<RerankContext>,
    /// How many to return; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
}

/// One judgement of the reranker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RerankScore {
    /// Index into the request's `contexts`.
    pub id: usize,
    /// Higher is better; the real model's raw score, a sigmoid maps it to 0..1.
    pub score: f64,
}

/// Output of the reranker, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RerankOutput {
    /// The judgements.
    pub response: Vec<RerankScore>,
}

/// One error of the REST envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestError {
    /// Cloudflare's code, e.g. 3040 (no capacity).
    pub code: u32,
    /// Words for people.
    pub message: String,
}

/// The REST API's envelope around every reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestEnvelope<T> {
    /// The model's output; absent on failure.
    pub result: Option<T>,
    /// Whether it worked.
    pub success: bool,
    /// Why not.
    #[serde(default)]
    pub errors: Vec<RestError>,
    /// Remarks.
    #[serde(default)]
    pub messages: Vec<serde_json::Value>,
}
