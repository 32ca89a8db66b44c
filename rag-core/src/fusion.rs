//! Reciprocal rank fusion of the vector list and the word list.

use shared_types::ids::ChunkId;
use std::collections::BTreeMap;

/// The specification's constant.
pub const RRF_K: f64 = 60.0;

/// A passage after fusion. Ranks from 1; absent where a list does not hold the passage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Rank in the vector list.
    pub vector_rank: Option<u32>,
    /// Rank in the word list.
    pub lexical_rank: Option<u32>,
    /// Sum of `1 / (k + rank)`.
    pub score: f64,
}

/// Fuses two lists, best first in and out. Ties go to the lower id, so the order never depends on
/// the order of equal scores in a database. A repeated id counts at its best rank.
#[must_use]
pub fn reciprocal_rank_fusion(vector: &[ChunkId], lexical: &[ChunkId], k: f64) -> Vec<Fused> {
    let mut ranks: BTreeMap<ChunkId, (Option<u32>, Option<u32>)> = BTreeMap::new();
    for (id, rank) in vector.iter().zip(1..) {
        ranks.entry(*id).or_default().0.get_or_insert(rank);
    }
    for (id, rank) in lexical.iter().zip(1..) {
        ranks.entry(*id).or_default().1.get_or_insert(rank);
    }
    let share = |rank: Option<u32>| rank.map_or(0.0, |rank| 1.0 / (k + f64::from(rank)));
    let mut fused: Vec<Fused> = ranks
        .into_iter()
        .map(|(chunk_id, (vector_rank, lexical_rank))| Fused {
            chunk_id,
            vector_rank,
            lexical_rank,
            score: share(vector_rank) + share(lexical_rank),
        })
        .collect();
    fused.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.chunk_id.cmp(&b.chunk_id))
    });
    fused
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn ids(numbers: &[u128]) -> Vec<ChunkId> {
        numbers
            .iter()
            .map(|n| ChunkId(Uuid::from_u128(*n)))
            .collect()
    }

    #[test]
    fn a_passage_that_both_lists_know_comes_first() {
        let fused = reciprocal_rank_fusion(&ids(&[1, 2]), &ids(&[3, 2]), RRF_K);
        let order: Vec<_> = fused.iter().map(|f| f.chunk_id.0.as_u128()).collect();
        assert_eq!(order, [2, 1, 3]);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn fusion_loses_nothing_repeats_nothing_and_descends(
            vector in prop::collection::vec(0u128..40, 0..30),
            lexical in prop::collection::vec(0u128..40, 0..30),
        ) {
            let fused = reciprocal_rank_fusion(&ids(&vector), &ids(&lexical), RRF_K);
            let mut expected: Vec<u128> = vector.iter().chain(&lexical).copied().collect();
            expected.sort_unstable();
            expected.dedup();
            let mut found: Vec<u128> = fused.iter().map(|f| f.chunk_id.0.as_u128()).collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert!(fused.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    }
}
