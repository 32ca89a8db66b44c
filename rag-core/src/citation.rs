//! Checking that a model's citation is real, and numbering it for the reader.

use crate::{excerpt::Excerpt, prompt::sentence_blocks};
use shared_types::{
    chat::Citation,
    ids::{ChunkId, DocumentId},
};
use std::ops::Range;

/// The citations of one answer.
#[derive(Debug, Default)]
pub struct Citations {
    /// Document, page and squashed words; the marker is the index + 1.
    known: Vec<(DocumentId, u32, String)>,
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
    /// every quote stands wholly on its page and in its passage. The same words on the same page always
    /// get the same marker. Words that do not stand there yield nothing and count as rejected.
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
                marker: self.marker(excerpt.document_id, quote.page, &quote.text),
                chunk_id: quote.chunk_id,
                document_id: excerpt.document_id,
                document_title: excerpt.document_title.clone(),
                page: quote.page,
                quote: quote.text,
            })
            .collect()
    }

    fn marker(&mut self, document_id: DocumentId, page: u32, quote: &str) -> u32 {
        let words = (document_id, page, squash(quote));
        let index = self
            .known
            .iter()
            .position(|known| *known == words)
            .unwrap_or_else(|| {
                self.known.push(words);
                self.known.len() - 1
            });
        index as u32 + 1
    }
}

/// Words on one page of one passage.
struct Quote {
    chunk_id: ChunkId,
    page: u32,
    text: String,
}

fn quotes(excerpt: &Excerpt, cited_blocks: Range<usize>, cited_text: &str) -> Vec<Quote> {
    let blocks = sentence_blocks(&excerpt.content, &excerpt.units);
    let (Some(units), Some(texts)) = (
        excerpt.units.get(cited_blocks.clone()),
        blocks.get(cited_blocks.clone()),
    ) else {
        return Vec::new();
    };
    let cited = squash(cited_text);
    let shown: String = texts.iter().map(|text| squash(text)).collect();
    if cited.is_empty() || !shown.contains(&cited) {
        return Vec::new();
    }
    let first = cited_blocks.start;
    let pages: Vec<u32> = units.iter().map(|unit| unit.page).collect();
    let quotes = spans(excerpt, first, &pages)
        .into_iter()
        .filter_map(|(chunk_id, span)| {
            let text = texts[span.clone()].join(" ");
            let whole = squash(&text);
            let text = if cited.contains(&whole) {
                text
            } else if whole.contains(&cited) {
                cited_text.split_whitespace().collect::<Vec<_>>().join(" ")
            } else {
                return None;
            };
            Some(Quote {
                chunk_id,
                page: pages[span.start],
                text,
            })
        });
    quotes.collect()
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
    use crate::{chunking::Unit, excerpt::CitablePassage};
    use uuid::Uuid;

    /// "Sit tall." on page 1; "Keep the wrist" on page 1 runs on to "level." on page 2.
    fn passage() -> Excerpt {
        let unit = |page, start, end| Unit {
            page,
            page_start_char: 0,
            page_end_char: 0,
            chunk_start_char: start,
            chunk_end_char: end,
        };
        let passage = CitablePassage {
            chunk_id: ChunkId(Uuid::nil()),
            document_id: DocumentId(Uuid::nil()),
            document_title: "Posture".into(),
            chunk_index: 0,
            content: "Sit tall. Keep the wrist level.".into(),
            units: vec![unit(1, 0, 9), unit(1, 10, 24), unit(2, 25, 31)],
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
    }

    #[test]
    fn part_of_a_sentence_may_be_cited() {
        let cited = Citations::new().resolve(&passage(), 1, 2, "the wrist");
        assert_eq!(shape(&cited), [(1, 1, "the wrist")]);
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
