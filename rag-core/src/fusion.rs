//! Making one list of two: the passages nearest by vector, and the passages best by words.

use shared_types::ids::ChunkId;
use std::collections::BTreeMap;

/// The specification's constant of reciprocal rank fusion.
pub const RRF_K: f64 = 60.0;

/// How two lists become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fusion {
    /// By what the lists score: see [`Weights`].
    Weighted(Weights),
    /// By ranks alone, a passage gets `1 / (k + rank)` from each list that holds it.
    ReciprocalRank {
        /// Above 0: the larger, the less the first ranks stand out.
        k: f64,
    },
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Weighted(Weights::default())
    }
}

/// What counts how much in a weighted sum: `vector * similarity + (1 - vector) * words`.
///
/// Similarity is the cosine. Words are the BM25 score's share of the highest that this question could reach,
/// 0 to 1. A passage that a list does not hold counts as that list's last: it is no better than that. So the
/// sum does not depend on how high an encoder's cosines lie, only on how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// 0 to 1: 0 is words alone, 1 is vectors alone.
    pub vector: f64,
    /// Whether the first passages say what else is meant.
    pub feedback: Option<Feedback>,
}

impl Default for Weights {
    /// Measured: `docs/benchmarks.md`.
    fn default() -> Self {
        Self {
            vector: 0.55,
            feedback: Some(Feedback::default()),
        }
    }
}

/// Pseudo-relevance feedback in vector space (Rocchio 1971): the question's vector is moved towards its first
/// passages, the guides, by `weight` times their mean, and the same candidates are ranked by that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// How many passages guide; at least 1.
    pub guides: usize,
    /// Above 0: how much they count beside the question.
    pub weight: f64,
}

impl Default for Feedback {
    fn default() -> Self {
        Self {
            guides: 2,
            weight: 0.5,
        }
    }
}

/// A passage of a list and its score, the larger the better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Cosine similarity in the vector list, BM25 score in the word list.
    pub score: f64,
}

/// Two lists, best first. A repeated passage counts where it stands first.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// By vectors.
    pub vector: &'a [Scored],
    /// By words.
    pub lexical: &'a [Scored],
    /// A score by words that none can exceed; 0 where no word of the question is known.
    pub lexical_ceiling: f64,
    /// How deep the word list goes. A shorter one holds every passage with a word of the question.
    pub depth: usize,
}

/// A passage after fusion. Ranks from 1; absent where a list does not hold the passage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Rank in the vector list.
    pub vector_rank: Option<u32>,
    /// Rank in the word list.
    pub lexical_rank: Option<u32>,
    /// What the ranking is by, the larger the better. Comparable within one ranking only.
    pub score: f64,
    /// The part of `score` that words give; 0 where ranks alone count.
    words: f64,
}

/// Fuses two lists, best first. Ties go to the lower id, so the order never depends on the order of equal
/// scores in a database.
#[must_use]
pub fn fuse(fusion: &Fusion, lists: &Lists<'_>) -> Vec<Fused> {
    #[derive(Clone, Copy, Default)]
    struct Standing {
        vector: Option<(u32, f64)>,
        lexical: Option<(u32, f64)>,
    }

    let mut standings: BTreeMap<ChunkId, Standing> = BTreeMap::new();
    for (hit, rank) in lists.vector.iter().zip(1..) {
        let standing = standings.entry(hit.chunk_id).or_default();
        standing.vector.get_or_insert((rank, hit.score));
    }
    for (hit, rank) in lists.lexical.iter().zip(1..) {
        let standing = standings.entry(hit.chunk_id).or_default();
        standing.lexical.get_or_insert((rank, hit.score));
    }

    let last = |list: &[Scored]| list.last().map_or(0.0, |hit| hit.score);
    let unseen_similarity = last(lists.vector);
    let unseen_lexical = if lists.lexical.len() < lists.depth {
        0.0
    } else {
        last(lists.lexical)
    };
    let fused = standings
        .into_iter()
        .map(|(chunk_id, Standing { vector, lexical })| {
            let (score, words) = match fusion {
                Fusion::Weighted(weights) => {
                    let similarity = vector.map_or(unseen_similarity, |(_, score)| score);
                    let lexical = lexical.map_or(unseen_lexical, |(_, score)| score);
                    let words = weights.words(lexical, lists.lexical_ceiling);
                    (weights.vector * similarity + words, words)
                }
                Fusion::ReciprocalRank { k } => {
                    let share = |(rank, _): (u32, f64)| 1.0 / (k + f64::from(rank));
                    let score = vector.map_or(0.0, share) + lexical.map_or(0.0, share);
                    (score, 0.0)
                }
            };
            Fused {
                chunk_id,
                vector_rank: vector.map(|(rank, _)| rank),
                lexical_rank: lexical.map(|(rank, _)| rank),
                score,
                words,
            }
        })
        .collect();
    sorted(fused)
}

impl Weights {
    fn words(&self, lexical: f64, ceiling: f64) -> f64 {
        let share = if ceiling > 0.0 {
            lexical / ceiling
        } else {
            0.0
        };
        (1.0 - self.vector) * share
    }
}

/// How near a candidate's vector is to others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness {
    /// The candidate.
    pub chunk_id: ChunkId,
    /// Its cosine similarity to the question.
    pub to_question: f64,
    /// The mean of its cosine similarities to the guides.
    pub to_guides: f64,
}

/// Ranks the passages of [`fuse`] again, the guides known. A passage whose nearness is not known counts as
/// the farthest of the others; where none is known, everything stays.
#[must_use]
pub fn follow(
    weights: &Weights,
    feedback: &Feedback,
    fused: Vec<Fused>,
    near: &[Nearness],
) -> Vec<Fused> {
    let to_moved_question = |near: &Nearness| near.to_question + feedback.weight * near.to_guides;
    let known: BTreeMap<ChunkId, f64> = near
        .iter()
        .map(|near| (near.chunk_id, to_moved_question(near)))
        .collect();
    let Some(farthest) = known.values().copied().reduce(f64::min) else {
        return fused;
    };
    let ranked = fused
        .into_iter()
        .map(|passage| {
            let similarity = known.get(&passage.chunk_id).copied().unwrap_or(farthest);
            Fused {
                score: weights.vector * similarity + passage.words,
                ..passage
            }
        })
        .collect();
    sorted(ranked)
}

fn sorted(mut passages: Vec<Fused>) -> Vec<Fused> {
    passages.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.chunk_id.cmp(&b.chunk_id))
    });
    passages
}

#[cfg(test)]
mod tests;
