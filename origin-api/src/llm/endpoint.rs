//! Where Claude is asked, and with whose authority.

use super::{
    ModelError,
    claude::{API_VERSION, MessagesRequest, VERTEX_VERSION},
};
use crate::{config::ModelEndpoint, outbound};
use google_token::GoogleToken;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};

/// One of the two ways to Claude.
pub(super) enum Endpoint {
    Vertex {
        url: String,
        token: GoogleToken,
    },
    Anthropic {
        url: String,
        api_key: SecretString,
        model: String,
    },
}

impl Endpoint {
    pub(super) fn new(config: &ModelEndpoint, model: &str) -> anyhow::Result<Self> {
        Ok(match config {
            ModelEndpoint::Vertex {
                base_url,
                project,
                location,
                metadata_host,
            } => Self::Vertex {
                url: format!(
                    "{}/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:streamRawPredict",
                    base_url.as_str().trim_end_matches('/')
                ),
                token: GoogleToken::new(outbound::direct_client()?, metadata_host),
            },
            ModelEndpoint::Anthropic { base_url, api_key } => Self::Anthropic {
                url: format!("{}/v1/messages", base_url.as_str().trim_end_matches('/')),
                api_key: api_key.clone(),
                // The same model is `claude-haiku-4-5@20251001` on Vertex and
                // `claude-haiku-4-5-20251001` on the Anthropic API.
                model: model.replace('@', "-"),
            },
        })
    }

    /// The authorised request with `body`, to which this endpoint adds what it wants in a body.
    pub(super) async fn request(
        &self,
        http: &reqwest::Client,
        mut body: MessagesRequest<'_>,
    ) -> Result<RequestBuilder, ModelError> {
        Ok(match self {
            Self::Vertex { url, token } => {
                body.anthropic_version = Some(VERTEX_VERSION);
                let token = token.get().await?;
                http.post(url)
                    .bearer_auth(token.expose_secret())
                    .json(&body)
            }
            Self::Anthropic {
                url,
                api_key,
                model,
            } => {
                body.model = Some(model);
                http.post(url)
                    .header("x-api-key", api_key.expose_secret())
                    .header("anthropic-version", API_VERSION)
                    .json(&body)
            }
        })
    }

    /// Learns that the service answered with `status`: a refused token is not used again.
    pub(super) async fn answered(&self, status: u16) {
        if let (Self::Vertex { token, .. }, 401) = (self, status) {
            token.forget().await;
        }
    }
}
