//! Stands for Workers AI: the two models that Etude uses, behind the REST API and behind the binding.
//!
//! Not here: the asynchronous batch API (`queueRequest`), text generation, rate limits.

mod binding;
mod embedder;
mod encoder;
mod rerank;
mod rest;
mod run;
mod vectors;

pub use embedder::{EmbedError, Embedder, EncoderModel, Lanes};
pub use encoder::{Encoder, EncoderError, MAX_TOKENS, Step, Tokenised};
pub use rerank::rerank;

use crate::faults::Faults;
use axum::{Router, extract::DefaultBodyLimit, routing::post};
use std::sync::Arc;

/// 100 texts of 512 tokens, and 20 passages for the reranker, fit in well; the real limit is 10 MB.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// The models and how they may fail.
pub(crate) struct WorkersAi {
    /// What `@cf/baai/bge-base-en-v1.5` means here.
    pub(crate) default_model: EncoderModel,
    pub(crate) mpnet: Embedder,
    pub(crate) minilm: Embedder,
    pub(crate) faults: Arc<Faults>,
}

impl WorkersAi {
    pub(crate) fn embedder(&self, model: EncoderModel) -> &Embedder {
        match model {
            EncoderModel::Mpnet => &self.mpnet,
            EncoderModel::MiniLm => &self.minilm,
        }
    }
}

pub(crate) fn router(service: Arc<WorkersAi>) -> Router {
    Router::new()
        .route(
            "/cloudflare/client/v4/accounts/{account}/ai/run/{*model}",
            post(rest::run),
        )
        .route("/workers-ai-binding", post(binding::run))
        .route("/workers-ai-binding/{*path}", post(binding::run))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service)
}
