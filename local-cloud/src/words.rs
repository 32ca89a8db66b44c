//! Words of English text, reduced to the stems that carry meaning.

use rust_stemmers::{Algorithm, Stemmer};
use std::collections::{HashMap, HashSet};
use unicode_segmentation::UnicodeSegmentation;

/// Words that questions and answers share whatever they are about.
const UNINFORMATIVE: &str = "a about after again all also am an and any anything are as at be because been \
before being best between both but by can could describe did do does doing done each either etc ever \
every explain few for from get gets give go good had has have having he her here hers him his how i \
if in into is it its just keep kind let like make makes many may me mean means might more most much \
must my need needs no nor not of off often on once one only or other our out over own please should \
show since so some someone something such sure tell than that the their them then there these they \
thing things this those through to too try under until up us use used useful uses using very want was \
way ways we well were what when where whether which while who whom whose why will with within without \
would you your";

/// Reduces text to stems.
pub(crate) struct Words {
    stemmer: Stemmer,
    /// Stems, so that one form of a word stands for all.
    uninformative: HashSet<String>,
}

impl Words {
    /// English.
    pub(crate) fn english() -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let uninformative = UNINFORMATIVE
            .split_whitespace()
            .map(|word| stemmer.stem(word).into_owned())
            .collect();
        Self {
            stemmer,
            uninformative,
        }
    }

    /// The stems of the informative words, in order, repetitions kept.
    pub(crate) fn stems(&self, text: &str) -> Vec<String> {
        let folded = text.to_lowercase().replace('’', "'");
        folded
            .unicode_words()
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .map(|word| self.stemmer.stem(word).into_owned())
            .filter(|stem| !self.uninformative.contains(stem))
            .collect()
    }

    /// The distinct stems, in order of first appearance.
    pub(crate) fn distinct_stems(&self, text: &str) -> Vec<String> {
        let mut seen = HashSet::new();
        self.stems(text)
            .into_iter()
            .filter(|stem| seen.insert(stem.clone()))
            .collect()
    }
}

/// BM25 over a handful of sentences (Robertson and Zaragoza 2009, `k1` 1.2, `b` 0.75).
pub(crate) struct Bm25 {
    documents: Vec<HashMap<String, f64>>,
    lengths: Vec<f64>,
    mean_length: f64,
}

impl Bm25 {
    /// Indexes documents given as stems.
    pub(crate) fn new(documents: &[Vec<String>]) -> Self {
        let lengths: Vec<f64> = documents.iter().map(|stems| stems.len() as f64).collect();
        let mean_length = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        let documents = documents
            .iter()
            .map(|stems| {
                let mut counts = HashMap::new();
                for stem in stems {
                    *counts.entry(stem.clone()).or_default() += 1.0;
                }
                counts
            })
            .collect();
        Self {
            documents,
            lengths,
            mean_length: mean_length.max(1.0),
        }
    }

    /// The score of each document for distinct query stems; 0 where they share none.
    pub(crate) fn scores(&self, query: &[String]) -> Vec<f64> {
        let total = self.documents.len() as f64;
        let weights: Vec<(&String, f64)> = query
            .iter()
            .map(|stem| {
                let holders = self
                    .documents
                    .iter()
                    .filter(|d| d.contains_key(stem))
                    .count() as f64;
                (stem, (1.0 + (total - holders + 0.5) / (holders + 0.5)).ln())
            })
            .collect();
        let (k1, b) = (1.2, 0.75);
        self.documents
            .iter()
            .zip(&self.lengths)
            .map(|(document, length)| {
                let norm = k1 * (1.0 - b + b * length / self.mean_length);
                let term = |(stem, weight): &(&String, f64)| {
                    let count = document.get(*stem).copied().unwrap_or(0.0);
                    weight * count * (k1 + 1.0) / (count + norm)
                };
                weights.iter().map(term).sum()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflections_meet_in_one_stem_and_question_words_vanish() {
        let words = Words::english();
        assert_eq!(
            words.stems("How should I practise scales?"),
            words.stems("practising a scale")
        );
        assert_eq!(
            words.stems("What does the pianist's thumb do?"),
            ["pianist", "thumb"]
        );
    }

    #[test]
    fn a_rare_word_weighs_more_than_a_common_one() {
        let words = Words::english();
        let documents: Vec<Vec<String>> =
            ["slow practice", "slow pedal", "slow scales", "legato touch"]
                .iter()
                .map(|text| words.stems(text))
                .collect();
        let scores = Bm25::new(&documents).scores(&words.stems("slow legato"));
        assert!(scores[3] > scores[0]);
        assert!(scores[0] > 0.0);
    }
}
