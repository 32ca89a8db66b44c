//! Checking that a model's citation is real, and numbering it for the reader.

use crate::{
    chunking::Unit,
    excerpt::Excerpt,
    lines::{Area, CharOffsets, highlight},
};
use shared_types::{
    chat::Citation,
    ids::{ChunkId, DocumentId},
};
use std::ops::Range;

/// The citations of one answer.
#[derive(Debug, Default)]
pub struct Citations {
    /// Document, page and characters of the page; the marker is the index + 1.
    known: Vec<(DocumentId, u32, Range<u32>)>,
    rejected: u32,
}

impl Citations {
    /// No citations yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many citations the model made up so far.
    #[must_use]
    pub fn rejected(&self) -> u32 {
        self.rejected
    }

    /// Turns a model's citation of blocks `start_block..end_block` into citations of passages and pages.
    ///
    /// The words must stand in those blocks (white space apart). Words that run over a page break, or
    /// over the end of the last passage that holds their beginning, become one citation each, so that
    /// every quote stands wholly on its page and in its passage. The same words of a page always get the same
    /// marker. Words that do not stand there yield nothing and count as rejected.
    pub fn resolve(
        &mut self,
        excerpt: &Excerpt,
        start_block: usize,
        end_block: usize,
        cited_text: &str,
    ) -> Vec<Citation> {
        let quotes = quotes(excerpt, start_block..end_block, cited_text);
        if quotes.is_empty() {
            self.rejected += 1;
        }
        quotes
            .into_iter()
            .map(|quote| Citation {
                marker: self.marker(excerpt.document_id, quote.page, &quote.page_chars),
                chunk_id: quote.chunk_id,
                document_id: excerpt.document_id,
                document_title: excerpt.document_title.clone(),
                page: quote.page,
                start_char: quote.page_chars.start,
                end_char: quote.page_chars.end,
                areas: areas(excerpt, &quote),
                quote: quote.text,
            })
            .collect()
    }

    fn marker(&mut self, document_id: DocumentId, page: u32, chars: &Range<u32>) -> u32 {
        let place = (document_id, page, chars.clone());
        let index = self
            .known
            .iter()
            .position(|known| *known == place)
            .unwrap_or_else(|| {
                self.known.push(place);
                self.known.len() - 1
            });
        index as u32 + 1
    }
}

/// Words on one page of one passage.
struct Quote {
    chunk_id: ChunkId,
    page: u32,
    /// Their characters in the excerpt, and in the text of the page.
    chars: Range<u32>,
    page_chars: Range<u32>,
    text: String,
}

fn quotes(excerpt: &Excerpt, cited_blocks: Range<usize>, cited_text: &str) -> Vec<Quote> {
    let Some(units) = excerpt.units.get(cited_blocks.clone()) else {
        return Vec::new();
    };
    let offsets = CharOffsets::of(&excerpt.content);
    let text = |chars: &Range<u32>| offsets.slice(&excerpt.content, chars.clone()).unwrap_or("");
    let cited = squash(cited_text);
    let shown: String = units
        .iter()
        .map(|unit| squash(text(&unit.chars())))
        .collect();
    if cited.is_empty() || !shown.contains(&cited) {
        return Vec::new();
    }
    let pages: Vec<u32> = units.iter().map(|unit| unit.page).collect();
    let quotes = spans(excerpt, cited_blocks.start, &pages)
        .into_iter()
        .filter_map(|(chunk_id, span)| {
            let units = &units[span];
            let whole = units.first()?.chunk_start_char..units.last()?.chunk_end_char;
            let chars = part(text(&whole), whole.start, &cited)?;
            Some(Quote {
                chunk_id,
                page: units[0].page,
                page_chars: page_chars(units, &chars)?,
                text: text(&chars)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                chars,
            })
        });
    quotes.collect()
}

/// Which characters of `text`, whose first one has the number `start`, are cited: all that are not white space, where
/// more is cited than this; `None` where nothing of it is.
fn part(text: &str, start: u32, cited: &str) -> Option<Range<u32>> {
    let (places, squashed): (Vec<u32>, String) = (start..)
        .zip(text.chars())
        .filter(|(_, c)| !c.is_whitespace())
        .unzip();
    let (first, count) = if cited.contains(&squashed) {
        (0, places.len())
    } else {
        let at = squashed.find(cited)?;
        (squashed[..at].chars().count(), cited.chars().count())
    };
    let last = (first + count).checked_sub(1)?;
    Some(*places.get(first)?..*places.get(last)? + 1)
}

/// The characters of the page that these of the excerpt are.
fn page_chars(units: &[Unit], chars: &Range<u32>) -> Option<Range<u32>> {
    let on_page = |at: u32| {
        let unit = units.iter().find(|unit| unit.chars().contains(&at))?;
        Some(unit.page_start_char + (at - unit.chunk_start_char))
    };
    Some(on_page(chars.start)?..on_page(chars.end - 1)? + 1)
}

/// Where a quote is printed.
fn areas(excerpt: &Excerpt, quote: &Quote) -> Vec<[u32; 4]> {
    let pages = highlight(&excerpt.content, &excerpt.lines, &quote.chars);
    let on_page = pages.into_iter().filter(|page| page.page == quote.page);
    let sides = |area: Area| [area.left, area.top, area.right, area.bottom];
    on_page.flat_map(|page| page.areas).map(sides).collect()
}

/// Parts the blocks from `first`, which stand on these pages, into spans that each stand on one page of
/// one passage, as long as can be.
fn spans(excerpt: &Excerpt, first: usize, pages: &[u32]) -> Vec<(ChunkId, Range<usize>)> {
    let passage_of = |span: &Range<usize>| excerpt.passage_of(first + span.start..first + span.end);
    let mut spans: Vec<(ChunkId, Range<usize>)> = Vec::new();
    for block in 0..pages.len() {
        if let Some((chunk_id, span)) = spans.last_mut()
            && pages[span.start] == pages[block]
            && let Some(passage) = passage_of(&(span.start..block + 1))
        {
            (*chunk_id, span.end) = (passage, block + 1);
        } else {
            let span = block..block + 1;
            spans.extend(passage_of(&span).map(|passage| (passage, span)));
        }
    }
    spans
}

/// The text without white space: how words are compared.
fn squash(text: &str) -> String {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{excerpt::CitablePassage, lines::Line};
    use uuid::Uuid;

    /// "Sit tall." on page 1, from its character 40 on; "Keep the wrist" on page 1 runs on to "level." on page 2.
    fn passage() -> Excerpt {
        let unit = |page, on_page, start, end| Unit {
            page,
            page_start_char: on_page,
            page_end_char: on_page + end - start,
            chunk_start_char: start,
            chunk_end_char: end,
        };
        let line = |page, start_char, end_char, right, word_lefts: &[u32]| Line {
            page,
            start_char,
            end_char,
            area: Area {
                left: 500,
                top: 900,
                right,
                bottom: 1_000,
            },
            word_lefts: word_lefts.to_vec(),
        };
        let passage = CitablePassage {
            chunk_id: ChunkId(Uuid::nil()),
            document_id: DocumentId(Uuid::nil()),
            document_title: "Posture".into(),
            chunk_index: 0,
            content: "Sit tall. Keep the wrist level.".into(),
            units: vec![unit(1, 40, 0, 9), unit(1, 50, 10, 24), unit(2, 0, 25, 31)],
            lines: vec![
                line(1, 0, 9, 900, &[700]),
                line(1, 10, 24, 1_900, &[1_100, 1_400]),
                line(2, 25, 31, 800, &[]),
            ],
        };
        passage.into()
    }

    fn shape(citations: &[Citation]) -> Vec<(u32, u32, &str)> {
        citations
            .iter()
            .map(|c| (c.marker, c.page, c.quote.as_str()))
            .collect()
    }

    #[test]
    fn the_same_words_keep_their_number() {
        let mut citations = Citations::new();
        let first = citations.resolve(&passage(), 0, 1, "Sit tall.");
        let second = citations.resolve(&passage(), 2, 3, "level.");
        let again = citations.resolve(&passage(), 0, 1, "Sit\ntall.");
        assert_eq!(shape(&first), [(1, 1, "Sit tall.")]);
        assert_eq!(shape(&second), [(2, 2, "level.")]);
        assert_eq!(shape(&again), shape(&first));
    }

    #[test]
    fn words_across_a_page_break_are_cited_on_both_pages() {
        let cited = Citations::new().resolve(&passage(), 1, 3, "Keep the wrist level.");
        assert_eq!(shape(&cited), [(1, 1, "Keep the wrist"), (2, 2, "level.")]);
        let chars = |citation: &Citation| citation.start_char..citation.end_char;
        assert_eq!((chars(&cited[0]), chars(&cited[1])), (50..64, 0..6));
        assert_eq!(cited[1].areas, [[500, 900, 800, 1_000]]);
    }

    #[test]
    fn part_of_a_sentence_may_be_cited() {
        let cited = Citations::new().resolve(&passage(), 1, 2, "the wrist");
        assert_eq!(shape(&cited), [(1, 1, "the wrist")]);
        assert_eq!((cited[0].start_char, cited[0].end_char), (55, 64));
        assert_eq!(cited[0].areas, [[1_100, 900, 1_900, 1_000]]);
    }

    #[test]
    fn words_that_do_not_stand_there_are_rejected() {
        let mut citations = Citations::new();
        assert!(citations.resolve(&passage(), 0, 1, "Sit low.").is_empty());
        assert!(citations.resolve(&passage(), 1, 2, "Sit tall.").is_empty());
        assert!(citations.resolve(&passage(), 2, 9, "level.").is_empty());
        assert!(citations.resolve(&passage(), 2, 1, "level.").is_empty());
        assert!(citations.resolve(&passage(), 0, 1, " ").is_empty());
        assert_eq!(citations.rejected(), 5);
    }
}
