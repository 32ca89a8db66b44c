//! A real small language model, Qwen2.5-Coder-1.5B-Instruct, on the CPU.
//!
//! It is shown the passages as numbered sentences and asked to put a sentence's number after what rests
//! on it; the marks become citations of those sentences. Its words are its own: unlike the extractive
//! answerer it can be wrong, which is what checks of citations are for.

use super::{
    answer::{Piece, Question, SentenceRef, Stop},
    marks::MarkReader,
};
use candle_core::{
    Device, Tensor,
    quantized::{gguf_file, tokenizer::TokenizerFromGguf},
};
use candle_transformers::models::quantized_qwen2::ModelWeights;
use std::{
    fmt::Write,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use thiserror::Error;
use tokenizers::Tokenizer;
use tokio::{sync::mpsc, task::JoinError};

/// Tokens of passages in a prompt at most: reading costs seconds per hundred.
const MAX_PASSAGE_TOKENS: usize = 900;
/// Tokens of an answer at most.
const MAX_ANSWER_TOKENS: usize = 220;
const ENDS: [&str; 2] = ["<|im_end|>", "<|endoftext|>"];

const INSTRUCTIONS: &str = "\
You answer a piano student's question from numbered sentences, and from nothing else. Answer in two or \
three short sentences. End each of your sentences with the number of the sentence that it rests on, in \
square brackets, like this: Lift the foot before the change of harmony [3]. If the numbered sentences do \
not answer the question, write only: The library does not cover this question.";
/// A small model keeps to what it read last.
const REMINDER: &str = "End each sentence with its [number].";

/// Why the model can't be loaded or broke.
#[derive(Debug, Error)]
pub enum QwenError {
    /// The file can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no Qwen2 model, or the computation failed.
    #[error("the model failed")]
    Model(#[from] candle_core::Error),
    /// Text can't be turned to tokens or back.
    #[error("the tokenizer failed")]
    Tokenizer(#[from] tokenizers::Error),
    /// Loading was torn down.
    #[error("loading was torn down")]
    Interrupted(#[from] JoinError),
}

/// The loaded model; answers one question at a time.
pub(crate) struct Qwen {
    tokenizer: Tokenizer,
    ends: Vec<u32>,
    weights: Mutex<ModelWeights>,
}

impl Qwen {
    /// Loads the weights and the tokenizer, both from the GGUF file.
    pub(super) async fn load(gguf: &Path) -> Result<Self, QwenError> {
        let path = gguf.to_owned();
        tokio::task::spawn_blocking(move || Self::read(path)).await?
    }

    fn read(path: PathBuf) -> Result<Self, QwenError> {
        let mut file = match File::open(&path) {
            Ok(file) => std::io::BufReader::new(file),
            Err(source) => return Err(QwenError::Read { path, source }),
        };
        let content = gguf_file::Content::read(&mut file)?;
        let tokenizer = Tokenizer::from_gguf(&content)?;
        let ends = ENDS
            .iter()
            .filter_map(|end| tokenizer.token_to_id(end))
            .collect();
        let weights = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
        Ok(Self {
            tokenizer,
            ends,
            weights: Mutex::new(weights),
        })
    }

    /// Writes the answer's pieces to `out` as they are made; stops early where nobody listens.
    pub(super) fn answer(&self, question: &Question, out: &mpsc::Sender<Piece>) {
        let stop = match self.generate(question, out) {
            Ok(stop) => stop,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "language model failed"
                );
                Stop::Failed
            }
        };
        // A caller who has gone needs no end.
        let _ = out.blocking_send(Piece::End(stop));
    }

    fn generate(&self, question: &Question, out: &mpsc::Sender<Piece>) -> Result<Stop, QwenError> {
        let (prompt, sentences) = self.prompt(question)?;
        let prompt = self.tokenizer.encode(prompt, false)?;
        let limit = question.max_tokens.min(MAX_ANSWER_TOKENS);
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        weights.clear_kv_cache();
        let mut text = self.tokenizer.decode_stream(true);
        let mut marks = MarkReader::new(sentences);
        let (mut input, mut position) = (prompt.get_ids().to_vec(), 0);
        let mut stop = Stop::MaxTokens;
        for _ in 0..limit {
            let tokens = Tensor::new(input.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
            let scores = weights.forward(&tokens, position)?.squeeze(0)?;
            position += input.len();
            let next: u32 = scores.argmax(0)?.to_scalar()?;
            if self.ends.contains(&next) {
                stop = Stop::EndTurn;
                break;
            }
            if let Some(words) = text.step(next)? {
                for piece in marks.push(&words) {
                    if out.blocking_send(piece).is_err() {
                        return Ok(stop);
                    }
                }
            }
            input = vec![next];
        }
        for piece in marks.finish() {
            if out.blocking_send(piece).is_err() {
                break;
            }
        }
        Ok(stop)
    }

    /// The prompt, and what each number in it stands for, from 1.
    fn prompt(&self, question: &Question) -> Result<(String, Vec<SentenceRef>), QwenError> {
        let (mut listing, mut sentences, mut tokens) = (String::new(), Vec::new(), 0);
        'passages: for (passage, texts) in question.passages.iter().enumerate() {
            for (sentence, text) in texts.iter().enumerate() {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                tokens += self.tokenizer.encode_fast(text.as_str(), false)?.len() + 4;
                if tokens > MAX_PASSAGE_TOKENS {
                    break 'passages;
                }
                sentences.push(SentenceRef { passage, sentence });
                // Writing to a string can't fail.
                let _ = writeln!(listing, "[{}] {}", sentences.len(), plain(&text));
            }
        }
        let asked = plain(&question.text);
        if question.passages.is_empty() {
            let system = plain(&question.system);
            let prompt = format!(
                "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{asked}<|im_end|>\n\
                 <|im_start|>assistant\n"
            );
            return Ok((prompt, sentences));
        }
        let prompt = format!(
            "<|im_start|>system\n{INSTRUCTIONS}<|im_end|>\n<|im_start|>user\n{listing}\n\
             Question: {asked}\n{REMINDER}<|im_end|>\n<|im_start|>assistant\n"
        );
        Ok((prompt, sentences))
    }
}

/// Text that can't pass for the model's own markup.
fn plain(text: &str) -> String {
    text.replace("<|", "< |")
}
