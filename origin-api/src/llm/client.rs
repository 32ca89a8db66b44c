//! One call of a provider.

use super::{
    ModelError, ModelEvent, ModelStream, Prompt,
    dialect::Dialect,
    endpoint::Endpoint,
    error::{error_kind, shortened},
    guarded::Call,
    reader::AnswerReader,
    retry,
};
use crate::{
    config::{ModelConfig, Provider, ProviderConfig, VertexConfig},
    outbound,
    usage::prices::Prices,
};
use async_stream::stream;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use shared_types::event::EVENT_STREAM;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// An error's body is read up to this length.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// A model at its provider.
pub(super) struct Client {
    http: reqwest::Client,
    dialect: Dialect,
    endpoint: Endpoint,
    prices: Option<Prices>,
    max_tokens: u32,
    idle_timeout: Duration,
    total_timeout: Duration,
}

/// A stream in which the model has begun to speak.
struct Opened {
    response: Response,
    reader: AnswerReader,
    events: Vec<ModelEvent>,
}

impl Client {
    /// The model that `provider` names, with the limits of `config`. Makes no call yet.
    pub(super) fn new(config: &ModelConfig, provider: &ProviderConfig) -> anyhow::Result<Self> {
        let (Provider::VertexClaude(VertexConfig { base_url, .. })
        | Provider::VertexGemini {
            vertex: VertexConfig { base_url, .. },
            ..
        }
        | Provider::Anthropic { base_url, .. }) = &provider.provider;
        Ok(Self {
            http: outbound::client(base_url)?,
            dialect: Dialect::new(provider),
            endpoint: Endpoint::new(provider)?,
            prices: provider.prices,
            max_tokens: config.max_tokens,
            idle_timeout: config.idle_timeout,
            total_timeout: config.total_timeout,
        })
    }

    async fn open(&self, prompt: &Prompt) -> Result<Opened, ModelError> {
        let mut response = self.reply(prompt).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        check_events(&response)?;
        let mut reader = self.dialect.reader(prompt);
        let mut events = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(ModelError::Connection)? {
            let step = reader.push(&bytes);
            step.outcome?;
            events.extend(step.events);
            if reader.begun() {
                return Ok(Opened {
                    response,
                    reader,
                    events,
                });
            }
        }
        Err(ModelError::Truncated)
    }

    /// The reply; where the token was refused, that to a fresh one.
    async fn reply(&self, prompt: &Prompt) -> Result<Response, ModelError> {
        let body = Bytes::from(self.dialect.body(prompt, self.max_tokens));
        let response = self.reply_to(body.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.endpoint.refused().await {
            return self.reply_to(body).await;
        }
        Ok(response)
    }

    async fn reply_to(&self, body: Bytes) -> Result<Response, ModelError> {
        let request = self.endpoint.request(&self.http, body).await?;
        request.send().await.map_err(ModelError::Connection)
    }

    fn stream(&self, opened: Opened, deadline: Instant) -> ModelStream {
        let Opened {
            mut response,
            mut reader,
            events,
        } = opened;
        let (idle_timeout, prices) = (self.idle_timeout, self.prices);
        stream! {
            for event in events {
                yield Ok(priced(event, prices));
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
                    yield Ok(priced(event, prices));
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

impl Call for Client {
    fn call<'a>(&'a self, prompt: &'a Prompt) -> BoxFuture<'a, Result<ModelStream, ModelError>> {
        async move {
            let deadline = Instant::now() + self.total_timeout;
            let opened = self.open(prompt).await?;
            Ok(self.stream(opened, deadline))
        }
        .boxed()
    }

    fn is_authorised(&self) -> BoxFuture<'_, Result<(), ModelError>> {
        self.endpoint.is_authorised().boxed()
    }
}

/// `event` with what it says was used at these prices.
fn priced(mut event: ModelEvent, prices: Option<Prices>) -> ModelEvent {
    if let ModelEvent::Counted(usage) | ModelEvent::End { usage, .. } = &mut event {
        usage.cost_microusd = prices.map(|prices| prices.cost_microusd(usage));
    }
    event
}

async fn next_bytes(
    response: &mut Response,
    idle_timeout: Duration,
    deadline: Instant,
) -> Result<Bytes, ModelError> {
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

/// Makes sure that the reply is what was asked for, and not, say, the page of a proxy.
fn check_events(response: &Response) -> Result<(), ModelError> {
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    if media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(EVENT_STREAM)) {
        return Ok(());
    }
    Err(ModelError::NotEvents {
        content_type: shortened(content_type.unwrap_or("nothing that has a name")),
    })
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
