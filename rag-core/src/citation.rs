//! Checking that a model's citation is real, and numbering it for the reader.

use crate::{chunking::Unit, prompt::sentence_blocks};
use shared_types::{
    chat::Citation,
    ids::{ChunkId, DocumentId},
};

/// A passage as it was shown to the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CitablePassage {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub document_title: String,
    /// The text.
    pub content: String,
    /// Its sentences; block `i` of the search result is `units[i]`.
    pub units: Vec<Unit>,
}

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

    /// Turns a model's citation of blocks `start_block..end_block` into citations of pages.
    ///
    /// The words must stand in those blocks (white space apart). Words that run over a page break
    /// become one citation per page, so that every quote stands wholly on its page. The same words
    /// on the same page always get the same marker. Words that do not stand there yield nothing and
    /// count as rejected.
    pub fn resolve(
        &mut self,
        passage: &CitablePassage,
        start_block: usize,
        end_block: usize,
        cited_text: &str,
    ) -> Vec<Citation> {
        let quotes = quotes_by_page(passage, start_block, end_block, cited_text);
        if quotes.is_empty() {
            self.rejected += 1;
        }
        quotes
            .into_iter()
            .map(|(page, quote)| Citation {
                marker: self.marker(passage.document_id, page, &quote),
                chunk_id: passage.chunk_id,
                document_id: passage.document_id,
                document_title: passage.document_title.clone(),
                page,
                quote,
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

fn quotes_by_page(
    passage: &CitablePassage,
    start_block: usize,
    end_block: usize,
    cited_text: &str,
) -> Vec<(u32, String)> {
    let blocks = sentence_blocks(&passage.content, &passage.units);
    let (Some(units), Some(texts)) = (
        passage.units.get(start_block..end_block),
        blocks.get(start_block..end_block),
    ) else {
        return Vec::new();
    };
    let mut pages: Vec<(u32, String)> = Vec::new();
    for (unit, text) in units.iter().zip(texts) {
        match pages.last_mut() {
            Some((page, quote)) if *page == unit.page => {
                quote.push(' ');
                quote.push_str(text);
            }
            _ => pages.push((unit.page, (*text).to_owned())),
        }
    }
    let cited = squash(cited_text);
    let shown: String = pages.iter().map(|(_, text)| squash(text)).collect();
    if cited.is_empty() || !shown.contains(&cited) {
        return Vec::new();
    }
    let quotes = pages.into_iter().filter_map(|(page, text)| {
        let whole = squash(&text);
        if cited.contains(&whole) {
            Some((page, text))
        } else if whole.contains(&cited) {
            Some((
                page,
                cited_text.split_whitespace().collect::<Vec<_>>().join(" "),
            ))
        } else {
            None
        }
    });
    quotes.collect()
}

/// The text without white space: how words are compared.
fn squash(text: &str) -> String {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// "Sit tall." on page 1; "Keep the wrist" on page 1 runs on to "level." on page 2.
    fn passage() -> CitablePassage {
        let unit = |page, start, end| Unit {
            page,
            page_start_char: 0,
            page_end_char: 0,
            chunk_start_char: start,
            chunk_end_char: end,
        };
        CitablePassage {
            chunk_id: ChunkId(Uuid::nil()),
            document_id: DocumentId(Uuid::nil()),
            document_title: "Posture".into(),
            content: "Sit tall. Keep the wrist level.".into(),
            units: vec![unit(1, 0, 9), unit(1, 10, 24), unit(2, 25, 31)],
        }
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
