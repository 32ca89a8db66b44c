//! Claude behind [`AnswerModel`].

use super::{
    AnswerModel, ModelError, ModelEvent, ModelStream, Prompt,
    claude::{EventReader, MessagesRequest, error_kind},
    endpoint::Endpoint,
    retry,
};
use crate::{
    config::{ModelConfig, ModelEndpoint},
    outbound,
};
use async_stream::stream;
use backon::Retryable;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use reqwest::Response;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// An error's body is read up to this length.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Claude, on Vertex AI or at Anthropic.
pub struct Claude {
    http: reqwest::Client,
    endpoint: Endpoint,
    max_tokens: u32,
    first_event_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
}

/// A stream in which the model has begun to speak.
struct Opened {
    response: Response,
    reader: EventReader,
    events: Vec<ModelEvent>,
}

impl Claude {
    /// Claude as `config` says. Makes no call yet.
    pub fn new(config: &ModelConfig) -> anyhow::Result<Self> {
        let (ModelEndpoint::Vertex { base_url, .. } | ModelEndpoint::Anthropic { base_url, .. }) =
            &config.endpoint;
        Ok(Self {
            http: outbound::client(base_url)?,
            endpoint: Endpoint::new(&config.endpoint, &config.model)?,
            max_tokens: config.max_tokens,
            first_event_timeout: config.first_event_timeout,
            idle_timeout: config.idle_timeout,
            total_timeout: config.total_timeout,
        })
    }

    async fn open_with_retries(&self, prompt: &Prompt) -> Result<Opened, ModelError> {
        let attempts = (|| self.open(prompt))
            .retry(retry::backoff())
            .when(retry::is_retryable)
            .adjust(retry::pause)
            .notify(|error, pause| {
                tracing::warn!(
                    cause = crate::error::chain(error),
                    pause_ms = pause.as_millis() as u64,
                    "model call is tried again"
                );
            });
        // One limit for all attempts: the person waits for the sum of them.
        timeout(self.first_event_timeout, attempts)
            .await
            .unwrap_or(Err(ModelError::Timeout {
                stage: "first event",
                waited_ms: self.first_event_timeout.as_millis(),
            }))
    }

    async fn open(&self, prompt: &Prompt) -> Result<Opened, ModelError> {
        let body = MessagesRequest::new(prompt, self.max_tokens);
        let request = self.endpoint.request(&self.http, body).await?;
        let mut response = request.send().await.map_err(ModelError::Connection)?;
        if !response.status().is_success() {
            self.endpoint.answered(response.status().as_u16()).await;
            return Err(refusal(response).await);
        }
        let mut reader = EventReader::new();
        while let Some(bytes) = response.chunk().await.map_err(ModelError::Connection)? {
            let step = reader.push(&bytes);
            if reader.begun() && step.outcome.is_ok() {
                return Ok(Opened {
                    response,
                    reader,
                    events: step.events,
                });
            }
            step.outcome?;
        }
        Err(ModelError::Truncated)
    }

    fn stream(&self, opened: Opened, deadline: Instant) -> ModelStream {
        let Opened {
            mut response,
            mut reader,
            events,
        } = opened;
        let idle_timeout = self.idle_timeout;
        stream! {
            for event in events {
                yield Ok(event);
            }
            while !reader.ended() {
                let step = match next_bytes(&mut response, idle_timeout, deadline).await {
                    Ok(bytes) => reader.push(&bytes),
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                };
                for event in step.events {
                    yield Ok(event);
                }
                if let Err(error) = step.outcome {
                    yield Err(error);
                    return;
                }
            }
        }
        .boxed()
    }
}

impl AnswerModel for Claude {
    fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<ModelStream, ModelError>> {
        async move {
            let deadline = Instant::now() + self.total_timeout;
            let opened = self.open_with_retries(&prompt).await?;
            Ok(self.stream(opened, deadline))
        }
        .boxed()
    }
}

async fn next_bytes(
    response: &mut Response,
    idle_timeout: Duration,
    deadline: Instant,
) -> Result<bytes::Bytes, ModelError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let (stage, limit) = if left < idle_timeout {
        ("whole answer", left)
    } else {
        ("next event", idle_timeout)
    };
    match timeout(limit, response.chunk()).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(ModelError::Truncated),
        Ok(Err(error)) => Err(ModelError::Connection(error)),
        Err(_) => Err(ModelError::Timeout {
            stage,
            waited_ms: limit.as_millis(),
        }),
    }
}

async fn refusal(mut response: Response) -> ModelError {
    let status = response.status().as_u16();
    let retry_after = retry::asked_pause(response.headers());
    let should_retry = retry::should_retry(response.headers());
    let mut body = Vec::new();
    // A body that can't be read leaves the status, which says enough.
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ERROR_BYTES {
            break;
        }
    }
    ModelError::Status {
        status,
        kind: error_kind(&body),
        retry_after,
        should_retry,
    }
}
