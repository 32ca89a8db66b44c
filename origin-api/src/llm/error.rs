//! What goes wrong with a model.

use serde::Deserialize;
use std::time::Duration;
use thiserror::Error;

/// An error's name is cut at this length before it reaches a log.
const MAX_KIND_CHARS: usize = 64;

/// Why there is no answer, or no more of it.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The request did not reach the provider, or the connection broke.
    #[error("the connection to the model failed")]
    Connection(#[source] reqwest::Error),
    /// The provider refused or failed.
    #[error("the model service answered {status} ({kind})")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The provider's name for the error; `unknown` where it gave none.
        kind: String,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
        /// The provider's own verdict on trying again.
        should_retry: Option<bool>,
    },
    /// The provider has failed several times in a row, and is left alone.
    #[error("the model is left alone, since it failed several times in a row")]
    Resting {
        /// Until it may be asked again.
        retry_after: Duration,
    },
    /// The reply to a call is no stream of events: something else answered in the provider's place.
    #[error("the model service answered with {content_type}, not with events")]
    NotEvents {
        /// What it sent instead; `nothing that has a name` where it did not say.
        content_type: String,
    },
    /// The provider broke off with an event that says so.
    #[error("the model service broke off with {kind}")]
    Interrupted {
        /// The provider's name for the error, e.g. `overloaded_error`.
        kind: String,
    },
    /// Nothing came for too long.
    #[error("the model sent nothing for {waited_ms} ms ({stage})")]
    Timeout {
        /// What was waited for.
        stage: &'static str,
        /// For how long.
        waited_ms: u128,
    },
    /// The stream ended in the middle of an answer.
    #[error("the model's answer was cut off")]
    Truncated,
    /// An event of a known kind does not have its shape.
    #[error("the model sent an event that can't be read")]
    Malformed(#[source] serde_json::Error),
    /// The stream is not one of server-sent events.
    #[error("the model's stream can't be read")]
    Stream(#[from] rag_core::sse::SseError),
    /// The answer is longer than anything that was asked for.
    #[error("the model's answer has no end")]
    TooLong,
    /// No access token for the provider.
    #[error("no access token for the model service")]
    Token(#[from] google_token::GoogleTokenError),
}

impl ModelError {
    /// When another try may succeed, as far as that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Resting { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

/// The body of an error, as an event and as a reply.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    error: ErrorName,
}

/// The error in it.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorName {
    /// Anthropic's name.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Google's name.
    status: Option<String>,
}

/// The name of the error in a reply's body, from Anthropic's or from Google's shape.
pub(super) fn error_kind(body: &[u8]) -> String {
    // Vertex wraps some errors of its own in an array. That shape first: serde reads a struct from an
    // array of its fields, too.
    let error = serde_json::from_slice::<[ErrorBody; 1]>(body)
        .map(|[error]| error)
        .or_else(|_| serde_json::from_slice::<ErrorBody>(body));
    error.map_or_else(|_| "unknown".to_owned(), ErrorBody::name)
}

impl ErrorBody {
    /// The error's name.
    pub(super) fn name(self) -> String {
        self.error.name()
    }
}

impl ErrorName {
    /// The error's name.
    pub(super) fn name(self) -> String {
        let kind = self.kind.or(self.status);
        shortened(&kind.unwrap_or_else(|| "unknown".to_owned()))
    }
}

/// What a provider names something, at a length that is fit for a log.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(MAX_KIND_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named_in_the_words_of_whoever_sent_them() {
        let anthropic =
            br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
        let google =
            br#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]"#;
        assert_eq!(error_kind(anthropic), "rate_limit_error");
        assert_eq!(error_kind(google), "RESOURCE_EXHAUSTED");
        assert_eq!(error_kind(b"<html>"), "unknown");
    }
}
