//! Counting the encoder's tokens.

use std::{cell::RefCell, collections::HashMap, path::Path};
use tokenizers::Tokenizer;

/// The most words whose tokens are remembered at a time, and the longest of them in bytes.
const MAX_WORDS: usize = 100_000;
const MAX_WORD_BYTES: usize = 64;

/// The encoder's own tokenizer.
#[derive(Clone, Debug)]
pub struct TokenCounter(Tokenizer);

impl TokenCounter {
    /// Reads a `tokenizer.json`.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let fault = |error| anyhow::anyhow!("can't read the tokenizer {}: {error}", path.display());
        let mut tokenizer = Tokenizer::from_file(path).map_err(fault)?;
        // The file of a sentence encoder cuts texts at its own length and fills short ones up.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(fault)?;
        Ok(Self(tokenizer))
    }

    /// Tokens of a text, without the two special ones; never fewer than one for 16 bytes of its words.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        at_least(self.encode(text), text)
    }

    /// The same for the texts of one document, word by word: most of its words come again, and looking one up takes a
    /// fraction of encoding it. The encoders part texts at white space and at punctuation before all else, so the sum is that
    /// of the whole. Where a text spells a special token such as `[SEP]`, it is more.
    pub fn word_by_word(&self) -> impl Fn(&str) -> usize + '_ {
        let known = RefCell::new(HashMap::<String, usize>::new());
        move |text| {
            let mut known = known.borrow_mut();
            let mut tokens = 0;
            for word in text.split_whitespace().flat_map(parts) {
                tokens += known.get(word).copied().unwrap_or_else(|| {
                    let tokens = self.encode(word);
                    if word.len() <= MAX_WORD_BYTES && known.len() < MAX_WORDS {
                        known.insert(word.to_owned(), tokens);
                    }
                    tokens
                });
            }
            at_least(tokens, text)
        }
    }

    /// A tokenizer that can't split a text counts bytes: too many, so the passage stays small enough.
    fn encode(&self, text: &str) -> usize {
        let encoding = self.0.encode_fast(text, false);
        encoding.map_or(text.len(), |encoding| encoding.len())
    }
}

/// A word of ASCII in its runs of letters and digits and its single marks; any other one as it is.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let is_parted = word.is_ascii();
    let mut rest = word;
    std::iter::from_fn(move || {
        let mark = rest.find(|c: char| is_parted && c.is_ascii_punctuation());
        let end = mark.map_or(rest.len(), |mark| mark.max(1));
        let part;
        (part, rest) = rest.split_at(end);
        (!part.is_empty()).then_some(part)
    })
}

/// To WordPiece a word of any length that it does not know is one token: a megabyte of letters would be a tiny passage.
fn at_least(tokens: usize, text: &str) -> usize {
    let letters: usize = text.split_whitespace().map(str::len).sum();
    tokens.max(letters.div_ceil(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_alone_in_words_of_ascii() {
        let parts = |word| parts(word).collect::<Vec<_>>();
        assert_eq!(parts("c'4)"), ["c", "'", "4", ")"]);
        assert_eq!(parts("slow"), ["slow"]);
        assert_eq!(parts("l’arpège,"), ["l’arpège,"]);
        assert!(parts("").is_empty());
    }
}
