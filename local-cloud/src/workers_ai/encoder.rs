//! A sentence encoder: text in, vectors of 768 components out.

mod transformer;

use shared_types::embedding::{DIMENSIONS, Embedding, EmbeddingError};
use std::{fs, path::Path};
use thiserror::Error;
use tokenizers::{Tokenizer, TruncationParams};
use transformer::{Config, Transformer};

/// The longest input in tokens, special tokens included; what is behind it is not read.
pub const MAX_TOKENS: usize = 512;

/// Tokens, padding included, that go through the model in one step. A query waits for at most one
/// step of somebody else's batch, and larger steps are no faster per token on a CPU.
const STEP_TOKENS: usize = 768;

/// Why there is no encoder, or no vector.
#[derive(Debug, Error)]
pub enum EncoderError {
    /// A file of the model can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// `config.json` is not the configuration of an encoder that is known here.
    #[error("config.json is not that of a BERT or MPNet encoder")]
    Config(#[from] serde_json::Error),
    /// `tokenizer.json` is damaged, or a text can't be tokenised.
    #[error("the tokenizer failed")]
    Tokenizer(#[from] tokenizers::Error),
    /// The weights do not fit the configuration, or the computation failed.
    #[error("the model failed")]
    Model(#[from] candle_core::Error),
    /// The model yielded something that is no embedding.
    #[error("the model yielded no embedding")]
    Embedding(#[from] EmbeddingError),
}

/// A loaded encoder. Mean pooling and length normalisation always, whatever a request asks for: the
/// weights were trained so, and cls vectors of these models mean nothing.
pub struct Encoder {
    tokenizer: Tokenizer,
    transformer: Transformer,
}

/// Texts that go through the model together, as places in the caller's list.
pub type Step = Vec<usize>;

/// Tokenised texts.
pub struct Tokenised(Vec<Vec<u32>>);

impl Encoder {
    /// Loads `model.safetensors`, `tokenizer.json` and `config.json` from a folder.
    pub fn load(folder: &Path) -> Result<Self, EncoderError> {
        let path = |name: &str| folder.join(name);
        let read_failed = |path: &Path| {
            let path = path.display().to_string();
            |source| EncoderError::Read { path, source }
        };
        let config_file = path("config.json");
        let config = fs::read(&config_file).map_err(read_failed(&config_file))?;
        let config: Config = serde_json::from_slice(&config)?;
        let tokenizer_file = path("tokenizer.json");
        let tokenizer = fs::read(&tokenizer_file).map_err(read_failed(&tokenizer_file))?;
        let mut tokenizer = Tokenizer::from_bytes(tokenizer)?;
        // The file's own settings (128 tokens, padded) are those of its training.
        let truncation = TruncationParams {
            max_length: MAX_TOKENS,
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(truncation))?
            .with_padding(None);
        let weights = transformer::read_weights(&path("model.safetensors"))?;
        Ok(Self {
            tokenizer,
            transformer: Transformer::load(&weights, config)?,
        })
    }

    /// Tokenises texts, each cut at [`MAX_TOKENS`].
    pub fn tokenise(&self, texts: &[&str]) -> Result<Tokenised, EncoderError> {
        let encode = |text: &&str| Ok(self.tokenizer.encode_fast(*text, true)?.get_ids().to_vec());
        texts
            .iter()
            .map(encode)
            .collect::<Result<_, _>>()
            .map(Tokenised)
    }

    /// Embeds the texts of one step, in the step's order. Components beyond the model's own width are
    /// zero, which changes no cosine.
    pub fn embed(&self, texts: &Tokenised, step: &Step) -> Result<Vec<Embedding>, EncoderError> {
        let sequences: Vec<&[u32]> = step.iter().map(|at| texts.0[*at].as_slice()).collect();
        let vectors = self.transformer.embed(&sequences)?;
        debug_assert!(self.transformer.hidden_size() <= DIMENSIONS);
        let pad = |mut vector: Vec<f32>| {
            vector.resize(DIMENSIONS, 0.0);
            Ok(Embedding::new(vector)?)
        };
        vectors.into_iter().map(pad).collect()
    }
}

impl Tokenised {
    /// The steps in which to embed the texts: neighbours in length go together, so that little padding
    /// is computed.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|at| self.0[*at].len());
        let mut steps: Vec<Step> = Vec::new();
        for at in order {
            let length = self.0[at].len();
            match steps.last_mut() {
                Some(step)
                    if (step.len() + 1) * length <= STEP_TOKENS
                        && length <= 2 * self.0[step[0]].len() + 16 =>
                {
                    step.push(at);
                }
                _ => steps.push(vec![at]),
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_in_one_step_and_no_step_is_too_large() {
        let lengths = [500, 3, 40, 257, 12, 257, 512, 9, 257, 300];
        let texts = Tokenised(lengths.iter().map(|length| vec![0; *length]).collect());
        let steps = texts.steps();
        let mut all: Vec<usize> = steps.concat();
        all.sort_unstable();
        assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
        for step in &steps {
            let longest = step.iter().map(|at| lengths[*at]).max().unwrap();
            assert!(step.len() == 1 || step.len() * longest <= STEP_TOKENS);
        }
        assert!(steps.len() < lengths.len());
    }
}
