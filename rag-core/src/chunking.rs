//! Cutting the text of a document into passages.
//!
//! A passage is a run of *units*: sentences, or parts of sentences where a page ends in the middle
//! of one or a sentence is longer than a whole passage. Every unit stands wholly on one page, so
//! whoever cites units cites pages. All offsets count Unicode scalar values.

mod chunker;
mod pieces;

pub use chunker::Chunker;

use crate::lines::Line;
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, ops::Range};

/// The text of one page. Lines are paragraphs, headings, list items or table rows; the words of a
/// paragraph are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageText {
    /// From 1.
    pub page: u32,
    /// The text.
    pub text: String,
    /// Where it stands, in the order of the text; empty where nobody knows.
    pub lines: Vec<Line>,
    /// Those of its lines that are headings, in the order of the text.
    pub headings: Vec<Heading>,
    /// How sure text recognition is of it, from 0 to 100; `None` where the page says its text itself.
    pub confidence: Option<u8>,
}

/// A heading: a line of a page's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heading {
    /// The line's first character in the page's text.
    pub start_char: u32,
    /// Sections of a higher level are parts of those of a lower one; from 1.
    pub level: u8,
}

/// A sentence, or part of one, that stands wholly on one page. Stored as an array of five numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[u32; 5]", into = "[u32; 5]")]
pub struct Unit {
    /// From 1.
    pub page: u32,
    /// First character in the page's text.
    pub page_start_char: u32,
    /// One past the last character in the page's text.
    pub page_end_char: u32,
    /// First character in the passage.
    pub chunk_start_char: u32,
    /// One past the last character in the passage.
    pub chunk_end_char: u32,
}

impl Unit {
    /// Its characters in the passage.
    #[must_use]
    pub fn chars(&self) -> Range<u32> {
        self.chunk_start_char..self.chunk_end_char
    }
}

impl From<[u32; 5]> for Unit {
    fn from(
        [
            page,
            page_start_char,
            page_end_char,
            chunk_start_char,
            chunk_end_char,
        ]: [u32; 5],
    ) -> Self {
        Self {
            page,
            page_start_char,
            page_end_char,
            chunk_start_char,
            chunk_end_char,
        }
    }
}

impl From<Unit> for [u32; 5] {
    fn from(unit: Unit) -> Self {
        [
            unit.page,
            unit.page_start_char,
            unit.page_end_char,
            unit.chunk_start_char,
            unit.chunk_end_char,
        ]
    }
}

/// A passage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its place in the document, from 0.
    pub index: u32,
    /// Its units, joined by a space within a line of the page and by a line feed between lines.
    pub content: String,
    /// Its units, in order, without gaps but for the joints.
    pub units: Vec<Unit>,
    /// Where it stands on its pages, counted in characters of the passage. A line that holds parts of two units is two.
    pub lines: Vec<Line>,
    /// Page of the first unit.
    pub page_start: u32,
    /// Page of the last unit.
    pub page_end: u32,
    /// The heading that its first words stand under, itself among them or not.
    pub section: Option<String>,
    /// The sum of its units' tokens.
    pub token_count: usize,
    /// How sure text recognition is of those of its units that were recognised, on average; `None` where none was.
    pub confidence: Option<u8>,
}

/// How large passages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkConfig {
    /// What the encoder reads, its two special tokens included.
    pub max_tokens: usize,
    /// How much of a passage is said again in the next one of the same section, at most.
    pub overlap_tokens: usize,
    /// A section shares a passage with its first subsection where either has fewer tokens than this.
    pub min_section_tokens: usize,
}

impl Default for ChunkConfig {
    /// The specification's 512 and 128.
    fn default() -> Self {
        Self {
            max_tokens: 512,
            overlap_tokens: 128,
            min_section_tokens: 64,
        }
    }
}

impl ChunkConfig {
    /// Tokens of text: `[CLS]` and `[SEP]` need two.
    fn content_tokens(&self) -> usize {
        self.max_tokens.saturating_sub(2).max(1)
    }
}

/// Cuts a document into passages of at most `config.max_tokens`, at the ends of sentences, each
/// repeating up to `config.overlap_tokens` of the one before unless a heading stands between them.
///
/// A heading begins a passage, so that none mixes two sections. Only a section and the first of its own parts share one
/// where one of the two is short, and headings that follow one another do. Of a heading longer than a passage the first
/// one's worth names its section.
///
/// `count_tokens` counts the encoder's tokens of a text without special tokens; it must not count
/// more for a text than for its words one by one. A document without words yields no passages.
#[must_use]
pub fn chunk<P: Borrow<PageText>>(
    pages: impl IntoIterator<Item = P>,
    config: &ChunkConfig,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Chunk> {
    let mut chunker = Chunker::new(config, count_tokens);
    let mut chunks = Vec::new();
    for page in pages {
        chunks.extend(chunker.add(page.borrow()));
    }
    chunks.extend(chunker.finish());
    chunks
}

#[cfg(test)]
mod tests;
