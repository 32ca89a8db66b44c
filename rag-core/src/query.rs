//! Normalising a question, so that the same question is the same cache key.

use crate::unicode::{lower, nfkc};
use shared_types::chat::MAX_QUERY_CHARS;
use thiserror::Error;

/// Why a question can't be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// Nothing but white space.
    #[error("The question is empty.")]
    Empty,
    /// Longer than [`MAX_QUERY_CHARS`].
    #[error("The question has more than {MAX_QUERY_CHARS} characters.")]
    TooLong,
}

/// Unicode NFKC, lower case, control characters and runs of white space as one space, trimmed. Idempotent.
/// 1 to [`MAX_QUERY_CHARS`] characters come out.
///
/// Nothing but the outcome is ever embedded, so two spellings with one cache key have one embedding. It differs
/// from that of a spelling as it was written where NFKC does: in ligatures, full-width letters and the like, most
/// of which the encoders know only in their plain form. Beyond NFKC no token changes, since the encoders are
/// uncased and split at white space themselves (`local-cloud/tests/protocols/normalising.rs`, by the tokeniser).
/// Two exceptions are on purpose. A control character parts words here, such as the form feed of a pasted page, and
/// would join them there; and `[SEP]` and its like, written out, are words in lower case and commands in capitals.
pub fn normalise(query: &str) -> Result<String, QueryError> {
    if query.chars().nth(MAX_QUERY_CHARS).is_some() {
        return Err(QueryError::TooLong);
    }
    let folded = lower(&nfkc(query));
    let folded = nfkc(&folded);
    let words = folded.split(|c: char| c.is_whitespace() || c.is_control());
    let normalised = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match normalised.chars().count() {
        0 => Err(QueryError::Empty),
        1..=MAX_QUERY_CHARS => Ok(normalised),
        _ => Err(QueryError::TooLong),
    }
}

/// The words as they can be kept: PostgreSQL takes no U+0000.
#[must_use]
pub fn storable(text: &str) -> String {
    text.replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_question_in_other_dress_is_the_same_question() {
        let plain = normalise("what is a ﬁnger exercise?").unwrap();
        assert_eq!(plain, "what is a finger exercise?");
        assert_eq!(
            normalise("  What is\ta FINGER \u{a0} exercise?\n").unwrap(),
            plain
        );
    }

    #[test]
    fn empty_and_endless_questions_are_refused() {
        assert_eq!(normalise(" \u{0}\n "), Err(QueryError::Empty));
        assert_eq!(normalise(&"a".repeat(2_001)), Err(QueryError::TooLong));
        assert!(normalise(&"a".repeat(2_000)).is_ok());
        // One character that NFKC unfolds to eighteen.
        assert_eq!(
            normalise(&"\u{fdfa}".repeat(2_000)),
            Err(QueryError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(query in "\\PC{0,60}") {
            if let Ok(once) = normalise(&query) {
                prop_assert_eq!(normalise(&once), Ok(once));
            }
        }
    }
}
