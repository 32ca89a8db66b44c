//! Telling the workers that a job is queued, where they do not listen to the database themselves: a message on a
//! Pub/Sub topic.
//!
//! Only a hint. The queue is the truth, and a sweep finds what no message announced: so nothing waits for the message,
//! and nothing fails with it.

use crate::{config::WakeConfig, error::chain, metrics::token_fetched, outbound};
use google_token::{GoogleToken, GoogleTokenError};
use secrecy::ExposeSecret;
use shared_types::{
    google::{NewMessage, PublishRequest, TRACEPARENT_ATTRIBUTE, WakeUp},
    ids::DocumentId,
};
use std::{sync::Arc, time::Duration};
use telemetry::traces::here;
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::Instrument;

/// For a message in all, whatever has to be tried again.
const TOTAL: Duration = Duration::from_secs(10);
const ATTEMPT: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// Messages on their way at once; one more is left to the sweep.
const UNDER_WAY: usize = 64;

#[derive(Debug, Error)]
enum PublishError {
    #[error("there is no access token")]
    Token(#[from] GoogleTokenError),
    #[error("Pub/Sub did not take the message")]
    Http(#[from] reqwest::Error),
}

/// The topic of wake-ups, or nothing where the workers need none.
pub struct Wake(Option<Arc<Topic>>);

struct Topic {
    http: reqwest::Client,
    url: String,
    token: GoogleToken,
    permits: Semaphore,
}

impl Wake {
    /// The topic that `config` names. Calls nobody yet.
    pub fn new(config: Option<&WakeConfig>) -> anyhow::Result<Self> {
        let Some(config) = config else {
            return Ok(Self(None));
        };
        let base = config.base_url.as_str().trim_end_matches('/');
        Ok(Self(Some(Arc::new(Topic {
            http: outbound::client(&config.base_url)?,
            url: format!("{base}/{}:publish", config.topic),
            token: GoogleToken::new(outbound::direct_client()?, &config.tokens)?
                .watched(token_fetched),
            permits: Semaphore::new(UNDER_WAY),
        }))))
    }

    /// Has the workers told that this document's job is queued. To be called once that is committed; returns at once.
    pub fn job_queued(&self, id: DocumentId) {
        if let Some(topic) = &self.0 {
            let topic = Arc::clone(topic);
            let telling = async move { topic.tell(id).await };
            tokio::spawn(
                telling.instrument(tracing::info_span!("wake.publish", otel.kind = "producer")),
            );
        }
    }
}

impl Topic {
    async fn tell(&self, id: DocumentId) {
        let Ok(_permit) = self.permits.try_acquire() else {
            tracing::warn!(document_id = %id, "too many wake-ups are on their way; a sweep finds the job");
            return;
        };
        match timeout(TOTAL, self.publish(id)).await {
            Ok(Ok(())) => tracing::debug!(document_id = %id, "workers told"),
            Ok(Err(error)) => tracing::warn!(
                document_id = %id,
                cause = chain(&error),
                "workers were not told; a sweep finds the job"
            ),
            Err(_) => tracing::warn!(
                document_id = %id,
                "workers were not told in time; a sweep finds the job"
            ),
        }
    }

    async fn publish(&self, document_id: DocumentId) -> Result<(), PublishError> {
        // An id always serialises.
        let data = serde_json::to_vec(&WakeUp { document_id }).unwrap_or_default();
        let mut message = NewMessage::of(&data);
        let trace = here().map(|trace| (TRACEPARENT_ATTRIBUTE.to_owned(), trace.to_string()));
        message.attributes.extend(trace);
        let request = PublishRequest {
            messages: vec![message],
        };
        let mut attempt = 1;
        loop {
            match self.publish_once(&request).await {
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    sleep(PAUSE * attempt).await;
                }
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    async fn publish_once(&self, request: &PublishRequest) -> Result<(), PublishError> {
        let token = self.token.get().await?;
        let response = self
            .http
            .post(&self.url)
            .bearer_auth(token.expose_secret())
            .json(request)
            .timeout(ATTEMPT)
            .send()
            .await?;
        if response.status() == reqwest::StatusCode::UNAUTHORIZED {
            self.token.forget().await;
        }
        response.error_for_status()?;
        Ok(())
    }
}

impl PublishError {
    /// Whether another attempt may work: not where the topic is missing or not ours to publish to.
    fn may_pass(&self) -> bool {
        match self {
            // The metadata server was asked several times already.
            Self::Token(_) => false,
            Self::Http(error) => error.status().is_none_or(|status| {
                status.is_server_error() || matches!(status.as_u16(), 401 | 408 | 429)
            }),
        }
    }
}
