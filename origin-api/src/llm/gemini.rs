//! What Gemini reads: the request body, in which every line has a number; [`events`] is what it writes.
//!
//! Source: Google's reference of `streamGenerateContent` on Vertex AI. Gemini has no citations of its own: it is told
//! to end each statement with the numbers of the lines that carry it.

pub(super) mod events;

use super::{Prompt, Quote};
use serde::Serialize;
use std::fmt::Write as _;

/// How to cite, after the instructions for every model. A change of it, or of the lines' layout, changes
/// [`rag_core::prompt::PROMPT_VERSION`].
const HOW_TO_CITE: &str = "\
The search results are given line by line, under the title of their document. Each line begins with its number \
in square brackets.

- End every statement with the numbers of the lines that carry it, like this: [3] or [3][4].
- Use no other numbers in square brackets, and name no line that does not carry the statement.";

/// The body of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateRequest<'a> {
    /// Instructions.
    system_instruction: Content<'a>,
    /// One turn of the user: the passages, then the question.
    contents: [Content<'a>; 1],
    generation_config: GenerationConfig,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    thinking_budget: u32,
}

impl<'a> GenerateRequest<'a> {
    /// The request for `prompt`.
    pub(super) fn new(prompt: &'a Prompt, max_tokens: u32, thinking_budget: Option<u32>) -> Self {
        let part = |text: &'a str| Part { text: text.into() };
        let mut number = 0;
        let passages = prompt.passages.iter().map(|passage| {
            let mut text = format!("Title: {}", one_line(&passage.title));
            for block in &passage.blocks {
                number += 1;
                // Writing to a string never fails.
                let _ = write!(text, "\n[{number}] {}", one_line(block));
            }
            Part { text: text.into() }
        });
        // Without passages there is nothing to cite.
        let how_to_cite = (!prompt.passages.is_empty()).then_some(HOW_TO_CITE);
        let instructions = [prompt.system].into_iter().chain(how_to_cite);
        Self {
            system_instruction: Content {
                role: None,
                parts: instructions.map(part).collect(),
            },
            contents: [Content {
                role: Some("user"),
                parts: passages.chain([part(&prompt.question)]).collect(),
            }],
            generation_config: GenerationConfig {
                max_output_tokens: max_tokens,
                thinking_config: thinking_budget
                    .map(|thinking_budget| ThinkingConfig { thinking_budget }),
            },
        }
    }
}

/// The lines of `prompt` as quotes of themselves: line `n` at `n - 1`.
pub(super) fn lines(prompt: &Prompt) -> Vec<Quote> {
    let passages = prompt.passages.iter().enumerate();
    let lines = passages.flat_map(|(passage, content)| {
        let blocks = content.blocks.iter().enumerate();
        blocks.map(move |(block, text)| Quote {
            passage,
            start_block: block,
            end_block: block + 1,
            text: text.clone(),
        })
    });
    lines.collect()
}

/// The words without line breaks: else a document could number lines of its own.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod standing;
#[cfg(test)]
mod tests;
