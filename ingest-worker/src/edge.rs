//! Telling the edge that what people may read has changed.

use crate::config::EdgeConfig;
use secrecy::{ExposeSecret, SecretString};
use shared_types::{headers, ids::UserId, origin::InvalidateScopes};
use std::time::Duration;
use telemetry::traces::here;
use url::Url;

/// People in one call at most.
const MAX_PEOPLE: usize = 1_000;

/// The edge's internal face.
#[derive(Clone, Debug)]
pub struct Edge {
    client: reqwest::Client,
    url: Url,
    token: SecretString,
}

impl Edge {
    /// A client of `{config.url}/internal/scope/invalidate`.
    pub fn new(config: &EdgeConfig) -> anyhow::Result<Self> {
        let base = config.url.as_str().trim_end_matches('/');
        Ok(Self {
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()?,
            url: Url::parse(&format!("{base}/internal/scope/invalidate"))?,
            token: config.token.clone(),
        })
    }

    /// Drops the scopes of these people, so that they find the new document at once.
    ///
    /// Best effort: a scope lives for 60 s at most, so a failure is logged and nothing else.
    pub async fn drop_scopes(&self, people: &[UserId]) {
        for some in people.chunks(MAX_PEOPLE) {
            if let Err(error) = self.drop_some(some).await {
                tracing::warn!(
                    error = %error,
                    people = some.len(),
                    "the edge did not drop scopes; they expire within 60 s"
                );
            }
        }
    }

    async fn drop_some(&self, people: &[UserId]) -> reqwest::Result<()> {
        let body = InvalidateScopes {
            user_ids: people.to_vec(),
        };
        let mut call = self
            .client
            .post(self.url.clone())
            .header(headers::EDGE_TOKEN, self.token.expose_secret());
        if let Some(trace) = here() {
            call = call.header(headers::TRACEPARENT, trace.to_string());
        }
        call.json(&body).send().await?.error_for_status()?;
        Ok(())
    }
}
