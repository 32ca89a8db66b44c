//! Words broken at the end of a line.

use super::traced::{NOWHERE, Traced};
use std::collections::HashMap;

/// Marks a hyphen at a line's end until the whole document is known. No character of any page: pdfium's
/// own mark for it, and a noncharacter of Unicode.
pub(super) const BROKEN: char = '\u{fffe}';

/// The words of a document, each with how often it occurs.
#[derive(Debug, Default)]
pub(super) struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    /// Counts words, hyphenated ones as one.
    pub(super) fn count_all(&mut self, text: &str) {
        for word in text.split_whitespace() {
            if !word.contains(BROKEN) {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                *self.0.entry(word.to_lowercase()).or_default() += 1;
            }
        }
    }

    /// Mends each word that was broken: "specif|ically" into "specifically", and "left|hand" into
    /// "left-hand" where the document writes it so elsewhere.
    pub(super) fn mend(&self, text: &Traced) -> Traced {
        if !text.text().contains(BROKEN) {
            return text.clone();
        }
        let mut joints = text.text().split_whitespace().flat_map(|word| {
            let joint = self.joint(word);
            word.chars().filter(|c| *c == BROKEN).map(move |_| joint)
        });
        let mut mended = Traced::default();
        for (c, word) in text.chars() {
            if c == BROKEN {
                mended.extend(joints.next().flatten().map(|hyphen| (hyphen, NOWHERE)));
            } else {
                mended.push(c, word);
            }
        }
        mended
    }

    /// What stands where the word is broken.
    fn joint(&self, word: &str) -> Option<char> {
        let (joined, hyphenated) = (word.replace(BROKEN, ""), word.replace(BROKEN, "-"));
        (self.count(&hyphenated) > self.count(&joined)).then_some('-')
    }

    fn count(&self, word: &str) -> u32 {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        self.0.get(&word.to_lowercase()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_joined_unless_the_document_writes_it_with_a_hyphen() {
        let mut words = Vocabulary::default();
        words.count_all("The left-hand part, played legato.");
        let text = format!("the left{BROKEN}hand, le{BROKEN}gato.");
        let mended = words.mend(&text.as_str().into());
        assert_eq!(mended.text(), "the left-hand, legato.");
    }

    #[test]
    fn an_unknown_word_is_joined() {
        let words = Vocabulary::default();
        let text = format!("specif{BROKEN}ically");
        assert_eq!(words.mend(&text.as_str().into()).text(), "specifically");
    }
}
