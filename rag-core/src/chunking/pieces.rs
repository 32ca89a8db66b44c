//! The units of a page.

use super::PageText;
use crate::lines::{CharOffsets, Line};
use unicode_segmentation::UnicodeSegmentation;

/// A word longer than this is cut, so that no "word" can exceed a passage.
const MAX_WORD_CHARS: usize = 200;

/// A unit before it has a place in a passage.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub text: String,
    pub page: u32,
    pub page_start_char: u32,
    pub tokens: usize,
    pub starts_line: bool,
    /// The level, of a heading.
    pub heading: Option<u8>,
    pub confidence: Option<u8>,
    /// Counted in characters of the page.
    pub lines: Vec<Line>,
}

/// The units of a page, each at most `limit` tokens.
pub(super) fn pieces(
    page: &PageText,
    limit: usize,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Piece> {
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
pub(super) fn words(text: &str) -> Vec<(usize, usize)> {
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
