//! What Claude writes: the events of its stream.
//!
//! Source: Anthropic's reference of streaming. Tolerant where the reference asks for it: unknown events, deltas and
//! citations are passed over.

use crate::llm::{
    ModelError, Quote,
    error::ErrorBody,
    reader::{Heard, Meaning, parse},
};
use rag_core::sse::SseEvent;
use serde::Deserialize;
use shared_types::chat::FinishReason;

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

/// What Claude means by the events of one answer.
#[derive(Debug, Default)]
pub(in crate::llm) struct ClaudeEvents {
    quotes: Vec<Quote>,
    finish_reason: Option<FinishReason>,
}

impl Meaning for ClaudeEvents {
    fn event(&mut self, event: &SseEvent, heard: &mut Heard) -> Result<(), ModelError> {
        match event.name.as_str() {
            "message_start" => {
                let start: MessageStart = parse(event)?;
                heard.begin();
                count(&start.message.usage, heard);
            }
            "content_block_start" => {
                if let StartedBlock::Text { text } = parse::<BlockStart>(event)?.content_block {
                    heard.text(text)?;
                }
            }
            "content_block_delta" => match parse::<BlockDelta>(event)?.delta {
                Delta::Text { text } => heard.text(text)?,
                Delta::Citations { citation } => self.quote(citation, heard)?,
                Delta::Other => {}
            },
            // Citations arrive before, between or after the text of their block; held until its end, they
            // always follow the text that rests on them.
            "content_block_stop" => heard.cited(std::mem::take(&mut self.quotes)),
            "message_delta" => {
                let delta: MessageDelta = parse(event)?;
                count(&delta.usage, heard);
                if let Some(reason) = delta.delta.stop_reason {
                    self.finish_reason = Some(finish_reason(&reason));
                }
            }
            "message_stop" => {
                let reason = self.finish_reason.unwrap_or(FinishReason::Complete);
                heard.end(reason);
            }
            "error" => {
                let kind = parse::<ErrorBody>(event)?.name();
                return Err(ModelError::Interrupted { kind });
            }
            _ => {}
        }
        Ok(())
    }
}

impl ClaudeEvents {
    fn quote(&mut self, citation: WireCitation, heard: &mut Heard) -> Result<(), ModelError> {
        if let WireCitation::SearchResultLocation {
            cited_text,
            search_result_index,
            start_block_index,
            end_block_index,
        } = citation
        {
            heard.grow(cited_text.len())?;
            self.quotes.push(Quote {
                passage: search_result_index,
                start_block: start_block_index,
                end_block: end_block_index,
                text: cited_text,
            });
        }
        Ok(())
    }
}

/// Counts are cumulative: the latest stands. The service's `input_tokens` are those that no cache was asked for.
fn count(told: &WireUsage, heard: &mut Heard) {
    let mut usage = heard.usage();
    if let Some(input) = told.input_tokens {
        usage.cache_read_tokens = told.cache_read_input_tokens.unwrap_or(0);
        usage.cache_write_tokens = told.cache_creation_input_tokens.unwrap_or(0);
        usage.input_tokens = input
            .saturating_add(usage.cache_write_tokens)
            .saturating_add(usage.cache_read_tokens);
    }
    if let Some(output) = told.output_tokens {
        usage.output_tokens = output;
    }
    heard.count(usage);
}

/// What a stop reason means for the reader.
pub(super) fn finish_reason(stop_reason: &str) -> FinishReason {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::Declined,
        _ => FinishReason::Complete,
    }
}
