//! What the model is shown of the library: passages, and neighbours of one document read as one.

use crate::{chunking::Unit, lines::Line, prompt::sentence_blocks};
use shared_types::ids::{ChunkId, DocumentId};
use std::ops::Range;

/// A passage that was chosen for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitablePassage {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub document_title: String,
    /// Its place in the document, from 0.
    pub chunk_index: u32,
    /// The text.
    pub content: String,
    /// Its sentences.
    pub units: Vec<Unit>,
    /// Where it is printed; empty where nobody knows.
    pub lines: Vec<Line>,
}

/// A stretch of a document, as it is shown to the model: each sentence once, in the order of the pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Excerpt {
    /// The document.
    pub document_id: DocumentId,
    /// Its title.
    pub document_title: String,
    /// The text.
    pub content: String,
    /// Its sentences; block `i` of the search result is `units[i]`.
    pub units: Vec<Unit>,
    /// Where it is printed, counted in its own characters.
    pub lines: Vec<Line>,
    /// The passages that it is made of, in the order of the pages, and which units each of them holds.
    /// Every unit is in one of them; neighbours share those that both hold.
    passages: Vec<(ChunkId, Range<usize>)>,
    /// The place in the document of the last of them.
    last_index: u32,
}

impl From<CitablePassage> for Excerpt {
    fn from(passage: CitablePassage) -> Self {
        Self {
            document_id: passage.document_id,
            document_title: passage.document_title,
            content: passage.content,
            passages: vec![(passage.chunk_id, 0..passage.units.len())],
            units: passage.units,
            lines: passage.lines,
            last_index: passage.chunk_index,
        }
    }
}

impl Excerpt {
    /// The first of its passages that holds all of these units.
    #[must_use]
    pub fn passage_of(&self, units: Range<usize>) -> Option<ChunkId> {
        let mut passages = self.passages.iter();
        let holding = passages.find(|(_, held)| held.start <= units.start && units.end <= held.end);
        holding.map(|(chunk_id, _)| *chunk_id)
    }

    /// Goes on with the passage that follows in the document, without what both say.
    fn append(&mut self, next: &CitablePassage) {
        let shared = self.shared_units(next);
        let chars = |text: &str| text.chars().count() as u32;
        // From the end of what both say, the joint to the next sentence included.
        let (skipped, joint) = match shared.checked_sub(1).map(|last| next.units[last]) {
            Some(last) => (last.chunk_end_char, ""),
            None => (0, "\n"),
        };
        let offset = chars(&self.content) + chars(joint);
        self.content.push_str(joint);
        self.content
            .extend(next.content.chars().skip(skipped as usize));
        let first = self.units.len() - shared;
        let moved = |at: u32| at.saturating_add(offset).saturating_sub(skipped);
        self.units
            .extend(next.units[shared..].iter().map(|unit| Unit {
                chunk_start_char: moved(unit.chunk_start_char),
                chunk_end_char: moved(unit.chunk_end_char),
                ..*unit
            }));
        let lines = next.lines.iter().filter(|line| line.start_char >= skipped);
        self.lines.extend(lines.map(|line| Line {
            start_char: moved(line.start_char),
            end_char: moved(line.end_char),
            ..line.clone()
        }));
        self.passages.push((next.chunk_id, first..self.units.len()));
        self.last_index = next.chunk_index;
    }

    /// How many units the passage begins with that are the last ones here: the same words at the same
    /// place of the same page.
    fn shared_units(&self, next: &CitablePassage) -> usize {
        let place = |unit: &Unit| (unit.page, unit.page_start_char, unit.page_end_char);
        let here = sentence_blocks(&self.content, &self.units);
        let here: Vec<_> = self.units.iter().map(place).zip(here).collect();
        let there = sentence_blocks(&next.content, &next.units);
        let there: Vec<_> = next.units.iter().map(place).zip(there).collect();
        let most = here.len().min(there.len());
        let mut lengths = (1..=most).rev();
        let shared = lengths.find(|length| here[here.len() - length..] == there[..*length]);
        shared.unwrap_or(0)
    }
}

/// Makes excerpts of passages: those that follow each other in a document are read as one, in the place of
/// the best of them. Passages come best first, each once, and so do the excerpts.
#[must_use]
pub fn excerpts(passages: Vec<CitablePassage>) -> Vec<Excerpt> {
    let mut ranked: Vec<(usize, CitablePassage)> = passages.into_iter().enumerate().collect();
    ranked.sort_by_key(|(_, passage)| (passage.document_id, passage.chunk_index));
    let mut excerpts: Vec<(usize, Excerpt)> = Vec::new();
    for (rank, passage) in ranked {
        match excerpts.last_mut() {
            Some((best_rank, excerpt))
                if excerpt.document_id == passage.document_id
                    && excerpt.last_index.checked_add(1) == Some(passage.chunk_index) =>
            {
                excerpt.append(&passage);
                *best_rank = rank.min(*best_rank);
            }
            _ => excerpts.push((rank, passage.into())),
        }
    }
    excerpts.sort_by_key(|(rank, _)| *rank);
    excerpts.into_iter().map(|(_, excerpt)| excerpt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chunking::{Chunk, ChunkConfig, PageText, chunk},
        citation::Citations,
        lines::Area,
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    /// Pages of numbered sentences, so that no two are the same.
    fn pages(sentences: &[usize]) -> Vec<PageText> {
        let mut number = 0;
        let mut sentence = || {
            number += 1;
            format!("Sentence {number} äh.")
        };
        (1..)
            .zip(sentences)
            .map(|(page, count)| {
                let sentences: Vec<String> = (0..*count).map(|_| sentence()).collect();
                let text = sentences.join(" ");
                PageText {
                    page,
                    lines: printed(page, &text),
                    text,
                    ..PageText::default()
                }
            })
            .collect()
    }

    /// A page that is printed on one line, a point for each character.
    fn printed(page: u32, text: &str) -> Vec<Line> {
        let chars = text.chars().count() as u32;
        let area = Area {
            left: 0,
            top: 0,
            right: chars * 10,
            bottom: 100,
        };
        let starts = (0..).zip(text.chars()).filter(|(_, c)| *c == ' ');
        let line = Line {
            page,
            start_char: 0,
            end_char: chars,
            area,
            word_lefts: starts.map(|(at, _)| (at + 1) * 10).collect(),
        };
        if chars > 0 { vec![line] } else { Vec::new() }
    }

    fn chunks(pages: &[PageText], sentences: usize, overlap: usize) -> Vec<Chunk> {
        // Three words a sentence, and two special tokens a passage.
        let config = ChunkConfig {
            max_tokens: 3 * sentences + 2,
            overlap_tokens: 3 * overlap,
            min_section_tokens: 64,
        };
        chunk(pages, &config, &|text| text.split_whitespace().count())
    }

    fn citable(chunk: &Chunk) -> CitablePassage {
        CitablePassage {
            chunk_id: ChunkId(Uuid::from_u128(chunk.index.into())),
            document_id: DocumentId(Uuid::from_u128(1)),
            document_title: "Posture".into(),
            chunk_index: chunk.index,
            content: chunk.content.clone(),
            units: chunk.units.clone(),
            lines: chunk.lines.clone(),
        }
    }

    fn chosen(chunks: &[Chunk], indexes: &[usize]) -> Vec<Excerpt> {
        excerpts(indexes.iter().map(|at| citable(&chunks[*at])).collect())
    }

    #[test]
    fn neighbours_are_read_as_one_and_each_sentence_once() {
        let chunks = chunks(&pages(&[4, 4]), 3, 1);
        assert_eq!(
            chunks[1].content,
            "Sentence 3 äh. Sentence 4 äh.\nSentence 5 äh."
        );
        let read = chosen(&chunks, &[1, 0]);
        assert_eq!(read.len(), 1);
        assert_eq!(
            read[0].content,
            "Sentence 1 äh. Sentence 2 äh. Sentence 3 äh. Sentence 4 äh.\nSentence 5 äh."
        );
        let blocks = sentence_blocks(&read[0].content, &read[0].units);
        assert_eq!(blocks.len(), 5);
        assert_eq!(blocks[4], "Sentence 5 äh.");
    }

    #[test]
    fn an_excerpt_stands_in_the_place_of_its_best_passage() {
        let chunks = chunks(&pages(&[12]), 3, 1);
        let other = CitablePassage {
            document_id: DocumentId(Uuid::from_u128(2)),
            ..citable(&chunks[1])
        };
        let passages = vec![citable(&chunks[3]), other, citable(&chunks[2])];
        let read = excerpts(passages);
        let documents: Vec<u128> = read.iter().map(|e| e.document_id.0.as_u128()).collect();
        assert_eq!(documents, [1, 2]);
        // With a gap between them, they stay two.
        assert_eq!(chosen(&chunks, &[0, 2]).len(), 2);
    }

    #[test]
    fn what_runs_over_the_end_of_a_passage_is_cited_from_both() {
        let chunks = chunks(&pages(&[6]), 3, 1);
        let read = chosen(&chunks, &[0, 1]);
        let cited = |blocks: Range<usize>| {
            let text = sentence_blocks(&read[0].content, &read[0].units)[blocks.clone()].join(" ");
            let cited = Citations::new().resolve(&read[0], blocks.start, blocks.end, &text);
            let quotes = cited.into_iter().map(|c| (c.chunk_id.0.as_u128(), c.quote));
            quotes.collect::<Vec<_>>()
        };
        let (one, two) = ("Sentence 2 äh. Sentence 3 äh.", "Sentence 4 äh.");
        assert_eq!(cited(1..4), [(0, one.into()), (1, two.into())]);
        assert_eq!(cited(2..4), [(1, "Sentence 3 äh. Sentence 4 äh.".into())]);
    }

    proptest! {
        /// Whatever is chosen in whatever order, the model reads every chosen sentence, once and in the
        /// order of the document, and whatever it cites stands in a chosen passage and on that page.
        #[test]
        fn nothing_is_lost_nothing_is_said_twice_and_each_citation_is_of_a_chosen_passage(
            sentences in prop::collection::vec(0usize..9, 1..4),
            (size, overlap) in (1usize..6).prop_flat_map(|size| (Just(size), 0..=size / 2)),
            order in Just((0..30).collect::<Vec<usize>>()).prop_shuffle(),
            number in 1usize..5,
            (from, length) in (0usize..12, 1usize..12),
        ) {
            let pages = pages(&sentences);
            let chunks = chunks(&pages, size, overlap);
            let order: Vec<usize> = order.into_iter().filter(|at| *at < chunks.len()).collect();
            let order = &order[..number.min(order.len())];
            let read = chosen(&chunks, order);

            let mut shown = Vec::new();
            for excerpt in &read {
                let blocks = sentence_blocks(&excerpt.content, &excerpt.units);
                prop_assert_eq!(blocks.concat().replace([' ', '\n'], ""),
                    excerpt.content.replace([' ', '\n'], ""));
                let mut in_order = excerpt.units.clone();
                in_order.sort_by_key(|unit| (unit.page, unit.page_start_char));
                prop_assert_eq!(&in_order, &excerpt.units);
                shown.extend(blocks.into_iter().map(str::to_owned));

                let last = excerpt.units.len();
                let cited = from.min(last)..(from + length).min(last);
                if cited.is_empty() {
                    continue;
                }
                let text = sentence_blocks(&excerpt.content, &excerpt.units)[cited.clone()].join("\n");
                let citations = Citations::new().resolve(excerpt, cited.start, cited.end, &text);
                let quoted: String = citations.iter().map(|c| c.quote.replace(' ', "")).collect();
                prop_assert_eq!(quoted, text.replace([' ', '\n'], ""));
                for citation in citations {
                    let of = citation.chunk_id.0.as_u128() as usize;
                    prop_assert!(order.contains(&of));
                    let squashed = |text: &str| text.replace([' ', '\n'], "");
                    let quote = squashed(&citation.quote);
                    prop_assert!(squashed(&chunks[of].content).contains(&quote));
                    let page = &pages[citation.page as usize - 1].text;
                    let chars = citation.start_char as usize..citation.end_char as usize;
                    let on_page: String = page.chars().skip(chars.start).take(chars.len()).collect();
                    prop_assert_eq!(squashed(&on_page), quote);
                    // All of it is marked, and of its words nothing but the space after them.
                    let [[left, 0, right, 100]] = citation.areas[..] else {
                        return Err(TestCaseError::fail(format!("{:?}", citation.areas)));
                    };
                    prop_assert_eq!(left, citation.start_char * 10);
                    let end = citation.end_char * 10;
                    prop_assert!(right == end || right == end + 10, "{right} for {end}");
                }
            }
            let mut chosen: Vec<String> = order
                .iter()
                .flat_map(|at| sentence_blocks(&chunks[*at].content, &chunks[*at].units))
                .map(str::to_owned)
                .collect();
            chosen.sort();
            chosen.dedup();
            let mut once = shown.clone();
            once.sort();
            // Passages with a gap between them share nothing, and neighbours are read as one.
            prop_assert_eq!(once, chosen);
        }
    }
}
