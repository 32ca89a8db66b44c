//! Counting the encoder's tokens.

use std::path::Path;
use tokenizers::Tokenizer;

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
        // To WordPiece a word of any length that it does not know is one token: a megabyte of letters
        // would be a tiny passage.
        let letters: usize = text.split_whitespace().map(str::len).sum();
        // A tokenizer that can't split a text counts bytes: too many, so the passage stays small enough.
        self.0
            .encode_fast(text, false)
            .map_or(text.len(), |encoding| encoding.len())
            .max(letters.div_ceil(16))
    }
}
