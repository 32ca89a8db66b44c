//! Encoder and reranker, on Workers AI.

use super::Workerd;
use crate::ports::{Embedder, PortError, Reranker};
use shared_types::{
    embedding::Embedding,
    workers_ai::{
        EmbeddingInput, EmbeddingOutput, RerankContext, RerankInput, RerankOutput, RerankScore,
    },
};

// `Ai::run` turns maps and `serde_json` values into a JavaScript `Map`, which the binding sends as
// `{}`: only structs go in.

impl Embedder for Workerd {
    async fn embed(&self, query: &str) -> Result<Embedding, PortError> {
        let models = &self.isolate.models;
        let input = EmbeddingInput {
            text: vec![query.to_owned()],
            pooling: models.pooling,
        };
        let output: EmbeddingOutput = self
            .isolate
            .ai
            .run(&models.embedding, input)
            .await
            .map_err(|error| PortError::Failed(error.to_string()))?;
        if output
            .pooling
            .is_some_and(|pooling| pooling != models.pooling)
        {
            let words = "the model pooled in another way than asked";
            return Err(PortError::Failed(words.to_owned()));
        }
        let vector = output.data.into_iter().next().unwrap_or_default();
        Embedding::new(vector).map_err(|error| PortError::Failed(error.to_string()))
    }
}

impl Reranker for Workerd {
    async fn rerank(
        &self,
        query: &str,
        texts: &[&str],
        top: usize,
    ) -> Result<Vec<RerankScore>, PortError> {
        let contexts = texts.iter().map(|text| RerankContext {
            text: (*text).to_owned(),
        });
        let input = RerankInput {
            query: query.to_owned(),
            contexts: contexts.collect(),
            top_k: Some(top),
        };
        let output: RerankOutput = self
            .isolate
            .ai
            .run(&self.isolate.models.rerank, input)
            .await
            .map_err(|error| PortError::Failed(error.to_string()))?;
        Ok(output.response)
    }
}
