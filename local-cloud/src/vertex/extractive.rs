//! The answer that needs no model: the best sentences of the passages, quoted as they stand.
//!
//! It can't paraphrase, join facts or see that a sentence contradicts the question; every word of it is
//! grounded, and the same request always gets the same answer.

use super::answer::{Piece, Question, SentenceRef, Stop, tokens_of};
use crate::words::{Bm25, Words};
use std::collections::HashSet;

/// Sentences in an answer at most.
const MAX_SENTENCES: usize = 3;
/// A further sentence must score at least this share of the best one.
const WORTH_ADDING: f64 = 0.5;
/// What a passage's sentences lose for each passage before it: the reranker put those first.
const LATER_PASSAGE: f64 = 0.88;
/// What a sentence loses that points back to one that may be missing ("This is why …").
const POINTS_BACK: f64 = 0.8;
/// Fewer informative words than this say too little on their own.
const MIN_STEMS: usize = 3;

const REFUSAL: &str = "The library does not cover this question.";

/// Picks and quotes sentences.
pub(crate) struct Extractive {
    words: Words,
}

struct Candidate<'a> {
    at: SentenceRef,
    text: &'a str,
    stems: Vec<String>,
}

impl Extractive {
    pub(super) fn new() -> Self {
        Self {
            words: Words::english(),
        }
    }

    /// The answer's pieces: a block per sentence with its citation, or one refusing sentence where no
    /// sentence shares an informative word with the question.
    pub(super) fn answer(&self, question: &Question) -> Vec<Piece> {
        if let Some(joined) = rewritten(question) {
            return vec![
                Piece::Text(joined),
                Piece::BlockEnd,
                Piece::End(Stop::EndTurn),
            ];
        }
        let chosen = self.choose(question);
        let mut pieces = Vec::new();
        let mut tokens = 0;
        if chosen.is_empty() {
            return vec![
                Piece::Text(REFUSAL.to_owned()),
                Piece::BlockEnd,
                Piece::End(Stop::EndTurn),
            ];
        }
        for at in chosen {
            let sentence = question.passages[at.passage][at.sentence].trim();
            tokens += tokens_of(sentence);
            if tokens > question.max_tokens {
                pieces.push(Piece::End(Stop::MaxTokens));
                return pieces;
            }
            if !pieces.is_empty() {
                pieces.push(Piece::Text(" ".to_owned()));
            }
            pieces.extend(deltas(sentence).map(Piece::Text));
            pieces.push(Piece::Citation(at));
            pieces.push(Piece::BlockEnd);
        }
        pieces.push(Piece::End(Stop::EndTurn));
        pieces
    }

    /// The sentences to quote, best first.
    fn choose(&self, question: &Question) -> Vec<SentenceRef> {
        let asked = self.words.distinct_stems(&question.text);
        let candidates = self.candidates(&question.passages);
        let stems: Vec<Vec<String>> = candidates.iter().map(|c| c.stems.clone()).collect();
        let scores = Bm25::new(&stems).scores(&asked);
        let mut ranked: Vec<(f64, SentenceRef)> = candidates
            .iter()
            .zip(scores)
            .filter(|(_, score)| *score > 0.0)
            .map(|(candidate, score)| (score * standing(candidate), candidate.at))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let best = ranked.first().map_or(0.0, |(score, _)| *score);
        ranked
            .into_iter()
            .take(MAX_SENTENCES)
            .filter(|(score, _)| *score >= WORTH_ADDING * best)
            .map(|(_, at)| at)
            .collect()
    }

    /// Quotable sentences: whole ones, of equal ones, which overlapping passages have, the first.
    fn candidates<'a>(&self, passages: &'a [Vec<String>]) -> Vec<Candidate<'a>> {
        let mut seen = HashSet::new();
        let mut candidates = Vec::new();
        for (passage, sentences) in passages.iter().enumerate() {
            for (sentence, text) in sentences.iter().enumerate() {
                let stems = self.words.stems(text);
                if is_whole(text) && stems.len() >= MIN_STEMS && seen.insert(stems.clone()) {
                    let at = SentenceRef { passage, sentence };
                    candidates.push(Candidate {
                        at,
                        text: text.trim(),
                        stems,
                    });
                }
            }
        }
        candidates
    }
}

/// The question that is asked for where a follow-up is to be put so that it can be understood by itself: the last of the
/// earlier questions and the follow-up behind it, since nothing here can paraphrase.
fn rewritten(question: &Question) -> Option<String> {
    let (earlier, follow_up) = question.text.rsplit_once("\nLast question: ")?;
    let last = earlier.lines().rfind(|line| !line.is_empty())?;
    let (_, last) = last.split_once(". ")?;
    question
        .passages
        .is_empty()
        .then(|| format!("{last} {follow_up}"))
}

fn standing(candidate: &Candidate<'_>) -> f64 {
    let first = candidate.text.split_whitespace().next().unwrap_or("");
    let points_back = ["This", "That", "These", "Those", "It", "They", "Such"].contains(&first);
    let place = LATER_PASSAGE.powi(i32::try_from(candidate.at.passage).unwrap_or(i32::MAX));
    if points_back {
        place * POINTS_BACK
    } else {
        place
    }
}

/// Whether this is a sentence from its beginning to its end: no heading, no row of a table or of the contents, no
/// running head, no half that a page or a list cut off.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let begins = item(text)
        .trim_start_matches(['"', '“', '‘', '(', '\''])
        .starts_with(|first: char| first.is_alphanumeric() && !first.is_lowercase());
    let ends = text
        .trim_end_matches(['"', '”', '’', ')', '\''])
        .ends_with(['.', '!', '?']);
    let is_listed = ["...", "…", ". ."]
        .iter()
        .any(|leader| text.contains(leader));
    begins && ends && !is_listed && text.split_whitespace().any(is_lower_case)
}

/// What stands behind the number of an item in a list, or the text as it is.
fn item(text: &str) -> &str {
    let rest = text.trim_start_matches(|first: char| first.is_ascii_digit());
    match rest.strip_prefix(". ") {
        Some(item) if rest.len() < text.len() => item,
        _ => text,
    }
}

/// Whether a word is written as words within a sentence are. What has none is shouted, or is all names and numbers.
fn is_lower_case(word: &str) -> bool {
    word.starts_with(char::is_lowercase)
}

/// The text in pieces of a few words, so that a stream has something to stream.
fn deltas(text: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    words
        .chunks(4)
        .map(<[&str]>::concat)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str, passages: &[&[&str]]) -> Question {
        let owned = |sentences: &&[&str]| sentences.iter().map(ToString::to_string).collect();
        Question {
            text: text.into(),
            passages: passages.iter().map(owned).collect(),
            max_tokens: 1000,
            ..Question::default()
        }
    }

    fn cited(question: &Question) -> Vec<(usize, usize)> {
        let citation = |piece| match piece {
            Piece::Citation(at) => Some((at.passage, at.sentence)),
            _ => None,
        };
        Extractive::new()
            .answer(question)
            .into_iter()
            .filter_map(citation)
            .collect()
    }

    fn text(question: &Question) -> String {
        let words = |piece| match piece {
            Piece::Text(text) => Some(text),
            _ => None,
        };
        Extractive::new()
            .answer(question)
            .into_iter()
            .filter_map(words)
            .collect()
    }

    const PEDAL: &[&str] = &[
        "Pedalling and legato",
        "Legato pedalling means changing the pedal just after each new chord sounds.",
        "Keep the heel on the floor while the ball of the foot works the pedal.",
        "The weather was fine in Vienna that year.",
    ];

    #[test]
    fn the_sentence_that_answers_is_quoted_and_the_heading_is_not() {
        let question = question("What is legato pedalling?", &[PEDAL]);
        assert_eq!(cited(&question), [(0, 1)]);
        assert_eq!(text(&question), PEDAL[1]);
    }

    #[test]
    fn a_question_about_something_else_is_refused() {
        let question = question("How do I bake sourdough bread?", &[PEDAL]);
        assert_eq!(cited(&question), []);
        assert_eq!(text(&question), REFUSAL);
    }

    #[test]
    fn fragments_and_the_furniture_of_a_page_are_never_quoted() {
        let furniture = &[
            "Legato pedalling, half pedalling and the una corda pedal in the slow movements of sonatas",
            "Legato pedalling ..................................... 12.",
            "3 LEGATO PEDALLING FOR BEGINNERS.",
            "of legato pedalling, which is the first that a beginner learns.",
            "Three things belong to legato pedalling:",
            "Legato pedalling needs a heel on the floor and",
            "3. the pedal goes down again, and the legato pedalling is complete.",
        ];
        let asked = question("What is legato pedalling?", &[furniture]);
        assert_eq!(text(&asked), REFUSAL);
        let asked = question("What is legato pedalling?", &[furniture, PEDAL]);
        assert_eq!(cited(&asked), [(1, 1)]);
    }

    #[test]
    fn an_answer_is_whole_sentences_and_five_at_most() {
        let sentences: Vec<String> = (1..=9)
            .map(|number| format!("Legato pedalling of kind {number} begins after the chord."))
            .collect();
        let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
        let asked = question("What is legato pedalling?", &[&sentences]);
        let answer = text(&asked);
        let told = answer.matches("after the chord.").count();
        assert!((1..=5).contains(&told), "{answer}");
        assert_eq!(answer.matches('.').count(), told);
        assert!(answer.starts_with("Legato") && answer.ends_with("chord."));
    }

    #[test]
    fn a_follow_up_is_put_behind_the_question_before_it() {
        let told =
            "Earlier questions:\n1. Pedals?\n2. In a hall?\n\nLast question: And in a church?";
        assert_eq!(text(&question(told, &[])), "In a hall? And in a church?");
        assert_eq!(text(&question("And in a church?", &[])), REFUSAL);
    }

    #[test]
    fn overlapping_passages_do_not_repeat_a_sentence() {
        let question = question("What is legato pedalling?", &[PEDAL, &PEDAL[1..]]);
        assert_eq!(cited(&question), [(0, 1)]);
    }

    #[test]
    fn an_answer_that_may_not_be_long_says_that_it_was_cut() {
        let mut question = question("What is legato pedalling?", &[PEDAL]);
        question.max_tokens = 3;
        assert_eq!(
            Extractive::new().answer(&question),
            [Piece::End(Stop::MaxTokens)]
        );
    }
}
