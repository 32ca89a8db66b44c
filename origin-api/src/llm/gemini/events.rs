//! What Gemini writes: a stream of partial responses, in which marks stand for citations.
//!
//! Source: Google's reference of `GenerateContentResponse`. Tolerant of what it does not know, but for the reasons to
//! end: an answer that ended for an unknown reason must not pass for a complete one.

use crate::llm::{
    ModelError, Quote,
    error::{ErrorName, shortened},
    marks::{MarkReader, Marks, Piece},
    reader::{Heard, Meaning, parse},
};
use rag_core::sse::SseEvent;
use serde::Deserialize;
use shared_types::chat::FinishReason;

/// The reason of an answer that has not ended.
const UNSPECIFIED: &str = "FINISH_REASON_UNSPECIFIED";

/// A partial response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    /// In place of all others, where the service breaks off.
    error: Option<ErrorName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: Content,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    /// The model talks to itself.
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[expect(clippy::struct_field_names, reason = "the names are the service's")]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u32>,
    cached_content_token_count: Option<u32>,
    candidates_token_count: Option<u32>,
    thoughts_token_count: Option<u32>,
}

/// What Gemini means by the events of one answer.
#[derive(Debug)]
pub(in crate::llm) struct GeminiEvents {
    lines: Vec<Quote>,
    /// An index of no passage.
    no_passage: usize,
    marks: MarkReader,
}

impl GeminiEvents {
    /// For an answer from these lines, which are of so many passages.
    pub(in crate::llm) fn new(lines: Vec<Quote>, passages: usize) -> Self {
        Self {
            marks: MarkReader::new(lines.len()),
            no_passage: passages,
            lines,
        }
    }

    fn tell(&self, pieces: Vec<Piece>, heard: &mut Heard) -> Result<(), ModelError> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => heard.text(text)?,
                Piece::Claim(marks) => {
                    let quotes = self.quotes(&marks);
                    heard.grow(quotes.iter().map(|quote| quote.text.len()).sum())?;
                    heard.cited(quotes);
                }
            }
        }
        Ok(())
    }

    /// The lines in their own words. One that there is not is a quote of a passage that there is not, so that it
    /// counts as made up.
    fn quotes(&self, marks: &Marks) -> Vec<Quote> {
        let known = marks
            .lines
            .iter()
            .filter_map(|line| self.lines.get(line - 1));
        let unknown = (0..marks.unknown).map(|_| Quote {
            passage: self.no_passage,
            start_block: 0,
            end_block: 0,
            text: String::new(),
        });
        known.cloned().chain(unknown).collect()
    }
}

/// Counts are cumulative: the latest stands. Of its cache the service tells only what was read.
fn count(told: &UsageMetadata, heard: &mut Heard) {
    let mut usage = heard.usage();
    if let Some(input) = told.prompt_token_count {
        usage.input_tokens = input;
    }
    if let Some(read) = told.cached_content_token_count {
        usage.cache_read_tokens = read;
    }
    if let Some(output) = told.candidates_token_count {
        let thoughts = told.thoughts_token_count.unwrap_or(0);
        usage.output_tokens = output.saturating_add(thoughts);
    }
    heard.count(usage);
}

impl Meaning for GeminiEvents {
    fn event(&mut self, event: &SseEvent, heard: &mut Heard) -> Result<(), ModelError> {
        // The service names none of its events: another is not an answer's.
        if event.name != "message" {
            return Ok(());
        }
        let chunk: Chunk = parse(event)?;
        if let Some(error) = chunk.error {
            return Err(ModelError::Interrupted { kind: error.name() });
        }
        if let Some(usage) = &chunk.usage_metadata {
            count(usage, heard);
        }
        let blocked = chunk.prompt_feedback.and_then(|told| told.block_reason);
        // Only one is asked for.
        let candidate = chunk.candidates.into_iter().next();
        if let (None, Some(_)) = (&candidate, blocked) {
            heard.end(FinishReason::Declined);
        }
        let Some(candidate) = candidate else {
            return Ok(());
        };
        for part in candidate.content.parts {
            if let (Some(text), false) = (part.text, part.thought) {
                let pieces = self.marks.push(&text);
                self.tell(pieces, heard)?;
            }
        }
        if let Some(reason) = candidate
            .finish_reason
            .filter(|reason| reason != UNSPECIFIED)
        {
            let rest = MarkReader::new(self.lines.len());
            let rest = std::mem::replace(&mut self.marks, rest).finish();
            self.tell(rest, heard)?;
            heard.end(finish_reason(&reason)?);
        }
        Ok(())
    }
}

/// What a reason to end means for the reader.
fn finish_reason(reason: &str) -> Result<FinishReason, ModelError> {
    Ok(match reason {
        "STOP" => FinishReason::Complete,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "MODEL_ARMOR" => FinishReason::Declined,
        other => {
            return Err(ModelError::Interrupted {
                kind: shortened(other),
            });
        }
    })
}
