//! Encoder and reranker, on Workers AI.

use super::{Workerd, failed};
use crate::ports::{Embedder, PortError, Reranker};
use js_sys::{JSON, Promise};
use serde::{Serialize, de::DeserializeOwned};
use shared_types::{
    embedding::Embedding,
    workers_ai::{
        EmbeddingInput, EmbeddingOutput, RerankContext, RerankInput, RerankOutput, RerankScore,
    },
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// The binding of Workers AI.
    pub type AiBinding;
    #[wasm_bindgen(method, catch)]
    fn run(this: &AiBinding, model: &str, inputs: &JsValue) -> Result<Promise, JsValue>;
}

impl AiBinding {
    /// Runs a model. Inputs and output cross as JSON, which the runtime reads and writes by itself: they become
    /// plain objects, the only ones that the binding sends.
    async fn ask<O: DeserializeOwned>(
        &self,
        model: &str,
        inputs: &impl Serialize,
    ) -> Result<O, PortError> {
        let words = |error: serde_json::Error| PortError::Failed(error.to_string());
        let inputs = serde_json::to_string(inputs).map_err(words)?;
        let inputs = JSON::parse(&inputs).map_err(failed)?;
        let output = JsFuture::from(self.run(model, &inputs).map_err(failed)?).await;
        let output = JSON::stringify(&output.map_err(failed)?).map_err(failed)?;
        serde_json::from_str(&String::from(output)).map_err(words)
    }
}

impl Embedder for Workerd {
    async fn embed(&self, query: &str) -> Result<Embedding, PortError> {
        let models = &self.isolate.models;
        let input = EmbeddingInput {
            text: vec![query.to_owned()],
            pooling: models.pooling,
        };
        let ai = &self.isolate.ai;
        let output: EmbeddingOutput = ai.ask(&models.embedding, &input).await?;
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
        let (ai, models) = (&self.isolate.ai, &self.isolate.models);
        let output: RerankOutput = ai.ask(&models.rerank, &input).await?;
        Ok(output.response)
    }
}
