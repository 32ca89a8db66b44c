//! BM25 as it stands in textbooks, and texts to try it on.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use rag_core::bm25::Bm25;
use rust_stemmers::{Algorithm, Stemmer};
use shared_types::ids::ChunkId;
use std::collections::{BTreeMap, BTreeSet};
use storage::search::Ranked;

const STOP_WORDS: [&str; 6] = ["the", "and", "of", "with", "is", "to"];
const VOCABULARY: [&str; 24] = [
    "the",
    "and",
    "of",
    "with",
    "is",
    "to",
    "fingers",
    "finger",
    "wrist",
    "arpeggio",
    "arpeggios",
    "scale",
    "scales",
    "practising",
    "practised",
    "pedal",
    "pedalling",
    "legato",
    "relaxed",
    "slowly",
    "slow",
    "rhythm",
    "tempo",
    "memory",
];

/// A small generator with a fixed seed: the same texts on every run.
pub struct Words(pub u64);

impl Words {
    pub fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound
    }

    pub fn text(&mut self, words: usize) -> String {
        let words: Vec<_> = (0..words)
            // The square makes early words common and late ones rare.
            .map(|_| {
                VOCABULARY
                    [self.below(VOCABULARY.len()) * self.below(VOCABULARY.len()) / VOCABULARY.len()]
            })
            .collect();
        words.join(" ")
    }
}

fn stems(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.split_whitespace()
        .filter(|word| !STOP_WORDS.contains(word))
        .map(|word| stemmer.stem(word).into_owned())
        .collect()
}

/// BM25 as the textbook has it, over the passages given.
pub fn bm25(
    passages: &[(ChunkId, String)],
    query: &str,
    parameters: Bm25,
) -> BTreeMap<ChunkId, f64> {
    let Bm25 { k1, b } = parameters;
    let stemmed: Vec<_> = passages
        .iter()
        .map(|(id, text)| (*id, stems(text)))
        .collect();
    let count = stemmed.len() as f64;
    let mean_length = stemmed.iter().map(|(_, s)| s.len()).sum::<usize>() as f64 / count;
    let mut scores = BTreeMap::new();
    for term in stems(query).into_iter().collect::<BTreeSet<_>>() {
        let holding = stemmed.iter().filter(|(_, s)| s.contains(&term)).count() as f64;
        let rarity = (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln();
        for (id, stems) in &stemmed {
            let frequency = stems.iter().filter(|stem| **stem == term).count() as f64;
            if frequency > 0.0 {
                let length = stems.len() as f64 / mean_length;
                *scores.entry(*id).or_insert(0.0) +=
                    rarity * frequency * (k1 + 1.0) / (frequency + k1 * (1.0 - b + b * length));
            }
        }
    }
    scores
}

/// Holds a list by words against what the textbook says.
pub fn assert_textbook(found: &[Ranked], expected: &BTreeMap<ChunkId, f64>, query: &str) {
    let ids: BTreeSet<_> = found.iter().map(|hit| hit.chunk_id).collect();
    assert_eq!(ids, expected.keys().copied().collect(), "{query}");
    for hit in found {
        let difference = hit.score - expected[&hit.chunk_id];
        assert!(
            difference.abs() < 1e-9,
            "{query}: {hit:?} is off by {difference}"
        );
    }
    assert!(found.is_sorted_by(|a, b| a.score >= b.score), "{query}");
}
