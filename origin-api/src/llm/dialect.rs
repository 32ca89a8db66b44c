//! What each provider's model is told and how it is understood; [`super::endpoint`] says where it is asked.

use super::{
    Prompt,
    claude::{MessagesRequest, VERTEX_VERSION, events::ClaudeEvents},
    gemini::{self, GenerateRequest, events::GeminiEvents},
    reader::AnswerReader,
};
use crate::config::{Provider, ProviderConfig};

/// The language of one kind of model at one kind of provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    ClaudeOnVertex,
    ClaudeAtAnthropic { model: String },
    Gemini { thinking_budget: Option<u32> },
}

impl Dialect {
    pub(super) fn new(config: &ProviderConfig) -> Self {
        match &config.provider {
            Provider::VertexClaude(_) => Self::ClaudeOnVertex,
            Provider::Anthropic { .. } => Self::ClaudeAtAnthropic {
                // The same model is `claude-haiku-4-5@20251001` on Vertex and
                // `claude-haiku-4-5-20251001` on the Anthropic API.
                model: config.model.replace('@', "-"),
            },
            Provider::VertexGemini {
                thinking_budget, ..
            } => Self::Gemini {
                thinking_budget: *thinking_budget,
            },
        }
    }

    /// The body of a request.
    pub(super) fn body(&self, prompt: &Prompt, max_tokens: u32) -> Vec<u8> {
        let claude = MessagesRequest::new(prompt, max_tokens);
        let body = match self {
            Self::ClaudeOnVertex => serde_json::to_vec(&MessagesRequest {
                anthropic_version: Some(VERTEX_VERSION),
                ..claude
            }),
            Self::ClaudeAtAnthropic { model } => serde_json::to_vec(&MessagesRequest {
                model: Some(model),
                ..claude
            }),
            Self::Gemini { thinking_budget } => {
                serde_json::to_vec(&GenerateRequest::new(prompt, max_tokens, *thinking_budget))
            }
        };
        // Strings and integers only: always serialises.
        body.unwrap_or_default()
    }

    /// A reader of the answer to `prompt`.
    pub(super) fn reader(&self, prompt: &Prompt) -> AnswerReader {
        match self {
            Self::ClaudeOnVertex | Self::ClaudeAtAnthropic { .. } => {
                AnswerReader::new(ClaudeEvents::default())
            }
            Self::Gemini { .. } => AnswerReader::new(GeminiEvents::new(
                gemini::lines(prompt),
                prompt.passages.len(),
            )),
        }
    }
}
