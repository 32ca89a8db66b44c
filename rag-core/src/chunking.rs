//! Cutting the text of a document into passages.
//!
//! A passage is a run of *units*: sentences, or parts of sentences where a page ends in the middle
//! of one or a sentence is longer than a whole passage. Every unit stands wholly on one page, so
//! whoever cites units cites pages. All offsets count Unicode scalar values.

use crate::lines::{CharOffsets, Line};
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, ops::Range, rc::Rc};
use unicode_segmentation::UnicodeSegmentation;

/// A word longer than this is cut, so that no "word" can exceed a passage.
const MAX_WORD_CHARS: usize = 200;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A unit before it has a place in a passage.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    page: u32,
    page_start_char: u32,
    tokens: usize,
    starts_line: bool,
    /// The level, of a heading.
    heading: Option<u8>,
    confidence: Option<u8>,
    /// Counted in characters of the page.
    lines: Vec<Line>,
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
///
/// Of the pages no more is kept than the section that is being cut.
#[must_use]
pub fn chunk<P: Borrow<PageText>>(
    pages: impl IntoIterator<Item = P>,
    config: &ChunkConfig,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Chunk> {
    let mut builder = Builder::default();
    // Up to the next heading: how long a section is decides whether it shares a passage.
    let mut section = Vec::new();
    for page in pages {
        for piece in pieces(page.borrow(), config.content_tokens(), count_tokens) {
            if piece.heading.is_some() {
                builder.add_section(std::mem::take(&mut section), config);
            }
            section.push(piece);
        }
    }
    builder.add_section(section, config);
    builder.flush(0);
    builder.chunks
}

#[derive(Default)]
struct Builder {
    chunks: Vec<Chunk>,
    pieces: Vec<Piece>,
    tokens: usize,
    /// Pieces that already stand in the chunk before.
    repeated: usize,
    /// Of the last section that holds more than headings.
    section_tokens: usize,
    /// The headings over the first words that are none, and over the next ones, each with its level.
    section: Option<Title>,
    heading: Option<Title>,
}

/// A heading's level and text.
type Title = (u8, Rc<str>);

impl Builder {
    /// Adds a heading and what stands under it, or what stands before the first heading.
    fn add_section(&mut self, section: Vec<Piece>, config: &ChunkConfig) {
        let limit = config.content_tokens();
        let tokens = section.iter().map(|piece| piece.tokens).sum();
        let has_text = section.iter().any(|piece| piece.heading.is_none());
        for piece in section {
            if piece
                .heading
                .is_some_and(|level| self.ends_before(level, tokens, config))
            {
                self.flush(0);
            } else if self.tokens + piece.tokens > limit {
                // The overlap shrinks where the next unit needs the room.
                let room = limit.saturating_sub(piece.tokens);
                self.flush(config.overlap_tokens.min(room));
            }
            self.add(piece);
        }
        if has_text {
            self.section_tokens = tokens;
        }
    }

    /// Whether the passage ends before a heading of this level, whose section has so many tokens.
    fn ends_before(&self, level: u8, tokens: usize, config: &ChunkConfig) -> bool {
        let is_its_part = self.heading.as_ref().is_some_and(|(over, _)| *over < level);
        let is_short = self.section_tokens.min(tokens) < config.min_section_tokens;
        match self.sections() {
            0 => false,
            1 => !(is_its_part && is_short),
            _ => true,
        }
    }

    /// Of how many sections the passage holds more than headings.
    fn sections(&self) -> usize {
        self.pieces
            .chunk_by(|before, piece| before.heading.is_none() && piece.heading.is_none())
            .filter(|run| run[0].heading.is_none())
            .count()
    }

    fn add(&mut self, piece: Piece) {
        if let Some(level) = piece.heading {
            self.heading = Some((level, piece.text.as_str().into()));
        }
        if self.pieces.iter().all(|piece| piece.heading.is_some()) {
            self.section.clone_from(&self.heading);
        }
        self.tokens += piece.tokens;
        self.pieces.push(piece);
    }

    /// Ends the passage and begins the next with the last pieces, up to `overlap` tokens.
    fn flush(&mut self, overlap: usize) {
        if self.pieces.len() > self.repeated {
            let index = self.chunks.len() as u32;
            self.chunks.extend(assemble(
                index,
                &self.pieces,
                self.section.as_ref(),
                self.tokens,
            ));
        }
        let mut kept = 0;
        let keep = self
            .pieces
            .iter()
            .rev()
            .take_while(|piece| {
                kept += piece.tokens;
                kept <= overlap
            })
            .count();
        self.pieces.drain(..self.pieces.len() - keep);
        self.repeated = self.pieces.len();
        self.tokens = self.pieces.iter().map(|piece| piece.tokens).sum();
        self.section.clone_from(&self.heading);
    }
}

fn assemble(index: u32, pieces: &[Piece], section: Option<&Title>, tokens: usize) -> Option<Chunk> {
    let (first, last) = (pieces.first()?, pieces.last()?);
    let mut content = String::new();
    let mut chars = 0;
    let mut units = Vec::with_capacity(pieces.len());
    let mut lines = Vec::new();
    for piece in pieces {
        if !content.is_empty() {
            content.push(if piece.starts_line { '\n' } else { ' ' });
            chars += 1;
        }
        let length = piece.text.chars().count() as u32;
        units.push(Unit {
            page: piece.page,
            page_start_char: piece.page_start_char,
            page_end_char: piece.page_start_char + length,
            chunk_start_char: chars,
            chunk_end_char: chars + length,
        });
        lines.extend(piece.lines.iter().map(|line| Line {
            start_char: line.start_char - piece.page_start_char + chars,
            end_char: line.end_char - piece.page_start_char + chars,
            ..line.clone()
        }));
        content.push_str(&piece.text);
        chars += length;
    }
    Some(Chunk {
        index,
        content,
        units,
        lines,
        page_start: first.page,
        page_end: last.page,
        section: section.map(|(_, title)| title.to_string()),
        token_count: tokens,
        confidence: confidence(pieces),
    })
}

/// The mean over the characters that were recognised.
fn confidence(pieces: &[Piece]) -> Option<u8> {
    let recognised = pieces
        .iter()
        .filter_map(|piece| Some((piece, piece.confidence?)));
    let (sum, chars) = recognised.fold((0, 0), |(sum, chars), (piece, confidence)| {
        (
            sum + piece.text.len() * usize::from(confidence),
            chars + piece.text.len(),
        )
    });
    sum.checked_div(chars).map(|mean| mean as u8)
}

/// The units of a page, each at most `limit` tokens.
fn pieces(page: &PageText, limit: usize, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = LinesOf::new(page);
    let mut headings = page.headings.iter().peekable();
    let mut offset = 0;
    for line in page.text.split('\n') {
        let heading = headings.next_if(|heading| heading.start_char == offset);
        let mut starts_line = true;
        let mut level = heading.map(|heading| heading.level);
        let mut sentence_offset = offset;
        for sentence in sentences(line, heading.is_some()) {
            for (skipped, text, tokens) in cut(sentence, limit, count_tokens) {
                let page_start_char = sentence_offset + skipped;
                pieces.push(Piece {
                    text: text.to_owned(),
                    page: page.page,
                    page_start_char,
                    lines: lines.part(page_start_char, text),
                    tokens,
                    starts_line: std::mem::take(&mut starts_line),
                    // What is left of a heading that is cut stands under its beginning.
                    heading: level.take(),
                    confidence: page.confidence,
                });
            }
            sentence_offset += sentence.chars().count() as u32;
        }
        offset = sentence_offset + 1;
    }
    pieces
}

/// A line's sentences. A heading is one, whatever full stops are in it ("Op. 10 No. 3").
fn sentences(line: &str, is_heading: bool) -> impl Iterator<Item = &str> {
    let whole = is_heading.then_some(line);
    let parts = (!is_heading).then(|| line.split_sentence_bounds());
    whole.into_iter().chain(parts.into_iter().flatten())
}

/// A page's lines, taken from first to last.
struct LinesOf<'a> {
    page: &'a PageText,
    offsets: CharOffsets,
    /// Those before end before the next piece begins.
    next: usize,
}

impl<'a> LinesOf<'a> {
    fn new(page: &'a PageText) -> Self {
        Self {
            page,
            offsets: CharOffsets::of(&page.text),
            next: 0,
        }
    }

    /// What stands where of `text`, which begins at the character `start` and not before the one asked for last.
    fn part(&mut self, start: u32, text: &str) -> Vec<Line> {
        if self.page.lines.is_empty() {
            return Vec::new();
        }
        let chars = start..start + text.chars().count() as u32;
        let from = &self.page.lines[self.next..];
        self.next += from
            .iter()
            .take_while(|line| line.end_char <= start)
            .count();
        self.page.lines[self.next..]
            .iter()
            .take_while(|line| line.start_char < chars.end)
            .filter_map(|line| {
                let text = self
                    .offsets
                    .slice(&self.page.text, line.start_char..line.end_char);
                line.part(text?, &chars)
            })
            .collect()
    }
}

/// A sentence as parts of at most `limit` tokens: whole where it fits, else cut between words.
/// Each part comes with its offset in characters and its tokens.
fn cut<'a>(
    sentence: &'a str,
    limit: usize,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<(u32, &'a str, usize)> {
    let trimmed = sentence.trim();
    if trimmed.is_empty() {
        return Vec::new();
    }
    let at = |byte: usize| sentence[..byte].chars().count() as u32;
    let start = sentence.len() - sentence.trim_start().len();
    let tokens = count_tokens(trimmed);
    if tokens <= limit {
        return vec![(at(start), trimmed, tokens)];
    }
    let mut parts = Vec::new();
    let mut part: Option<(usize, usize, usize)> = None;
    for (word_start, word_end) in words(sentence) {
        let tokens = count_tokens(&sentence[word_start..word_end]);
        part = match part {
            Some((from, _, sum)) if sum + tokens <= limit => Some((from, word_end, sum + tokens)),
            full => {
                parts.extend(full);
                Some((word_start, word_end, tokens))
            }
        };
    }
    parts.extend(part);
    parts
        .into_iter()
        .map(|(from, to, tokens)| (at(from), &sentence[from..to], tokens))
        .collect()
}

/// Byte ranges of the words, over-long ones in parts.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut length = 0;
    for (at, character) in text.char_indices() {
        if character.is_whitespace() || length == MAX_WORD_CHARS {
            words.extend(start.take().map(|from| (from, at)));
        }
        if character.is_whitespace() {
            length = 0;
            continue;
        }
        if start.is_none() {
            start = Some(at);
            length = 0;
        }
        length += 1;
    }
    words.extend(start.map(|from| (from, text.len())));
    words
}

#[cfg(test)]
mod tests;
