use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

const RRF: Fusion = Fusion::ReciprocalRank { k: RRF_K };

fn id(number: u128) -> ChunkId {
    ChunkId(Uuid::from_u128(number))
}

fn number(passage: &Fused) -> u128 {
    passage.chunk_id.0.as_u128()
}

fn list(entries: &[(u128, f64)]) -> Vec<Scored> {
    entries
        .iter()
        .map(|(number, score)| Scored {
            chunk_id: id(*number),
            score: *score,
        })
        .collect()
}

fn weighted(vector: f64) -> Fusion {
    Fusion::Weighted(Weights {
        vector,
        feedback: None,
    })
}

fn order(fusion: &Fusion, vector: &[Scored], lexical: &[Scored], depth: usize) -> Vec<u128> {
    let lists = Lists {
        vector,
        lexical,
        lexical_ceiling: 20.0,
        depth,
    };
    fuse(fusion, &lists).iter().map(number).collect()
}

/// A list as the database hands it out: each passage once, best first. Scores are few, so that some tie.
fn any_list(best: f64) -> impl Strategy<Value = Vec<Scored>> {
    prop::collection::btree_map(0u128..40, 1u32..=20, 0..30).prop_map(move |entries| {
        let mut list: Vec<(u128, f64)> = entries
            .into_iter()
            .map(|(number, score)| (number, best * f64::from(score) / 20.0))
            .collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        self::list(&list)
    })
}

fn any_fusion() -> impl Strategy<Value = Fusion> {
    prop_oneof![
        (0.0..=1.0).prop_map(weighted),
        (1.0..100.0).prop_map(|k| Fusion::ReciprocalRank { k }),
    ]
}

#[test]
fn by_ranks_a_passage_that_both_lists_know_comes_first() {
    let (vector, lexical) = (list(&[(1, 0.9), (2, 0.1)]), list(&[(3, 9.0), (2, 8.0)]));
    let lists = Lists {
        vector: &vector,
        lexical: &lexical,
        lexical_ceiling: 20.0,
        depth: 2,
    };
    let fused = fuse(&RRF, &lists);
    assert_eq!(fused.iter().map(number).collect::<Vec<_>>(), [2, 1, 3]);
    assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-12);
    assert_eq!(
        (fused[0].vector_rank, fused[0].lexical_rank),
        (Some(2), Some(2))
    );
    assert_eq!(
        (fused[1].vector_rank, fused[1].lexical_rank),
        (Some(1), None)
    );
}

#[test]
fn by_weight_the_sum_is_that_of_cosine_and_share_of_the_highest_score() {
    let (vector, lexical) = (list(&[(1, 0.8), (2, 0.6)]), list(&[(2, 15.0), (3, 5.0)]));
    let of = |depth: usize| {
        let lists = Lists {
            vector: &vector,
            lexical: &lexical,
            lexical_ceiling: 20.0,
            depth,
        };
        let fused = fuse(&weighted(0.5), &lists);
        fused
            .iter()
            .map(|passage| (number(passage), passage.score))
            .collect::<BTreeMap<_, _>>()
    };
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;

    // The word list is full: what it lacks may score as much as its last.
    let cut = of(2);
    assert!(near(cut[&1], 0.5 * 0.8 + 0.5 * 5.0 / 20.0));
    assert!(near(cut[&2], 0.5 * 0.6 + 0.5 * 15.0 / 20.0));
    assert!(near(cut[&3], 0.5 * 0.6 + 0.5 * 5.0 / 20.0));
    // It is not: what it lacks holds no word of the question.
    let whole = of(3);
    assert!(near(whole[&1], 0.5 * 0.8));
}

#[test]
fn without_vectors_or_without_known_words_the_other_list_decides() {
    let entries = list(&[(4, 0.9), (1, 0.5), (9, 0.4)]);
    for fusion in [weighted(0.55), RRF] {
        assert_eq!(order(&fusion, &entries, &[], 3), [4, 1, 9]);
        assert_eq!(order(&fusion, &[], &entries, 3), [4, 1, 9]);
    }
    let nothing = Lists {
        vector: &entries,
        lexical: &[],
        lexical_ceiling: 0.0,
        depth: 3,
    };
    let fused = fuse(&weighted(0.0), &nothing);
    assert!(fused.iter().all(|passage| passage.score.abs() < 1e-12));
    assert_eq!(fused.iter().map(number).collect::<Vec<_>>(), [1, 4, 9]);
}

#[test]
fn guides_lift_what_resembles_them_and_what_is_not_known_is_far() {
    let vector = list(&[(1, 0.9), (2, 0.5), (3, 0.5), (4, 0.2)]);
    let lists = Lists {
        vector: &vector,
        lexical: &[],
        lexical_ceiling: 0.0,
        depth: 4,
    };
    let weights = Weights {
        vector: 1.0,
        feedback: None,
    };
    let feedback = Feedback {
        guides: 1,
        weight: 0.5,
    };
    let fused = fuse(&Fusion::Weighted(weights), &lists);
    let near: Vec<Nearness> = [(1, 0.9, 1.0), (2, 0.5, 0.1), (3, 0.5, 0.8)]
        .map(|(number, to_question, to_guides)| Nearness {
            chunk_id: id(number),
            to_question,
            to_guides,
        })
        .to_vec();
    assert_eq!(follow(&weights, &feedback, fused.clone(), &[]), fused);
    let followed = follow(&weights, &feedback, fused, &near);
    assert_eq!(
        followed.iter().map(number).collect::<Vec<_>>(),
        [1, 3, 2, 4]
    );
    assert!((followed[1].score - (0.5 + 0.5 * 0.8)).abs() < 1e-12);
    assert!((followed[3].score - followed[2].score).abs() < 1e-12);
    assert_eq!(
        followed[1].vector_rank,
        Some(3),
        "ranks are those of the lists"
    );
}

proptest! {
    #[test]
    fn fusion_loses_nothing_repeats_nothing_and_descends_with_ties_to_the_lower_id(
        vector in any_list(1.0),
        lexical in any_list(20.0),
        fusion in any_fusion(),
    ) {
        let lists = Lists { vector: &vector, lexical: &lexical, lexical_ceiling: 20.0, depth: 30 };
        let fused = fuse(&fusion, &lists);
        let expected: BTreeSet<ChunkId> =
            vector.iter().chain(&lexical).map(|hit| hit.chunk_id).collect();
        let found: BTreeSet<ChunkId> = fused.iter().map(|passage| passage.chunk_id).collect();
        prop_assert_eq!(fused.len(), found.len());
        prop_assert_eq!(found, expected);
        let is_sorted = fused.is_sorted_by(|one, next| {
            let by_score = next.score.total_cmp(&one.score);
            by_score.then(one.chunk_id.cmp(&next.chunk_id)).is_lt()
        });
        prop_assert!(is_sorted);
    }

    #[test]
    fn a_better_score_in_a_list_never_costs_a_place(
        vector in any_list(1.0),
        lexical in any_list(20.0),
        weight in 0.0f64..=1.0,
        chosen in any::<prop::sample::Index>(),
        better in 0.0f64..20.0,
    ) {
        prop_assume!(!lexical.is_empty());
        let fusion = weighted(weight);
        let chosen = chosen.index(lexical.len());
        let passage = lexical[chosen].chunk_id.0.as_u128();
        let place = |lexical: &[Scored]| {
            let order = order(&fusion, &vector, lexical, 30);
            order.iter().position(|number| *number == passage)
        };
        let before = place(&lexical);
        let mut lexical = lexical;
        lexical[chosen].score = (lexical[chosen].score + better).min(20.0);
        lexical.sort_by(|a, b| b.score.total_cmp(&a.score));
        prop_assert!(place(&lexical) <= before);
    }

    /// One encoder's cosines lie between 0.1 and 0.7, another's between 0.5 and 0.9.
    #[test]
    fn how_high_cosines_lie_changes_no_order(
        vector in any_list(0.5),
        lexical in any_list(20.0),
        weight in 0.0f64..=1.0,
    ) {
        let higher: Vec<Scored> =
            vector.iter().map(|hit| Scored { score: hit.score + 0.5, ..*hit }).collect();
        let fusion = weighted(weight);
        let ranked = |vector: &[Scored]| {
            let lists = Lists { vector, lexical: &lexical, lexical_ceiling: 20.0, depth: 30 };
            fuse(&fusion, &lists)
        };
        let rise = if vector.is_empty() { 0.0 } else { 0.5 * weight };
        let scores = |fused: Vec<Fused>| -> BTreeMap<ChunkId, f64> {
            fused.iter().map(|passage| (passage.chunk_id, passage.score)).collect()
        };
        let (low, high) = (scores(ranked(&vector)), scores(ranked(&higher)));
        for (chunk_id, score) in low {
            prop_assert!((high[&chunk_id] - score - rise).abs() < 1e-9);
        }
    }

    #[test]
    fn guides_that_are_as_far_from_everything_change_nothing(
        vector in any_list(1.0),
        lexical in any_list(20.0),
        weight in 0.0f64..=1.0,
        distance in -1.0f64..1.0,
    ) {
        prop_assume!(!vector.is_empty());
        let weights = Weights { vector: weight, feedback: None };
        let lists = Lists { vector: &vector, lexical: &lexical, lexical_ceiling: 20.0, depth: 30 };
        let fused = fuse(&Fusion::Weighted(weights), &lists);
        let near: Vec<Nearness> = vector
            .iter()
            .map(|hit| Nearness {
                chunk_id: hit.chunk_id,
                to_question: hit.score,
                to_guides: distance,
            })
            .collect();
        let feedback = Feedback::default();
        let followed = follow(&weights, &feedback, fused.clone(), &near);
        let followed: BTreeMap<ChunkId, f64> =
            followed.iter().map(|passage| (passage.chunk_id, passage.score)).collect();
        for passage in fused {
            let expected = passage.score + weight * feedback.weight * distance;
            prop_assert!((followed[&passage.chunk_id] - expected).abs() < 1e-9);
        }
    }
}
