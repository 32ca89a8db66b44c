//! What is said to Google Cloud and by it: Pub/Sub (REST, v1), the tokens that it proves itself with, and Cloud Run
//! jobs (REST, v2). Fields that we have no use for are not named.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Body of `projects.topics.publish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRequest {
    /// The messages, at least one.
    pub messages: Vec<NewMessage>,
}

/// A message to publish: data, attributes, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// Bytes, base64.
    pub data: String,
    /// Words beside them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl NewMessage {
    /// A message of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            data: STANDARD.encode(bytes),
            attributes: BTreeMap::new(),
        }
    }
}

/// The attribute of a message that says which trace it belongs to, as Google's own clients call it.
pub const TRACEPARENT_ATTRIBUTE: &str = "googclient_traceparent";

/// Reply of `projects.topics.publish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishResponse {
    /// One for each message, in order.
    pub message_ids: Vec<String>,
}

/// Body of a push: one message. A 2xx in answer acknowledges it; anything else, or silence until the subscription's
/// deadline, has it delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushEnvelope {
    /// The message.
    pub message: PushedMessage,
    /// `projects/…/subscriptions/…`.
    pub subscription: String,
    /// Which delivery this is, from 1; told only where the subscription has a dead-letter topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_attempt: Option<u32>,
}

/// A message as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushedMessage {
    /// Bytes, base64.
    #[serde(default)]
    pub data: String,
    /// Words beside them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The same in every delivery of the message.
    pub message_id: String,
    /// When Pub/Sub took it.
    pub publish_time: DateTime<Utc>,
}

impl PushedMessage {
    /// The bytes; `None` where they are no base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.data).ok()
    }
}

/// What a message on the topic of wake-ups holds, as JSON. It only wakes: who hears it looks into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUp {
    /// The document whose job was queued; for the log.
    pub document_id: crate::ids::DocumentId,
}

/// Claims of an `OpenID` Connect token that Google issues for a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccountClaims {
    /// `https://accounts.google.com`, or the same without the scheme.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The service account.
    pub email: String,
    /// Whether that address is proven.
    #[serde(default)]
    pub email_verified: bool,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

/// Body of `projects.locations.jobs.run`: nothing is overridden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunJobRequest {}

/// Reply of `projects.locations.jobs.run`: a long-running operation, which ends when the execution does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// `projects/…/locations/…/operations/…`.
    pub name: String,
    /// What is being done.
    pub metadata: Execution,
}

/// An execution of a Cloud Run job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// `projects/…/locations/…/jobs/…/executions/…`.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Google's documentation of push subscriptions prints it.
    #[test]
    fn a_push_is_read_as_google_writes_it() {
        let body = r#"{
            "deliveryAttempt": 5,
            "message": {
                "attributes": {"key": "value"},
                "data": "SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ==",
                "messageId": "2070443601311540", "message_id": "2070443601311540",
                "orderingKey": "key",
                "publishTime": "2021-02-26T19:13:55.749Z", "publish_time": "2021-02-26T19:13:55.749Z"
            },
            "subscription": "projects/myproject/subscriptions/mysubscription"
        }"#;
        let envelope: PushEnvelope = serde_json::from_str(body).unwrap();
        assert_eq!(envelope.delivery_attempt, Some(5));
        assert_eq!(envelope.message.message_id, "2070443601311540");
        assert_eq!(
            envelope.message.bytes().unwrap(),
            b"Hello Cloud Pub/Sub! Here is my message!"
        );
    }
}
