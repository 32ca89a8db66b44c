//! What Claude reads and writes: the request body, and the state machine that turns the bytes of its event
//! stream into [`ModelEvent`]s.
//!
//! Source: Anthropic's reference of the Messages API, streaming and search results. The stream is tolerant
//! where the reference asks for it: unknown events, deltas and citations are passed over.

use super::{ModelError, ModelEvent, Prompt, Quote};
use rag_core::sse::{Decoder, SseEvent};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shared_types::chat::{FinishReason, Usage};

/// The version that Vertex AI wants in the body.
pub const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// The version that the Anthropic API wants in a header.
pub const API_VERSION: &str = "2023-06-01";

/// Text and quotes of one answer at most, in bytes; `max_tokens` keeps answers far below.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// An error's name is cut at this length before it reaches a log.
const MAX_KIND_CHARS: usize = 64;

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
    /// Instructions.
    pub system: &'a str,
    /// One message of the user.
    pub messages: [Message<'a>; 1],
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
            system: prompt.system,
            messages: [Message {
                role: "user",
                content,
            }],
        }
    }
}

#[derive(Deserialize)]
struct MessageStart {
    message: StartedMessage,
}

#[derive(Deserialize)]
struct StartedMessage {
    #[serde(default)]
    usage: WireUsage,
}

#[expect(clippy::struct_field_names, reason = "the names are the service's")]
#[derive(Default, Deserialize)]
struct WireUsage {
    input_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
    output_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct BlockStart {
    content_block: StartedBlock,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StartedBlock {
    Text {
        #[serde(default)]
        text: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct BlockDelta {
    delta: Delta,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "citations_delta")]
    Citations { citation: WireCitation },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireCitation {
    SearchResultLocation {
        cited_text: String,
        search_result_index: usize,
        start_block_index: usize,
        end_block_index: usize,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageDelta {
    delta: StopDelta,
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
struct StopDelta {
    stop_reason: Option<String>,
}

/// The body of an error, as an event and as a reply.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorName,
}

#[derive(Deserialize)]
struct ErrorName {
    /// Anthropic's name.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Google's name.
    status: Option<String>,
}

/// The name of the error in a reply's body, from Anthropic's or from Google's shape.
#[must_use]
pub fn error_kind(body: &[u8]) -> String {
    // Vertex wraps some errors of its own in an array. That shape first: serde reads a struct from an
    // array of its fields, too.
    let error = serde_json::from_slice::<[ErrorBody; 1]>(body)
        .map(|[error]| error)
        .or_else(|_| serde_json::from_slice::<ErrorBody>(body));
    error.map_or_else(|_| "unknown".to_owned(), ErrorBody::kind)
}

impl ErrorBody {
    fn kind(self) -> String {
        let kind = self.error.kind.or(self.error.status);
        let kind = kind.unwrap_or_else(|| "unknown".to_owned());
        kind.chars().take(MAX_KIND_CHARS).collect()
    }
}

/// What some bytes amounted to.
#[derive(Debug)]
pub struct Step {
    /// What they said, in order.
    pub events: Vec<ModelEvent>,
    /// The failure after those events; nothing is to be read after it.
    pub outcome: Result<(), ModelError>,
}

/// Reads the event stream of one answer.
#[derive(Debug, Default)]
pub struct EventReader {
    decoder: Decoder,
    quotes: Vec<Quote>,
    usage: Usage,
    finish_reason: Option<FinishReason>,
    bytes: usize,
    begun: bool,
    ended: bool,
}

impl EventReader {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the model has begun to speak.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// Whether the answer is complete; what comes after is passed over.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) -> Step {
        let mut events = Vec::new();
        let outcome = match self.decoder.push(bytes) {
            Ok(decoded) => decoded
                .iter()
                .try_for_each(|event| self.event(event, &mut events)),
            Err(error) => Err(error.into()),
        };
        Step { events, outcome }
    }

    fn event(&mut self, event: &SseEvent, out: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        if self.ended {
            return Ok(());
        }
        match event.name.as_str() {
            "message_start" => {
                let start: MessageStart = parse(event)?;
                self.begun = true;
                self.count(&start.message.usage);
            }
            "content_block_start" => {
                if let StartedBlock::Text { text } = parse::<BlockStart>(event)?.content_block {
                    self.text(text, out)?;
                }
            }
            "content_block_delta" => match parse::<BlockDelta>(event)?.delta {
                Delta::Text { text } => self.text(text, out)?,
                Delta::Citations { citation } => self.quote(citation)?,
                Delta::Other => {}
            },
            // Citations arrive before, between or after the text of their block; held until its end, they
            // always follow the text that rests on them.
            "content_block_stop" => {
                out.push(ModelEvent::Cited(std::mem::take(&mut self.quotes)));
            }
            "message_delta" => {
                let delta: MessageDelta = parse(event)?;
                self.count(&delta.usage);
                if let Some(reason) = delta.delta.stop_reason {
                    self.finish_reason = Some(finish_reason(&reason));
                }
            }
            "message_stop" => {
                self.ended = true;
                out.push(ModelEvent::End {
                    finish_reason: self.finish_reason.unwrap_or(FinishReason::Complete),
                    usage: self.usage,
                });
            }
            "error" => {
                let kind = parse::<ErrorBody>(event)?.kind();
                return Err(ModelError::Interrupted { kind });
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: String, out: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        self.grow(text.len())?;
        if !text.is_empty() {
            self.begun = true;
            out.push(ModelEvent::Text(text));
        }
        Ok(())
    }

    fn quote(&mut self, citation: WireCitation) -> Result<(), ModelError> {
        if let WireCitation::SearchResultLocation {
            cited_text,
            search_result_index,
            start_block_index,
            end_block_index,
        } = citation
        {
            self.grow(cited_text.len())?;
            self.quotes.push(Quote {
                passage: search_result_index,
                start_block: start_block_index,
                end_block: end_block_index,
                text: cited_text,
            });
        }
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(ModelError::TooLong);
        }
        Ok(())
    }

    /// Counts are cumulative: the latest stands.
    fn count(&mut self, usage: &WireUsage) {
        if let Some(input) = usage.input_tokens {
            self.usage.input_tokens = input
                .saturating_add(usage.cache_creation_input_tokens.unwrap_or(0))
                .saturating_add(usage.cache_read_input_tokens.unwrap_or(0));
        }
        if let Some(output) = usage.output_tokens {
            self.usage.output_tokens = output;
        }
    }
}

fn parse<T: DeserializeOwned>(event: &SseEvent) -> Result<T, ModelError> {
    serde_json::from_str(&event.data).map_err(ModelError::Malformed)
}

fn finish_reason(stop_reason: &str) -> FinishReason {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::Declined,
        _ => FinishReason::Complete,
    }
}

#[cfg(test)]
mod tests;
