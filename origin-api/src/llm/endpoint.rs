//! Where a model is asked, and with whose authority.

use super::{ModelError, claude::API_VERSION};
use crate::{
    config::{Provider, ProviderConfig, VertexConfig},
    metrics::token_fetched,
    outbound,
};
use bytes::Bytes;
use google_token::GoogleToken;
use reqwest::{
    RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE},
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A method of a service.
pub(super) struct Endpoint {
    url: String,
    authority: Authority,
}

enum Authority {
    Token(GoogleToken),
    Key(SecretString),
}

impl Endpoint {
    pub(super) fn new(config: &ProviderConfig) -> anyhow::Result<Self> {
        let model = &config.model;
        Ok(match &config.provider {
            Provider::VertexClaude(vertex) => {
                let method = format!("anthropic/models/{model}:streamRawPredict");
                Self::on_vertex(vertex, &method)?
            }
            Provider::VertexGemini { vertex, .. } => {
                let method = format!("google/models/{model}:streamGenerateContent?alt=sse");
                Self::on_vertex(vertex, &method)?
            }
            Provider::Anthropic { base_url, api_key } => Self {
                url: format!("{}/v1/messages", base(base_url)),
                authority: Authority::Key(api_key.clone()),
            },
        })
    }

    fn on_vertex(vertex: &VertexConfig, method: &str) -> anyhow::Result<Self> {
        let VertexConfig {
            base_url,
            project,
            location,
            tokens,
        } = vertex;
        let base = base(base_url);
        Ok(Self {
            url: format!("{base}/projects/{project}/locations/{location}/publishers/{method}"),
            authority: Authority::Token(
                GoogleToken::new(outbound::direct_client()?, tokens)?.watched(token_fetched),
            ),
        })
    }

    /// The authorised request with `body`.
    pub(super) async fn request(
        &self,
        http: &reqwest::Client,
        body: Bytes,
    ) -> Result<RequestBuilder, ModelError> {
        let request = http
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body);
        Ok(match &self.authority {
            Authority::Token(token) => request.bearer_auth(token.get().await?.expose_secret()),
            Authority::Key(key) => request
                .header("x-api-key", key.expose_secret())
                .header("anthropic-version", API_VERSION),
        })
    }

    /// Whether there is a token or a key.
    pub(super) async fn is_authorised(&self) -> Result<(), ModelError> {
        if let Authority::Token(token) = &self.authority {
            token.get().await?;
        }
        Ok(())
    }

    /// Learns that the service refused who asked. Whether it may be asked anew, as somebody with a fresh token.
    pub(super) async fn refused(&self) -> bool {
        match &self.authority {
            Authority::Token(token) => {
                token.forget().await;
                true
            }
            Authority::Key(_) => false,
        }
    }
}

fn base(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::configured::configured;

    fn url_of(variables: &[(&str, &str)]) -> String {
        Endpoint::new(&configured(variables).first).unwrap().url
    }

    #[test]
    fn each_publisher_is_asked_in_the_region_or_wherever_there_is_room() {
        let claude = ("LLM_PROVIDER", "vertex-claude");
        assert_eq!(
            url_of(&[claude, ("VERTEX_LOCATION", "us-east5")]),
            "https://us-east5-aiplatform.googleapis.com/v1/projects/piano/locations/us-east5/publishers/anthropic\
             /models/claude-haiku-4-5@20251001:streamRawPredict"
        );
        let gemini = [("LLM_PROVIDER", "vertex-gemini"), ("LLM_MODEL", "gemini-x")];
        assert_eq!(
            url_of(&[gemini.as_slice(), &[("VERTEX_LOCATION", "global")]].concat()),
            "https://aiplatform.googleapis.com/v1/projects/piano/locations/global/publishers/google\
             /models/gemini-x:streamGenerateContent?alt=sse"
        );
        assert_eq!(
            url_of(&[("ANTHROPIC_API_KEY", "key")]),
            "https://api.anthropic.com/v1/messages"
        );
    }
}
