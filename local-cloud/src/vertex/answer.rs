//! What either publisher's face asks for: a question, passages as numbered sentences, and an answer in
//! pieces.

use super::{
    extractive::Extractive,
    qwen::{Qwen, QwenError},
};
use std::{path::Path, sync::Arc};
use tokio::sync::mpsc;

/// A question and what may be quoted in answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// The instructions.
    pub(super) system: String,
    /// What the person asks.
    pub(super) text: String,
    /// Passages, most relevant first, each as its sentences.
    pub(super) passages: Vec<Vec<String>>,
    /// Tokens that the answer may have.
    pub(super) max_tokens: usize,
}

/// A sentence of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SentenceRef {
    /// Place of the passage.
    pub(super) passage: usize,
    /// Place of the sentence within it.
    pub(super) sentence: usize,
}

/// A piece of an answer. Text and the citations after it form one block until [`Piece::BlockEnd`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Some words.
    Text(String),
    /// The words of this block rest on that sentence.
    Citation(SentenceRef),
    /// The block is complete.
    BlockEnd,
    /// Nothing follows.
    End(Stop),
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is complete.
    EndTurn,
    /// It reached the most tokens it may have.
    MaxTokens,
    /// The model broke.
    Failed,
}

/// How many pieces may wait for a slow reader before the model waits too.
const PIECES_IN_FLIGHT: usize = 64;

/// What answers questions.
pub(crate) enum Answerer {
    /// Quotes sentences.
    Extractive(Arc<Extractive>),
    /// A small language model.
    Qwen(Arc<Qwen>),
}

impl Answerer {
    /// Quotes the best sentences of the passages; needs no model.
    pub(crate) fn extractive() -> Self {
        Self::Extractive(Arc::new(Extractive::new()))
    }

    /// Qwen2.5 from a GGUF file.
    pub(crate) async fn qwen(gguf: &Path) -> Result<Self, QwenError> {
        Qwen::load(gguf)
            .await
            .map(|qwen| Self::Qwen(Arc::new(qwen)))
    }

    /// The pieces of the answer, ending with [`Piece::End`] unless the model's thread dies. Dropping
    /// the receiver stops the model.
    pub(super) fn answer(&self, question: Question) -> mpsc::Receiver<Piece> {
        let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        match self {
            Self::Extractive(extractive) => {
                let extractive = extractive.clone();
                tokio::spawn(async move {
                    for piece in extractive.answer(&question) {
                        if sender.send(piece).await.is_err() {
                            break;
                        }
                    }
                });
            }
            Self::Qwen(qwen) => {
                let qwen = qwen.clone();
                tokio::task::spawn_blocking(move || qwen.answer(&question, &sender));
            }
        }
        receiver
    }
}

/// A rough count of tokens, at four characters each: for `usage` where no tokenizer is at hand.
pub(super) fn tokens_of(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}
