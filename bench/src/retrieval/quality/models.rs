//! The stand-in for Workers AI, asked as the edge asks it.

use anyhow::Context;
use local_stack::Stack;
use serde::{Serialize, de::DeserializeOwned};
use shared_types::{
    embedding::Embedding,
    workers_ai::{
        EmbeddingInput, EmbeddingOutput, Pooling, RerankContext, RerankInput, RerankOutput,
        RestEnvelope,
    },
};

/// Its embedding model and its reranker.
pub struct Models {
    http: reqwest::Client,
    base: String,
    encoder: &'static str,
}

impl Models {
    /// Those of a stack that runs this encoder.
    pub fn of(stack: &Stack, encoder: local_stack::Encoder) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            base: format!(
                "{}/cloudflare/client/v4/accounts/bench/ai/run",
                stack.local_cloud_url()
            ),
            encoder: encoder.model_id(),
        })
    }

    /// Model and pooling, as stored beside every vector.
    pub fn embedding_space(&self) -> String {
        format!("{}#cls", self.encoder)
    }

    /// The vector of a text.
    pub async fn embed(&self, text: &str) -> anyhow::Result<Embedding> {
        let input = EmbeddingInput {
            text: vec![text.to_owned()],
            pooling: Pooling::Cls,
        };
        let mut output: EmbeddingOutput = self.run(self.encoder, &input).await?;
        let vector = output.data.pop().context("a vector for each text")?;
        Ok(Embedding::new(vector)?)
    }

    /// The order of these passages, best first, as places in the list.
    pub async fn rerank(&self, query: &str, texts: &[&str]) -> anyhow::Result<Vec<usize>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let context = |text: &&str| RerankContext {
            text: (*text).to_owned(),
        };
        let input = RerankInput {
            query: query.to_owned(),
            contexts: texts.iter().map(context).collect(),
            top_k: None,
        };
        let output: RerankOutput = self.run("@local/reranker", &input).await?;
        Ok(output.response.iter().map(|judged| judged.id).collect())
    }

    async fn run<T: DeserializeOwned>(
        &self,
        model: &str,
        input: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.http.post(format!("{}/{model}", self.base));
        let response = request.bearer_auth("bench").json(input).send().await?;
        let envelope: RestEnvelope<T> = response.json().await?;
        envelope
            .result
            .with_context(|| format!("{model} failed: {:?}", envelope.errors))
    }
}
