//! BM25 over postings as the database keeps them.

use shared_types::ids::DocumentId;
use std::{array, borrow::Cow, cmp::Ordering, collections::HashMap};
use thiserror::Error;

/// Passages in one block of postings.
pub const BLOCK_PASSAGES: u32 = 256;
/// Passages are hardly ever longer than this, in stems.
const USUAL_STEMS: usize = 512;
/// Bytes of one posting: place in the block, frequency less one, length in stems (two, high first).
const POSTING_BYTES: usize = 4;

/// How much a frequency and a length count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// Above 0: the larger, the longer another occurrence still counts.
    pub k1: f64,
    /// 0 to 1: how far a long passage is held against its words.
    pub b: f64,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// How much is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorpusSize {
    /// Passages.
    pub passages: u64,
    /// Stems in all of them, repetitions included.
    pub stems: u64,
}

/// Some of the postings of a stem: those in 256 passages of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The document.
    pub document_id: DocumentId,
    /// Which 256 passages, from 0.
    pub number: u16,
    /// Four bytes each, as `document_postings.postings` describes.
    pub postings: Cow<'a, [u8]>,
}

/// Where a passage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The document.
    pub document_id: DocumentId,
    /// The passage in it, from 0.
    pub chunk_index: u32,
}

/// Bytes that are no postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("postings are not a whole number of entries")]
pub struct Malformed;

#[derive(Clone, Copy)]
struct Posting {
    place: usize,
    frequency: u16,
    length: usize,
}

fn postings(bytes: &[u8]) -> Result<impl ExactSizeIterator<Item = Posting>, Malformed> {
    let (entries, rest) = bytes.as_chunks::<POSTING_BYTES>();
    if !rest.is_empty() {
        return Err(Malformed);
    }
    Ok(entries
        .iter()
        .map(|&[place, frequency, high, low]| Posting {
            place: place.into(),
            frequency: u16::from(frequency) + 1,
            length: u16::from_be_bytes([high, low]).into(),
        }))
}

/// The best passages for a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Best first; ties go to the lower place.
    pub passages: Vec<(Place, f64)>,
    /// What no passage can exceed: the score of one that repeats every known word of the query without end.
    pub ceiling: f64,
}

/// The `depth` best of the passages that are wanted for a query, best first; ties go to the lower place.
/// Those that are not count for the statistics all the same.
///
/// Each item of `stems` holds all postings of one stem of the query in the corpus, each block once.
/// The inverse document frequency is `ln(1 + (N - n + 0.5) / (n + 0.5))`, which is above zero.
pub fn best(
    parameters: Bm25,
    corpus: CorpusSize,
    stems: &[Vec<Block<'_>>],
    is_wanted: impl Fn(&Place) -> bool,
    depth: usize,
) -> Result<Best, Malformed> {
    let Bm25 { k1, b } = parameters;
    let passages = corpus.passages as f64;
    // Statistics and postings of one snapshot agree. Those of two may not: no score is to be NaN.
    let mean_length = corpus.stems.max(1) as f64 / passages.max(1.0);
    let base = k1 * (1.0 - b);
    let per_stem = k1 * b / mean_length;
    // Most words stand once in a passage of some hundred: what they count is divided once for each length.
    let once: [f64; USUAL_STEMS] =
        array::from_fn(|length| (1.0 + base + per_stem * length as f64).recip());

    let mut slots: HashMap<(DocumentId, u16), usize> = HashMap::new();
    let mut scores: Vec<((DocumentId, u16), Vec<f64>)> = Vec::new();
    let mut ceiling = 0.0;
    for blocks in stems {
        let bytes: usize = blocks.iter().map(|block| block.postings.len()).sum();
        let holding = (bytes / POSTING_BYTES) as f64;
        let lacking = (passages - holding).max(0.0);
        let weight = (k1 + 1.0) * ((lacking + 0.5) / (holding + 0.5)).ln_1p();
        // A word that nobody wrote is no reason to think less of those who wrote the others.
        if holding > 0.0 {
            ceiling += weight;
        }
        for block in blocks {
            let key = (block.document_id, block.number);
            let slot = *slots.entry(key).or_insert_with(|| {
                scores.push((key, Vec::new()));
                scores.len() - 1
            });
            let scores = &mut scores[slot].1;
            for Posting {
                place,
                frequency,
                length,
            } in postings(&block.postings)?
            {
                if place >= scores.len() {
                    scores.resize(place + 1, 0.0);
                }
                let share = match once.get(length) {
                    Some(share) if frequency == 1 => *share,
                    _ => {
                        let frequency = f64::from(frequency);
                        frequency / (frequency + base + per_stem * length as f64)
                    }
                };
                scores[place] += weight * share;
            }
        }
    }
    Ok(Best {
        passages: top(&scores, is_wanted, depth),
        ceiling,
    })
}

fn top(
    scores: &[((DocumentId, u16), Vec<f64>)],
    is_wanted: impl Fn(&Place) -> bool,
    depth: usize,
) -> Vec<(Place, f64)> {
    let by_rank = |a: &(Place, f64), b: &(Place, f64)| -> Ordering {
        b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
    };
    let mut best: Vec<(Place, f64)> = Vec::new();
    // The worst of `depth` passages found by now: nothing below it can be among the best.
    let mut bound = 0.0;
    for ((document_id, number), scores) in scores {
        for (place, score) in scores.iter().enumerate() {
            if *score <= 0.0 || *score < bound {
                continue;
            }
            let chunk_index = u32::from(*number) * BLOCK_PASSAGES + place as u32;
            let place = Place {
                document_id: *document_id,
                chunk_index,
            };
            if !is_wanted(&place) {
                continue;
            }
            best.push((place, *score));
            if best.len() >= 8 * depth.max(1) {
                best.select_nth_unstable_by(depth, by_rank);
                best.truncate(depth);
                bound = best.iter().map(|hit| hit.1).fold(f64::INFINITY, f64::min);
            }
        }
    }
    best.sort_unstable_by(by_rank);
    best.truncate(depth);
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn document(number: u128) -> DocumentId {
        DocumentId(Uuid::from_u128(number))
    }

    /// A passage as a list of stems, each a small number.
    type Passages = BTreeMap<Place, Vec<usize>>;

    fn size(passages: &Passages) -> CorpusSize {
        CorpusSize {
            passages: passages.len() as u64,
            stems: passages.values().map(|stems| stems.len() as u64).sum(),
        }
    }

    fn blocks_of(stem: usize, passages: &Passages) -> Vec<Block<'static>> {
        let mut blocks: BTreeMap<(DocumentId, u32), Vec<u8>> = BTreeMap::new();
        for (place, stems) in passages {
            let frequency = stems.iter().filter(|held| **held == stem).count();
            if frequency == 0 {
                continue;
            }
            let number = place.chunk_index / BLOCK_PASSAGES;
            let [high, low] = u16::try_from(stems.len()).unwrap().to_be_bytes();
            let place_in_block = (place.chunk_index % BLOCK_PASSAGES) as u8;
            blocks
                .entry((place.document_id, number))
                .or_default()
                .extend([place_in_block, frequency as u8 - 1, high, low]);
        }
        blocks
            .into_iter()
            .map(|((document_id, number), postings)| Block {
                document_id,
                number: number.try_into().unwrap(),
                postings: postings.into(),
            })
            .collect()
    }

    /// The formula as it stands in textbooks.
    fn textbook(parameters: Bm25, passages: &Passages, query: &[usize]) -> Vec<(Place, f64)> {
        let Bm25 { k1, b } = parameters;
        let count = passages.len() as f64;
        let mean_length = passages.values().map(Vec::len).sum::<usize>() as f64 / count;
        let mut scored = Vec::new();
        for (place, stems) in passages {
            let mut score = 0.0;
            for stem in query {
                let frequency = stems.iter().filter(|held| *held == stem).count() as f64;
                let holding = passages.values().filter(|p| p.contains(stem)).count() as f64;
                let rarity = (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln();
                let length = stems.len() as f64 / mean_length;
                score += rarity * frequency * (k1 + 1.0)
                    / (frequency + k1 * (1.0 - b + b * length)).max(f64::MIN_POSITIVE);
            }
            if score > 0.0 {
                scored.push((*place, score));
            }
        }
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scored
    }

    proptest! {
        #[test]
        fn the_best_are_those_of_the_textbook(
            passages in prop::collection::btree_map(
                (0u128..4, 0u32..600),
                prop::collection::vec(0usize..12, 1..30),
                1..120,
            ),
            query in prop::collection::btree_set(0usize..14, 0..5),
            depth in 1usize..40,
            unwanted in prop::collection::btree_set(0u32..600, 0..200),
            k1 in 0.1f64..3.0,
            b in 0.0f64..=1.0,
        ) {
            let passages: Passages = passages
                .into_iter()
                .map(|((number, chunk_index), stems)| {
                    (Place { document_id: document(number), chunk_index }, stems)
                })
                .collect();
            let query: Vec<usize> = query.into_iter().collect();
            let parameters = Bm25 { k1, b };
            let stems: Vec<_> = query.iter().map(|stem| blocks_of(*stem, &passages)).collect();
            let is_wanted = |place: &Place| !unwanted.contains(&place.chunk_index);
            let best = best(parameters, size(&passages), &stems, is_wanted, depth).unwrap();
            prop_assert!(best.passages.iter().all(|(_, score)| *score <= best.ceiling));
            let found = best.passages;
            let mut expected = textbook(parameters, &passages, &query);
            expected.retain(|(place, _)| is_wanted(place));
            prop_assert_eq!(found.len(), expected.len().min(depth));
            // Two sums of the same numbers may differ in the last digit and trade places.
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found.1 - expected.1).abs() < 1e-9, "{:?} {:?}", found, expected);
            }
            let expected: BTreeMap<Place, f64> = expected.into_iter().collect();
            for (place, score) in &found {
                prop_assert!((score - expected[place]).abs() < 1e-9);
            }
            prop_assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
        }

        #[test]
        fn no_bytes_are_read_past_their_end(postings in prop::collection::vec(any::<u8>(), 0..64)) {
            let whole = postings.len() % POSTING_BYTES == 0;
            let stems = [vec![Block { document_id: document(1), number: u16::MAX, postings: postings.into() }]];
            let corpus = CorpusSize { passages: 1, stems: 0 };
            prop_assert_eq!(best(Bm25::default(), corpus, &stems, |_| true, 10).is_ok(), whole);
        }
    }

    #[test]
    fn equal_scores_stand_in_the_order_of_their_places() {
        let places = [(2, 7), (1, 9), (1, 3), (3, 300), (2, 1)];
        let passages: Passages = places
            .iter()
            .map(|(number, chunk_index)| {
                let place = Place {
                    document_id: document(*number),
                    chunk_index: *chunk_index,
                };
                (place, vec![5, 6])
            })
            .collect();
        let stems = [blocks_of(5, &passages)];
        let best = best(Bm25::default(), size(&passages), &stems, |_| true, 4).unwrap();
        let found: Vec<Place> = best.passages.into_iter().map(|(place, _)| place).collect();
        assert_eq!(found, passages.keys().copied().take(4).collect::<Vec<_>>());
    }
}
