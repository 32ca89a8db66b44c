//! What Claude reads: the request body; [`events`] is what it writes.
//!
//! Source: Anthropic's reference of the Messages API, search results and prompt caching.

pub(super) mod events;

use super::Prompt;
use serde::Serialize;

/// The version that Vertex AI wants in the body.
pub const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// The version that the Anthropic API wants in a header.
pub const API_VERSION: &str = "2023-06-01";

/// The body of a request.
#[derive(Debug, Serialize)]
pub struct MessagesRequest<'a> {
    /// Absent on Vertex AI, whose URL names the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// Present on Vertex AI alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_version: Option<&'static str>,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// Always.
    pub stream: bool,
    /// Instructions, in one block.
    pub system: [SystemBlock<'a>; 1],
    /// One message of the user.
    pub messages: [Message<'a>; 1],
}

/// The instructions.
#[derive(Debug, Serialize)]
pub struct SystemBlock<'a> {
    /// `text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The words.
    pub text: &'a str,
    /// Ends the part of a prompt that is the same in all of them, for the service to keep.
    ///
    /// It keeps nothing that is shorter than a model's least length, which is 4,096 tokens for Claude Haiku 4.5 and
    /// 1,024 for others, and says nothing about it: until the instructions are that long, the mark costs and saves
    /// nothing.
    pub cache_control: CacheControl,
}

/// `{"type": "ephemeral"}`: kept for five minutes after its last use.
#[derive(Debug, Serialize)]
pub struct CacheControl {
    /// `ephemeral`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A message.
#[derive(Debug, Serialize)]
pub struct Message<'a> {
    /// `user`.
    pub role: &'static str,
    /// Search results, then the question.
    pub content: Vec<Content<'a>>,
}

/// A block of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content<'a> {
    /// Plain text.
    Text {
        /// Not blank: the service refuses blank text.
        text: &'a str,
    },
    /// Something that may be cited.
    SearchResult {
        /// A name of the source; ours is its number.
        source: String,
        /// Its title.
        title: &'a str,
        /// The smallest pieces that can be cited.
        content: Vec<Content<'a>>,
        /// Switches citations on.
        citations: CitationsSwitch,
    },
}

/// `{"enabled": true}`.
#[derive(Debug, Serialize)]
pub struct CitationsSwitch {
    /// Whether the model may cite this source.
    pub enabled: bool,
}

impl<'a> MessagesRequest<'a> {
    /// The request for `prompt`, with neither `model` nor `anthropic_version`.
    #[must_use]
    pub fn new(prompt: &'a Prompt, max_tokens: u32) -> Self {
        let passages = prompt.passages.iter().enumerate();
        let mut content: Vec<_> = passages
            .map(|(index, passage)| Content::SearchResult {
                source: format!("passage-{}", index + 1),
                title: &passage.title,
                content: passage
                    .blocks
                    .iter()
                    .map(|text| Content::Text { text })
                    .collect(),
                citations: CitationsSwitch { enabled: true },
            })
            .collect();
        content.push(Content::Text {
            text: &prompt.question,
        });
        Self {
            model: None,
            anthropic_version: None,
            max_tokens,
            stream: true,
            system: [SystemBlock {
                kind: "text",
                text: prompt.system,
                cache_control: CacheControl { kind: "ephemeral" },
            }],
            messages: [Message {
                role: "user",
                content,
            }],
        }
    }
}

#[cfg(test)]
mod tests;
