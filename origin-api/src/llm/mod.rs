//! The language model behind one trait, so that a provider is a matter of configuration.

pub mod claude;
mod client;
mod endpoint;
mod retry;

pub use client::Claude;

use futures_util::{future::BoxFuture, stream::BoxStream};
use shared_types::chat::{FinishReason, Usage};
use std::time::Duration;
use thiserror::Error;

/// A passage as the model sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptPassage {
    /// The document's title.
    pub title: String,
    /// The text in the smallest pieces that can be cited; at least one, none of them blank.
    pub blocks: Vec<String>,
}

/// A question with everything that the model may answer it from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Instructions; never holds retrieved text.
    pub system: &'static str,
    /// The passages, best first.
    pub passages: Vec<PromptPassage>,
    /// The person's words.
    pub question: String,
}

/// Words that the model says it has from a passage. Not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Index into [`Prompt::passages`].
    pub passage: usize,
    /// First cited block.
    pub start_block: usize,
    /// One past the last cited block.
    pub end_block: usize,
    /// The words.
    pub text: String,
}

/// One event of an answer in the making.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// More text.
    Text(String),
    /// The text since the last such event rests on these quotes; on none where there are none.
    Cited(Vec<Quote>),
    /// The end of a complete answer; nothing follows.
    End {
        /// Why it ended.
        finish_reason: FinishReason,
        /// Tokens read and written.
        usage: Usage,
    },
}

/// An answer in the making: ends after [`ModelEvent::End`] or after the first error.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// A language model that answers from passages and cites them.
pub trait AnswerModel: Send + Sync {
    /// Starts an answer. Resolves once the model has begun to speak, so that every failure before that can
    /// still be told with an HTTP status; such failures have been retried where that is sensible.
    /// Dropping the future or the stream ends the call at the provider.
    fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<ModelStream, ModelError>>;
}

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
    /// When another try may succeed, as far as the provider said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
