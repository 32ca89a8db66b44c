//! Text that knows where each of its characters came from.

use unicode_normalization::{
    IsNormalized, UnicodeNormalization,
    char::{decompose_canonical, decompose_compatible},
    is_nfkc_quick,
};

/// Of characters that stand nowhere: white space, and marks of ours.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A text, and for each of its characters the word of the page that it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Traced {
    text: String,
    /// One for each character.
    words: Vec<u32>,
}

impl Traced {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The characters, each with its word.
    pub(super) fn chars(&self) -> impl Iterator<Item = (char, u32)> {
        self.text.chars().zip(self.words.iter().copied())
    }

    pub(super) fn push(&mut self, c: char, word: u32) {
        self.text.push(c);
        self.words.push(word);
    }

    /// Appends text that stands nowhere.
    pub(super) fn push_str(&mut self, text: &str) {
        self.extend(text.chars().map(|c| (c, NOWHERE)));
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.words.extend_from_slice(&other.words);
    }

    /// The words of a text are numbered on from `next`.
    pub(super) fn append_words(&mut self, text: &str, next: &mut u32) {
        let mut in_word = false;
        for c in text.chars() {
            let is_space = c.is_whitespace();
            if in_word && is_space {
                *next += 1;
            }
            in_word = !is_space;
            self.push(c, if is_space { NOWHERE } else { *next });
        }
        *next += u32::from(in_word);
    }

    /// Its NFKC form. A character that is composed of several has the word of the first of them.
    pub(super) fn nfkc(&self) -> Self {
        if is_nfkc_quick(self.text.chars()) == IsNormalized::Yes {
            return self.clone();
        }
        let mut parts = Vec::new();
        for (c, word) in self.chars() {
            decompose_compatible(c, |_| parts.push(word));
        }
        // A composed character stands for as many parts as it falls into.
        let mut normal = Self::default();
        let mut at = 0;
        for c in self.text.nfkc() {
            normal.push(c, parts.get(at).copied().unwrap_or(NOWHERE));
            decompose_canonical(c, |_| at += 1);
        }
        normal
    }
}

impl Extend<(char, u32)> for Traced {
    fn extend<T: IntoIterator<Item = (char, u32)>>(&mut self, chars: T) {
        for (c, word) in chars {
            self.push(c, word);
        }
    }
}

#[cfg(test)]
impl From<&str> for Traced {
    /// A text whose words are numbered from 0.
    fn from(text: &str) -> Self {
        let mut traced = Self::default();
        traced.append_words(text, &mut 0);
        traced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ligature_is_letters_of_its_word() {
        let normal = Traced::from("a \u{fb01}nger").nfkc();
        assert_eq!(normal.text(), "a finger");
        let words: Vec<u32> = normal.chars().map(|(_, word)| word).collect();
        assert_eq!(words, [0, NOWHERE, 1, 1, 1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn letters_stay_in_their_words(
            text in "[a-z \u{fb00}-\u{fb04}\u{a8}\u{300}-\u{304}\u{1100}-\u{1112}\u{1161}-\u{1175}\u{11a8}\u{3099}\u{ff76}\u{ff9e}\u{212b}]{0,30}",
        ) {
            let normal = Traced::from(text.as_str()).nfkc();
            let words: Vec<u32> = normal.chars().map(|(_, word)| word).filter(|word| *word != NOWHERE).collect();
            prop_assert!(words.is_sorted());
            prop_assert_eq!(words.last().map_or(0, |last| last + 1), text.split_whitespace().count() as u32);
        }

        #[test]
        fn any_text_comes_out_normal(text in any::<String>()) {
            let normal = Traced::from(text.as_str()).nfkc();
            prop_assert_eq!(normal.text(), text.nfkc().collect::<String>());
            prop_assert_eq!(normal.chars().count(), text.nfkc().count());
        }
    }
}
