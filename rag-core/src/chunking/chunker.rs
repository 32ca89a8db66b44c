//! Cutting a document that comes page by page.

use super::{
    Chunk, ChunkConfig, PageText, Unit,
    pieces::{Piece, pieces},
};
use crate::lines::Line;
use std::rc::Rc;

/// [`chunk`](super::chunk) for a document whose pages come one by one. Of these, no more is kept than a passage and the
/// page that was added last, however long a section is.
pub struct Chunker<'a> {
    config: &'a ChunkConfig,
    count_tokens: &'a dyn Fn(&str) -> usize,
    section: Section,
    builder: Builder,
}

/// A heading and what stands under it, or what stands before the first heading.
#[derive(Default)]
struct Section {
    /// Its first units, until it is known whether it is short: that decides whether it shares a passage.
    waiting: Vec<Piece>,
    tokens: usize,
    has_text: bool,
}

impl<'a> Chunker<'a> {
    /// A chunker of one document.
    #[must_use]
    pub fn new(config: &'a ChunkConfig, count_tokens: &'a dyn Fn(&str) -> usize) -> Self {
        Self {
            config,
            count_tokens,
            section: Section::default(),
            builder: Builder::default(),
        }
    }

    /// Adds the next page: the passages that end with it.
    #[must_use]
    pub fn add(&mut self, page: &PageText) -> Vec<Chunk> {
        for piece in pieces(page, self.config.content_tokens(), self.count_tokens) {
            if piece.heading.is_some() {
                self.end_section();
            }
            self.section.tokens += piece.tokens;
            self.section.has_text |= piece.heading.is_none();
            self.section.waiting.push(piece);
            if self.section.tokens >= self.config.min_section_tokens {
                self.hand_over();
            }
        }
        std::mem::take(&mut self.builder.chunks)
    }

    /// The passages that are left.
    #[must_use]
    pub fn finish(mut self) -> Vec<Chunk> {
        self.end_section();
        self.builder.flush(0);
        self.builder.chunks
    }

    fn end_section(&mut self) {
        self.hand_over();
        let section = std::mem::take(&mut self.section);
        if section.has_text {
            self.builder.section_tokens = section.tokens;
        }
    }

    fn hand_over(&mut self) {
        for piece in self.section.waiting.drain(..) {
            self.builder.take(piece, self.section.tokens, self.config);
        }
    }
}

#[derive(Default)]
struct Builder {
    /// Those that have ended and were not handed out, and the place of the next one in the document.
    chunks: Vec<Chunk>,
    next: u32,
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
    /// Takes the next unit of a section that has so many tokens, or, if it is not short, so many at least.
    fn take(&mut self, piece: Piece, tokens: usize, config: &ChunkConfig) {
        let limit = config.content_tokens();
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
            let chunk = assemble(self.next, &self.pieces, self.section.as_ref(), self.tokens);
            self.next += u32::from(chunk.is_some());
            self.chunks.extend(chunk);
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
