//! A library that nobody wrote, the same on every run: topics that vectors and words gather around, and who owns
//! which part of it.

use shared_types::embedding::{DIMENSIONS, Embedding};

/// Topics of the library.
const TOPICS: usize = 500;
/// Topics from 0 that only the owner of the large private collection writes about: whoever may not read it asks
/// about these in vain.
const HIDDEN_TOPICS: usize = TOPICS / 5;
/// Meaning has far fewer dimensions than vectors have.
const LATENT: usize = 64;
/// Words, the first the most frequent.
const VOCABULARY: usize = 30_000;
/// Words that a topic is about.
const TOPIC_WORDS: usize = 40;
/// Passages in a document at most; a quarter of them stays with one topic.
pub const DOCUMENT_PASSAGES: usize = 100;

/// Changes with whatever this file writes.
pub const EDITION: u32 = 1;

const SEED: u64 = 7;

/// SplitMix64: small, quick, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(stream: u64, number: u64) -> Self {
        let mut random = Self(SEED + stream);
        random.0 = random.next() ^ number;
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Mean 0, variance 1, nearly normal.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// What passages and questions are drawn from.
pub struct Library {
    /// From meaning to vectors, one row for each latent dimension.
    projection: Vec<[f32; DIMENSIONS]>,
    centres: Vec<[f32; LATENT]>,
    words: Vec<String>,
    /// Sums of the frequencies of words up to each.
    cumulated: Vec<f64>,
    topic_words: Vec<Vec<usize>>,
}

/// A text and its vector.
pub struct Written {
    pub text: String,
    pub embedding: Embedding,
}

impl Library {
    pub fn new() -> Self {
        let mut random = Random::new(0, 0);
        let projection = (0..LATENT)
            .map(|_| std::array::from_fn(|_| random.normal() / 8.0))
            .collect();
        let centres = (0..TOPICS)
            .map(|_| std::array::from_fn(|_| random.normal()))
            .collect();
        // Zipf's law, flattened for the most frequent: those would be stop words.
        let cumulated = (0..VOCABULARY)
            .scan(0.0, |sum, rank| {
                *sum += 1.0 / (rank as f64 + 12.0);
                Some(*sum)
            })
            .collect();
        let mut library = Self {
            projection,
            centres,
            words: (0..VOCABULARY).map(word).collect(),
            cumulated,
            topic_words: Vec::new(),
        };
        library.topic_words = (0..TOPICS)
            .map(|_| {
                let rarer = |rank: usize| 100 + rank * 3 / 2 % (VOCABULARY - 100);
                (0..TOPIC_WORDS)
                    .map(|_| rarer(library.frequent(&mut random)))
                    .collect()
            })
            .collect();
        library
    }

    /// The passages of the document with this number, about four topics one after the other.
    pub fn document(&self, number: u64, passages: usize, is_hidden: bool) -> Vec<Written> {
        let random = &mut Random::new(1, number);
        let topics: [usize; 4] = std::array::from_fn(|_| topic(random, is_hidden));
        (0..passages)
            .map(|passage| {
                let topic = topics[passage * 4 / passages];
                let words = 40 + random.below(80) + random.below(120);
                Written {
                    text: self.text(random, topic, words, 0.25),
                    embedding: self.vector(random, topic, 0.55, 0.25),
                }
            })
            .collect()
    }

    /// The question with this number, about one topic. It lies a little further out than what is written about
    /// that.
    pub fn question(&self, number: u64, is_hidden: bool) -> Written {
        let random = &mut Random::new(2, number);
        let topic = topic(random, is_hidden);
        let words = 3 + random.below(4);
        Written {
            text: self.text(random, topic, words, 0.6),
            embedding: self.vector(random, topic, 0.65, 0.3),
        }
    }

    fn text(&self, random: &mut Random, topic: usize, words: usize, on_topic: f32) -> String {
        let words: Vec<&str> = (0..words)
            .map(|_| {
                let rank = if random.unit() < on_topic {
                    let (a, b) = (random.below(TOPIC_WORDS), random.below(TOPIC_WORDS));
                    self.topic_words[topic][a * b / TOPIC_WORDS]
                } else {
                    self.frequent(random)
                };
                self.words[rank].as_str()
            })
            .collect();
        words.join(" ")
    }

    /// A word of the language as a whole.
    fn frequent(&self, random: &mut Random) -> usize {
        let whole = self.cumulated.last().copied().unwrap_or_default();
        let drawn = f64::from(random.unit()) * whole;
        let rank = self.cumulated.partition_point(|sum| *sum < drawn);
        rank.min(VOCABULARY - 1)
    }

    fn vector(&self, random: &mut Random, topic: usize, spread: f32, noise: f32) -> Embedding {
        let mut components = vec![0.0; DIMENSIONS];
        for (centre, projection) in self.centres[topic].iter().zip(&self.projection) {
            let meaning = centre + spread * random.normal();
            for (component, share) in components.iter_mut().zip(projection) {
                *component += meaning * share;
            }
        }
        for component in &mut components {
            *component += noise * random.normal();
        }
        let length = components.iter().map(|c| c * c).sum::<f32>().sqrt();
        for component in &mut components {
            *component /= length;
        }
        Embedding::new(components).expect("as many components as there are dimensions")
    }
}

fn topic(random: &mut Random, is_hidden: bool) -> usize {
    if is_hidden {
        random.below(HIDDEN_TOPICS)
    } else {
        HIDDEN_TOPICS + random.below(TOPICS - HIDDEN_TOPICS)
    }
}

/// A word that no stemmer knows and no list of stop words holds.
fn word(rank: usize) -> String {
    const CONSONANTS: [&str; 15] = [
        "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "t", "v", "z", "br", "tr",
    ];
    const VOWELS: [&str; 4] = ["a", "o", "u", "i"];
    let mut rest = rank + CONSONANTS.len() * VOWELS.len();
    let mut word = String::new();
    while rest > 0 {
        word += CONSONANTS[rest % CONSONANTS.len()];
        rest /= CONSONANTS.len();
        word += VOWELS[rest % VOWELS.len()];
        rest /= VOWELS.len();
    }
    word + "x"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_document_is_the_same_each_time_it_is_written() {
        let (one, other) = (Library::new(), Library::new());
        other.document(4, 8, true);
        let (one, other) = (one.document(5, 8, false), other.document(5, 8, false));
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one.text, other.text);
            assert_eq!(one.embedding, other.embedding);
        }
    }

    #[test]
    fn no_two_words_are_the_same() {
        let words: BTreeSet<String> = (0..VOCABULARY).map(word).collect();
        assert_eq!(words.len(), VOCABULARY);
    }

    #[test]
    fn what_is_written_about_one_topic_lies_together() {
        let passages = Library::new().document(5, 8, false);
        let cosine = |a: usize, b: usize| -> f32 {
            let (a, b) = (&passages[a].embedding, &passages[b].embedding);
            a.as_slice()
                .iter()
                .zip(b.as_slice())
                .map(|(a, b)| a * b)
                .sum()
        };
        assert!(cosine(0, 1) > cosine(0, 7) + 0.2);
    }
}
