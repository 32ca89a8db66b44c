//! The language model behind one trait, so that a provider is a matter of configuration.

mod breaker;
mod claude;
mod client;
#[cfg(test)]
mod configured;
#[cfg(test)]
mod contract;
mod dialect;
mod endpoint;
mod error;
mod gemini;
mod guarded;
mod marks;
mod reader;
mod retry;

pub use error::ModelError;

use crate::config::{ModelConfig, ProviderConfig};
use client::Client;
use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
    stream::BoxStream,
};
use guarded::Providers;
use shared_types::chat::{FinishReason, Usage};
use std::sync::Arc;

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
    /// What the call has used so far, priced; the latest stands. It is told as soon as it is known, for a call that
    /// breaks off was not free.
    Counted(Usage),
    /// The end of a complete answer; nothing follows.
    End {
        /// Why it ended.
        finish_reason: FinishReason,
        /// What the call has used, priced.
        usage: Usage,
    },
}

/// An answer in the making: ends after [`ModelEvent::End`] or after the first error.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// An answer that has begun.
pub struct Begun {
    /// Whose it is, for the log: provider and model.
    pub model: Arc<str>,
    /// What it says.
    pub events: ModelStream,
}

/// A language model that answers from passages and cites them.
pub trait AnswerModel: Send + Sync {
    /// Starts an answer. Resolves once the model has begun to speak, so that every failure before that can
    /// still be told with an HTTP status; such failures have been retried where that is sensible.
    /// Dropping the future or the stream ends the call at the provider.
    fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<Begun, ModelError>>;

    /// Whether there are credentials to ask with. Asks the model nothing.
    fn is_authorised(&self) -> BoxFuture<'_, Result<(), ModelError>> {
        future::ready(Ok(())).boxed()
    }
}

/// The language model that `config` names, and the one that is asked where it is out. Makes no call yet.
pub fn connect(config: &ModelConfig) -> anyhow::Result<Arc<dyn AnswerModel>> {
    let named = |provider: &ProviderConfig| -> anyhow::Result<(String, Client)> {
        Ok((provider.name(), Client::new(config, provider)?))
    };
    let second = config.second.as_ref().map(named).transpose()?;
    Ok(Arc::new(Providers::new(
        named(&config.first)?,
        second,
        config.first_event_timeout,
    )))
}
