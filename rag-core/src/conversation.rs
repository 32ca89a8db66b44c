//! Questions that lean on those before them, and how they are put so that each can be understood by itself.
//!
//! Only questions are looked at, never answers: what a document says can't find its way into a question.

use crate::query::normalise;
use shared_types::{chat::MAX_QUERY_CHARS, conversation::MAX_TITLE_CHARS};
use std::fmt::Write as _;

/// How many of the questions before are looked at.
pub const CONTEXT_QUESTIONS: usize = 3;

/// The longest rewritten question that is taken from a model, in Unicode scalar values: one that says more has begun to
/// answer.
const MAX_REWRITTEN_CHARS: usize = 400;

/// What a model is told that puts a question so that it can be understood by itself.
pub const REWRITE_PROMPT: &str = "\
You prepare questions for the search of a library on playing and teaching the piano. You are given the earlier \
questions of a conversation and its last one. Put the last question so that it can be understood without the others: \
say what its pronouns and omissions stand for, and change nothing else.

- Reply with that one question alone, on one line, in its own language.
- Never answer it, and add nothing that nobody asked.
- If it can be understood by itself already, repeat it word for word.";

/// With these a question goes on from the one before.
const OPENINGS: [&str; 14] = [
    "and",
    "but",
    "or",
    "also",
    "then",
    "what about",
    "how about",
    "what if",
    "why not",
    "what else",
    "any other",
    "anything else",
    "same",
    "even",
];
/// A question that begins with one of these and has no verb is a part of one.
const PARTS: [&str; 10] = [
    "for", "with", "without", "in", "on", "at", "from", "after", "before", "only",
];
/// Words that stand for something said before.
const POINTERS: [&str; 19] = [
    "it", "its", "they", "them", "their", "this", "these", "those", "he", "she", "him", "her",
    "ones", "else", "instead", "former", "latter", "such", "there",
];
/// With one of these a question has its own verb.
const VERBS: [&str; 16] = [
    "is", "are", "was", "were", "be", "do", "does", "did", "can", "could", "should", "would",
    "will", "shall", "may", "must",
];
/// What else questions have in common, whatever they ask about.
const FRAMES: [&str; 32] = [
    "a", "an", "the", "i", "you", "we", "my", "your", "our", "me", "what", "which", "who", "whose",
    "how", "why", "when", "where", "to", "of", "for", "in", "on", "at", "with", "if", "that",
    "not", "and", "or", "much", "many",
];
/// Those of them that most often point at a noun just before.
const POSSESSIVES: [&str; 2] = ["its", "their"];
/// Content words before a pointer, from which on it most likely points at them.
const OWN_MATTER: usize = 3;
/// A question of no more words than this leaves something out.
const FRAGMENT_WORDS: usize = 2;

/// With one of these and what it is about, two words are a whole question.
const COMMANDS: [&str; 5] = ["define", "describe", "explain", "pronounce", "translate"];
/// What follows a command that is about something said before.
const ADVERBS: [&str; 6] = ["again", "better", "further", "more", "please", "simply"];

/// A question that was asked before in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// In the person's words.
    pub asked: String,
    /// So that it can be understood by itself.
    pub question: String,
}

impl Earlier {
    /// Whether it was understood as it was asked.
    fn stands_alone(&self) -> bool {
        self.asked == self.question
    }
}

/// Whether a question is not to be understood without those before it, by the look of it: English alone, and where in
/// doubt, it is.
#[must_use]
pub fn leans(question: &str) -> bool {
    let lowered = question.to_lowercase();
    let words: Vec<&str> = lowered
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .filter(|word| !word.is_empty())
        .collect();
    let begins_with = |opening: &&str| {
        let opening: Vec<&str> = opening.split(' ').collect();
        words.starts_with(&opening)
    };
    let is_part = || {
        let first = words.first().is_some_and(|first| PARTS.contains(first));
        first && !words.iter().any(|word| VERBS.contains(word))
    };
    let is_matter = |word: &&str| {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        !is_number && !VERBS.contains(word) && !FRAMES.contains(word)
    };
    let points_back = || {
        let is_pointer = |(at, word): (usize, &&str)| {
            let own_matter = if POSSESSIVES.contains(word) {
                1
            } else {
                OWN_MATTER
            };
            let points = is_pointer_at(&words, at) && !is_empty_subject(&words, at);
            points && words[..at].iter().filter(|word| is_matter(word)).count() < own_matter
        };
        words.iter().enumerate().any(is_pointer)
    };
    let is_command = || match words[..] {
        [command, matter] => {
            COMMANDS.contains(&command) && is_matter(&matter) && !ADVERBS.contains(&matter)
        }
        _ => false,
    };
    if words.is_empty() {
        return false;
    }
    let length: usize = words.iter().map(|word| length_of(word)).sum();
    (length <= FRAGMENT_WORDS && !is_command())
        || !words.iter().any(is_matter)
        || OPENINGS.iter().any(begins_with)
        || is_part()
        || points_back()
}

/// How much a word says: one that is written without Latin letters may be a whole sentence of a script without spaces.
fn length_of(word: &str) -> usize {
    if word.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        1
    } else {
        word.chars().count()
    }
}

/// Whether the word stands for something else, by what it is and what is around it.
fn is_pointer_at(words: &[&str], at: usize) -> bool {
    match words[at] {
        "that" => at + 1 == words.len() || at > 0 && VERBS.contains(&words[at - 1]),
        word => POINTERS.contains(&word),
    }
}

/// Whether the word stands for nothing at all, as in "is it good to" and "are there".
fn is_empty_subject(words: &[&str], at: usize) -> bool {
    let is_verb = |at: Option<usize>| {
        let word = at.and_then(|at| words.get(at));
        word.is_some_and(|word| ["is", "are", "was", "were"].contains(word))
    };
    let follows = is_verb(at.checked_sub(1));
    match words[at] {
        "there" => follows || is_verb(Some(at + 1)),
        "it" => follows && words[at..].contains(&"to"),
        _ => false,
    }
}

/// What a model is asked that has [`REWRITE_PROMPT`] as its instructions. `earlier` is in the order of asking, and the
/// last [`CONTEXT_QUESTIONS`] of it are told.
#[must_use]
pub fn rewriting(earlier: &[Earlier], question: &str) -> String {
    let mut told = String::from("Earlier questions:\n");
    let skipped = earlier.len().saturating_sub(CONTEXT_QUESTIONS);
    for (index, earlier) in earlier[skipped..].iter().enumerate() {
        // Writing to a string never fails.
        let _ = writeln!(told, "{}. {}", index + 1, one_line(&earlier.question));
    }
    let _ = write!(told, "\nLast question: {}", one_line(question));
    told
}

/// What a model replied with, who was asked to put `question` into other words; none where it is no question that can be
/// asked.
#[must_use]
pub fn rewritten(reply: &str, question: &str) -> Option<String> {
    let reply = reply.trim();
    // A long question may be repeated.
    let max_chars = MAX_REWRITTEN_CHARS.max(question.chars().count());
    let is_one = !reply.contains('\n') && reply.chars().count() <= max_chars;
    let told = one_line(reply.trim_matches(['"', '“', '”']));
    (is_one && normalise(&told).is_ok()).then_some(told)
}

/// The question behind those that it leans on: the last that stands alone, and the one just before. That is asked where no
/// model puts them into one, and a search finds what any of them is about. None where nothing was asked before, or all of
/// it would be too long.
#[must_use]
pub fn joined(earlier: &[Earlier], question: &str) -> Option<String> {
    let last = earlier.last()?;
    let alone = earlier.iter().rfind(|earlier| earlier.stands_alone());
    let beginning = alone.map_or(&last.question, |alone| &alone.question);
    let mut parts = vec![one_line(beginning)];
    if !last.stands_alone() && alone.is_some() {
        parts.push(one_line(&last.asked));
    }
    parts.push(one_line(question));
    let joined = parts.join(" ");
    let can_be_asked = joined.chars().count() <= MAX_QUERY_CHARS && normalise(&joined).is_ok();
    can_be_asked.then_some(joined)
}

/// The title that a conversation gets by its first question.
#[must_use]
pub fn title_of(question: &str) -> String {
    let question = one_line(question);
    if question.chars().count() <= MAX_TITLE_CHARS {
        return question;
    }
    let cut: String = question.chars().take(MAX_TITLE_CHARS - 1).collect();
    let whole_words = cut.rsplit_once(' ').map_or(&*cut, |(whole, _)| whole);
    format!("{}…", whole_words.trim_end_matches([',', ';', ':', '-']))
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_that_leaves_something_to_those_before_leans_on_them() {
        for question in [
            "And for the left hand?",
            "what about the pedal",
            "Why?",
            "How often?",
            "3 or 4?",
            "for beginners?",
            "How long should I practise it each day?",
            "Are they bad for small hands?",
            "What should he do instead?",
            "Can you explain that?",
            "Why is that?",
            "Explain more.",
            "Explain it.",
            "Explain why",
        ] {
            assert!(leans(question), "{question}");
        }
        for question in [
            "What is legato?",
            "How do I keep my wrist loose when it gets tired?",
            "In which bar does the waltz change key?",
            "什么是连奏？",
            "🎹🎹",
            "???",
            "",
            "Is it good to begin with the ending?",
            "Where do pupils put their phones?",
            "How many sharps are there in E major?",
            "With which finger does the scale of B flat major begin?",
            "How far away from the piano should I be sitting?",
            "Define legato",
            "explain rubato!",
        ] {
            assert!(!leans(question), "{question}");
        }
    }

    fn alone(question: &str) -> Earlier {
        follow_up(question, question)
    }

    fn follow_up(asked: &str, question: &str) -> Earlier {
        Earlier {
            asked: asked.to_owned(),
            question: question.to_owned(),
        }
    }

    #[test]
    fn a_model_is_told_the_last_questions_in_their_order_one_a_line() {
        let earlier = ["One?", "Two\nand a half?", "Three?", "Four?"].map(alone);
        assert_eq!(
            rewriting(&earlier, "And\nfive?"),
            "Earlier questions:\n1. Two and a half?\n2. Three?\n3. Four?\n\nLast question: And five?"
        );
    }

    #[test]
    fn what_a_model_says_is_taken_where_it_is_one_question() {
        assert_eq!(
            rewritten(" \"How do I practise thirds?\"\n", "And thirds?").as_deref(),
            Some("How do I practise thirds?")
        );
        let long = "why ".repeat(200);
        for reply in ["", "\"\"", "Thirds.\nPractise them slowly.", &*long] {
            assert_eq!(rewritten(reply, "And thirds?"), None, "{reply:?}");
        }
        // It may be repeated.
        assert!(rewritten(&long, &long).is_some());
    }

    #[test]
    fn without_a_model_a_question_is_asked_behind_those_it_leans_on() {
        let thirds = alone("How do I practise thirds?");
        let left = follow_up(
            "And in the left hand?",
            "How do I practise thirds? And in the left hand?",
        );
        let how_often = "How often?";
        for (earlier, expected) in [
            (vec![], None),
            (
                vec![thirds.clone()],
                Some("How do I practise thirds? How often?"),
            ),
            (
                vec![thirds.clone(), left.clone()],
                Some("How do I practise thirds? And in the left hand? How often?"),
            ),
            (
                vec![thirds.clone(), left.clone(), follow_up("And slowly?", "…")],
                Some("How do I practise thirds? And slowly? How often?"),
            ),
            (
                vec![left.clone()],
                Some("How do I practise thirds? And in the left hand? How often?"),
            ),
            (vec![alone(&"a".repeat(1_995))], None),
        ] {
            assert_eq!(
                joined(&earlier, how_often).as_deref(),
                expected,
                "{earlier:?}"
            );
        }
    }

    #[test]
    fn a_title_is_short_and_ends_with_a_word() {
        assert_eq!(title_of("  What is\nlegato? "), "What is legato?");
        let question = "a long, long question about the pedal ".repeat(9);
        let long = title_of(&question);
        assert!(long.chars().count() <= MAX_TITLE_CHARS);
        let whole = long.strip_suffix('…').unwrap();
        let rest = question.strip_prefix(whole).unwrap();
        assert!(rest.starts_with([' ', ',']), "{long}");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_can_be_asked(earlier in "\\PC{1,2000}", question in "\\PC{1,2000}", reply in ".{0,500}") {
            prop_assume!(normalise(&question).is_ok());
            let told = [joined(&[alone(&earlier)], &question), rewritten(&reply, &question)];
            for told in told.into_iter().flatten() {
                prop_assert!(normalise(&told).is_ok());
            }
            prop_assert!(title_of(&question).chars().count() <= MAX_TITLE_CHARS);
            let _ = leans(&question);
        }
    }
}
