//! Encoder and reranker, on Workers AI.

use super::{Workerd, failed, tasks::settled};
use crate::ports::{Embedder, PortError, Reranker};
use js_sys::{JSON, Promise};
use serde::de::DeserializeOwned;
use shared_types::{
    embedding::Embedding,
    workers_ai::{EmbeddingInput, EmbeddingOutput, RerankOutput, RerankScore},
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// Stands between texts on their way to the runtime.
const TEXTS_END: char = '\0';

#[wasm_bindgen]
extern "C" {
    /// The binding of Workers AI.
    pub type AiBinding;
    #[wasm_bindgen(method, catch)]
    fn run(this: &AiBinding, model: &str, inputs: &JsValue) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn judge(ai: &AiBinding, joined: &str, top: usize) -> Result<Promise, JsValue>;
}

impl Embedder for Workerd {
    async fn embed(&self, query: &str) -> Result<Embedding, PortError> {
        let models = &self.isolate.models;
        let input = EmbeddingInput {
            text: vec![query.to_owned()],
            pooling: models.pooling,
        };
        // By way of JSON, it becomes a plain object, the only one that the binding sends.
        let input = serde_json::to_string(&input).map_err(in_words)?;
        let input = JSON::parse(&input).map_err(failed)?;
        let asked = self.isolate.ai.run(&models.embedding, &input);
        let output: EmbeddingOutput = told(&asked.map_err(failed)?).await?;
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
        let (ai, models) = (&self.isolate.ai, &self.isolate.models);
        let mut joined = models.rerank.clone();
        for text in [query].iter().chain(texts) {
            joined.push(TEXTS_END);
            // None that Postgres keeps has one; but a count that is off by one would cite another page.
            if text.contains(TEXTS_END) {
                joined.push_str(&text.replace(TEXTS_END, " "));
            } else {
                joined.push_str(text);
            }
        }
        let judged = judge(ai, &joined, top).map_err(failed)?;
        let output: RerankOutput = told(&judged).await?;
        Ok(output.response)
    }
}

/// What a model says. It crosses as JSON, which the runtime writes by itself.
async fn told<O: DeserializeOwned>(asked: &Promise) -> Result<O, PortError> {
    let output = settled(asked).await.map_err(failed)?;
    let output = JSON::stringify(&output).map_err(failed)?;
    serde_json::from_slice(String::from(output).as_bytes()).map_err(in_words)
}

#[expect(clippy::needless_pass_by_value, reason = "for use in map_err")]
fn in_words(error: serde_json::Error) -> PortError {
    PortError::Failed(error.to_string())
}
