//! Pushing: again and again until the endpoint acknowledges in time.

use super::{PubSub, control::How};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// The real service's defaults.
const ACK_DEADLINE_S: u64 = 10;
const MIN_BACKOFF: Duration = Duration::from_secs(10);
const MAX_BACKOFF: Duration = Duration::from_mins(10);

/// A message as it was published.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) data: String,
    pub(super) attributes: Value,
    pub(super) published: DateTime<Utc>,
}

/// A push subscription.
pub(super) struct Subscription {
    pub(super) name: String,
    pub(super) topic: String,
    endpoint: String,
    /// The token's account and audience.
    pub(super) account: String,
    pub(super) audience: String,
    ack_deadline: Duration,
    min_backoff: Duration,
    max_backoff: Duration,
}

/// One delivery and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Delivery {
    message_id: String,
    attempt: u32,
    /// The endpoint's answer; none where it came too late or not at all.
    status: Option<u16>,
}

impl Subscription {
    /// Reads the resource as `projects.subscriptions.create` takes it; only pushes with a token are known here.
    pub(super) fn read(name: String, body: &Value) -> Result<Self, &'static str> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let push = &body["pushConfig"];
        let endpoint = text(&push["pushEndpoint"]).ok_or("pushConfig.pushEndpoint is missing.")?;
        let account = text(&push["oidcToken"]["serviceAccountEmail"])
            .ok_or("pushConfig.oidcToken.serviceAccountEmail is missing.")?;
        let retry = &body["retryPolicy"];
        Ok(Self {
            name,
            topic: text(&body["topic"]).ok_or("topic is missing.")?,
            audience: text(&push["oidcToken"]["audience"]).unwrap_or_else(|| endpoint.clone()),
            endpoint,
            account,
            ack_deadline: match body["ackDeadlineSeconds"].as_u64() {
                None | Some(0) => Duration::from_secs(ACK_DEADLINE_S),
                Some(seconds @ 1..=600) => Duration::from_secs(seconds),
                Some(_) => return Err("ackDeadlineSeconds is above 600."),
            },
            min_backoff: duration(&retry["minimumBackoff"], MIN_BACKOFF)?,
            max_backoff: duration(&retry["maximumBackoff"], MAX_BACKOFF)?,
        })
    }
}

/// A duration as protocol buffers write it in JSON: `"10s"`, `"0.5s"`.
fn duration(value: &Value, default: Duration) -> Result<Duration, &'static str> {
    let Some(text) = value.as_str() else {
        return Ok(default);
    };
    text.strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration <= MAX_BACKOFF)
        .ok_or("a backoff is a number of seconds from 0 to 600 with an s behind it.")
}

/// The client that pushes: never through a proxy, and redirects are no acknowledgements.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap_or_default()
}

impl PubSub {
    /// Delivers a message until it is acknowledged; each pause is twice the one before.
    pub(super) async fn deliver(
        self: Arc<Self>,
        subscription: Arc<Subscription>,
        message: Arc<Message>,
        how: How,
    ) {
        sleep(how.after).await;
        let mut pause = subscription.min_backoff;
        let mut attempt = 1;
        while !self.push(&subscription, &message, attempt).await {
            sleep(pause).await;
            pause = (pause * 2).min(subscription.max_backoff);
            attempt += 1;
        }
    }

    /// One delivery. `true`: it was acknowledged.
    async fn push(&self, subscription: &Subscription, message: &Message, attempt: u32) -> bool {
        let published = message
            .published
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut envelope = json!({
            "message": {
                "data": message.data,
                "messageId": message.id,
                "message_id": message.id,
                "publishTime": published,
                "publish_time": published,
            },
            "subscription": subscription.name,
            // The real service tells it only where the subscription has a dead-letter topic.
            "deliveryAttempt": attempt,
        });
        if !message.attributes.is_null() {
            envelope["message"]["attributes"] = message.attributes.clone();
        }
        let mut request = self
            .http
            .post(&subscription.endpoint)
            .timeout(subscription.ack_deadline)
            .header(
                "user-agent",
                "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            )
            .json(&envelope);
        if let Some(token) = self.token_for(subscription) {
            request = request.bearer_auth(token);
        }
        let status = match request.send().await {
            Ok(response) => Some(response.status().as_u16()),
            Err(_) => None,
        };
        self.remember(Delivery {
            message_id: message.id.clone(),
            attempt,
            status,
        });
        // The ones that the real service takes for an acknowledgement.
        matches!(status, Some(102 | 200 | 201 | 202 | 204))
    }

    fn token_for(&self, subscription: &Subscription) -> Option<String> {
        self.tokens.issue(subscription, self.control.token())
    }
}
