//! The stand-in for `bge-reranker-base`. It is **not** a cross-encoder: it never reads question and
//! passage together. It blends how near their vectors are with the share of the question's informative
//! words that the passage contains, and puts the result on the scale of the real model's raw score, so
//! that the caller's sigmoid yields 0 to 1. Good enough to order passages and to tell an unrelated one;
//! its scores calibrate nothing but itself.

use super::embedder::{EmbedError, Embedder, EncoderModel};
use crate::words::Words;
use shared_types::{
    embedding::Embedding,
    workers_ai::{RerankInput, RerankOutput, RerankScore},
};
use std::collections::HashSet;

/// `raw score = cosine_weight * cosine + words_weight * shared words + offset`.
#[derive(Clone, Copy, Debug)]
struct Calibration {
    cosine_weight: f64,
    words_weight: f64,
    offset: f64,
}

impl Calibration {
    /// Fitted by hand to a handful of question and sentence pairs about piano technique, such that a
    /// clear answer lands above 0.6 and an unrelated sentence below 0.2 (see `tests/models.rs`).
    fn of(model: EncoderModel) -> Self {
        match model {
            EncoderModel::Mpnet => Self {
                cosine_weight: 8.5,
                words_weight: 3.0,
                offset: -5.0,
            },
            EncoderModel::MiniLm => Self {
                cosine_weight: 9.0,
                words_weight: 3.0,
                offset: -5.0,
            },
        }
    }

    fn score(self, cosine: f64, shared_words: f64) -> f64 {
        self.cosine_weight * cosine + self.words_weight * shared_words + self.offset
    }
}

/// Judges every context; best first, equal scores by position, at most `top_k`.
pub async fn rerank(input: &RerankInput, embedder: &Embedder) -> Result<RerankOutput, EmbedError> {
    // Passages were encoded when they were ingested and the question when it was searched for, so
    // normally every vector is already on disk.
    let mut texts = vec![input.query.clone()];
    texts.extend(input.contexts.iter().map(|context| context.text.clone()));
    let vectors = embedder.embed(&texts).await?;
    let words = Words::english();
    let asked = words.distinct_stems(&input.query);
    let calibration = Calibration::of(embedder.model());

    let mut response: Vec<RerankScore> = vectors[1..]
        .iter()
        .zip(&input.contexts)
        .enumerate()
        .map(|(id, (vector, context))| {
            let shared = shared_words(&asked, &words.stems(&context.text));
            RerankScore {
                id,
                score: calibration.score(cosine(&vectors[0], vector), shared),
            }
        })
        .collect();
    response.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    response.truncate(input.top_k.unwrap_or(usize::MAX));
    Ok(RerankOutput { response })
}

/// The share of `asked` that is among `present`, 0 to 1.
fn shared_words(asked: &[String], present: &[String]) -> f64 {
    let present: HashSet<&String> = present.iter().collect();
    let shared = asked.iter().filter(|stem| present.contains(stem)).count();
    shared as f64 / asked.len().max(1) as f64
}

/// Of vectors of length 1.
fn cosine(a: &Embedding, b: &Embedding) -> f64 {
    a.as_slice()
        .iter()
        .zip(b.as_slice())
        .map(|(a, b)| f64::from(a * b))
        .sum()
}
