//! Telling passages that say something new from those that say again what a better one says.
//!
//! Neighbours share the sentences at their seam, which makes the short end of a section little more than a
//! repetition; and the same page may stand in two documents, or in two editions of one. All of these look
//! alike here: by the words, wherever they are from.

use foldhash::fast::RandomState;
use std::{collections::HashSet, hash::BuildHasher};

/// Words that must follow each other in both texts for either to be the other's repetition there: phrases
/// of a subject recur in good passages, five words in a row hardly do.
const RUN_WORDS: usize = 5;
/// The share of a passage that one better passage holds as well, from which on it is a repetition. The
/// overlap of ordinary neighbours is a quarter; whoever brings a third of new text may bring the answer.
const REPEATED: (usize, usize) = (2, 3);

/// A text's runs of words, as their hashes.
type Runs = HashSet<u64, RandomState>;

/// Passages, best first, of which none repeats another.
#[derive(Debug, Default)]
pub struct Distinct {
    /// Of this list alone: hashes that nobody can foresee are no way to have another's passage taken for a copy.
    hasher: RandomState,
    admitted: Vec<Runs>,
}

impl Distinct {
    /// No passages yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the next best passage says something new, and if so, takes it in. It does not where two
    /// thirds of its words stand, in runs of five, in one passage that was taken in before. Letters count
    /// as they are, words are parted by white space, and a text of less than five words is one run. A text
    /// without words repeats any other.
    pub fn admit(&mut self, text: &str) -> bool {
        let runs = self.runs(text);
        let (share, whole) = REPEATED;
        let may_miss = runs.len() - (runs.len() * share).div_ceil(whole);
        // Most passages have little in common, which shows after a third of them.
        let repeats = |held: &Runs| {
            let mut missed = runs.iter().filter(|run| !held.contains(run));
            missed.nth(may_miss).is_none()
        };
        if self.admitted.iter().any(repeats) {
            return false;
        }
        self.admitted.push(runs);
        true
    }

    /// Each word is hashed once, and not in each of the runs that it is in.
    fn runs(&self, text: &str) -> Runs {
        let words = text.split_whitespace();
        let words: Vec<u64> = words.map(|word| self.hasher.hash_one(word)).collect();
        let length = RUN_WORDS.min(words.len()).max(1);
        let mut runs = Runs::with_capacity_and_hasher(words.len(), self.hasher.clone());
        runs.extend(words.windows(length).map(joined));
        runs
    }
}

/// One hash of several, in their order: polynomial, with an odd factor whose bits have no pattern (the golden ratio's).
fn joined(hashes: &[u64]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    hashes.iter().fold(0, |joined, hash| {
        joined.wrapping_mul(FACTOR).wrapping_add(*hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunking::{ChunkConfig, PageText, chunk};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbered(numbers: impl IntoIterator<Item = usize>) -> String {
        let words: Vec<String> = numbers.into_iter().map(|n| format!("w{n}")).collect();
        words.join(" ")
    }

    fn admitted(texts: &[impl AsRef<str>]) -> Vec<bool> {
        let mut distinct = Distinct::new();
        texts.iter().map(|t| distinct.admit(t.as_ref())).collect()
    }

    /// Passages of a text of numbered sentences of ten words, as the product cuts it.
    fn passages(sentences: usize) -> Vec<String> {
        let text: Vec<String> = (0..sentences)
            .map(|n| format!("S{}.", numbered(n * 10..n * 10 + 10)))
            .collect();
        let page = PageText {
            page: 1,
            text: text.join(" "),
            ..PageText::default()
        };
        let count_tokens = |text: &str| text.split_whitespace().count();
        let chunks = chunk(&[page], &ChunkConfig::default(), &count_tokens);
        chunks.into_iter().map(|chunk| chunk.content).collect()
    }

    #[test]
    fn neighbours_stay_and_the_end_of_a_section_that_is_mostly_overlap_goes() {
        // 51 sentences fit; the next passage begins with 12 of them.
        let whole = passages(51 + 39 + 30);
        assert_eq!(whole.len(), 3);
        assert_eq!(admitted(&whole), [true, true, true]);
        let with_stub = passages(51 + 39 + 2);
        assert_eq!(admitted(&with_stub), [true, true, false]);
        // The end of the section is the better one: what is before it says more than that.
        let reversed: Vec<_> = with_stub.into_iter().rev().collect();
        assert_eq!(admitted(&reversed), [true, true, true]);
    }

    #[test]
    fn the_same_page_of_another_document_goes_and_a_new_edition_with_much_that_is_new_stays() {
        let page = numbered(0..100);
        let with_a_misprint = numbered((0..100).map(|n| if n == 50 { 500 } else { n }));
        let rewritten = numbered(60..160);
        let texts = [page.clone(), page, with_a_misprint, rewritten];
        assert_eq!(admitted(&texts), [true, false, false, true]);
    }

    #[test]
    fn the_shortest_texts_are_told_apart() {
        let texts = ["Legato.", " ", "Legato.", "Staccato.", "Play legato."];
        assert_eq!(admitted(&texts), [true, false, false, true, true]);
    }

    /// Texts from so few words that they repeat each other often.
    fn any_texts() -> impl Strategy<Value = Vec<String>> {
        let run = (0usize..40, 0usize..30).prop_map(|(from, length)| numbered(from..from + length));
        let text = prop::collection::vec(run, 1..3).prop_map(|runs| runs.join(" "));
        prop::collection::vec(text, 0..12)
    }

    /// The rule, by lists of words.
    fn is_repeated(text: &str, other: &str) -> bool {
        let runs = |text: &str| -> BTreeSet<Vec<String>> {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let length = RUN_WORDS.min(words.len()).max(1);
            words.windows(length).map(<[String]>::to_vec).collect()
        };
        let (text, other) = (runs(text), runs(other));
        let shared = text.intersection(&other).count();
        text.is_empty() || shared as f64 / text.len() as f64 >= 2.0 / 3.0
    }

    proptest! {
        #[test]
        fn what_is_left_out_repeats_a_better_one_and_nothing_that_stays_does(texts in any_texts()) {
            let admitted = admitted(&texts);
            for (at, is_admitted) in admitted.iter().enumerate() {
                let mut better = (0..at).filter(|other| admitted[*other]);
                let is_repetition = better.any(|other| is_repeated(&texts[at], &texts[other]));
                prop_assert_eq!(*is_admitted, !is_repetition, "{}", &texts[at]);
            }
        }
    }
}
