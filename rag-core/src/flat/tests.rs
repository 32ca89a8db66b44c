use super::*;
use proptest::{prelude::*, sample::SizeRange};
use uuid::Uuid;

/// Passages around a few topics, as those of a library are: `(topic, what is the passage's own)` each.
fn passages(count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Vec<f32>>> {
    let passage = (0..5_u64, any::<u64>()).prop_map(|(topic, own)| around(topic, own));
    prop::collection::vec(passage, count)
}

fn around(topic: u64, own: u64) -> Vec<f32> {
    let of_topic = noise(topic);
    let own = noise(own.wrapping_add(1_000));
    of_topic
        .zip(own)
        .map(|(topic, own)| topic + 0.7 * own)
        .collect()
}

/// Numbers between -1 and 1 without a pattern.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..DIMENSIONS).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    })
}

fn document_id(number: usize) -> DocumentId {
    DocumentId(Uuid::from_u128(number as u128))
}

/// The number that [`library`] gave a passage.
fn number(near: &Near) -> usize {
    near.chunk_id.0.as_u128() as usize
}

/// The passages in documents of seven, with ascending ids.
fn library(passages: &[Vec<f32>]) -> Vec<(DocumentId, Vectors)> {
    let documents = passages.chunks(7).enumerate();
    let documents = documents.map(|(document, passages)| {
        let mut vectors = Vectors::default();
        for (index, passage) in passages.iter().enumerate() {
            let id = (document * 7 + index) as u128;
            vectors.push(ChunkId(Uuid::from_u128(id)), passage);
        }
        (document_id(document), vectors)
    });
    documents.collect()
}

fn ask(
    library: &[(DocumentId, Vectors)],
    question: &[f32],
    candidates: usize,
    depth: usize,
) -> Vec<Near> {
    let question = Question::from(&Embedding::new(question.to_vec()).unwrap());
    let documents = library.iter().map(|(id, vectors)| (*id, vectors));
    nearest(documents, &question, candidates, depth)
}

/// By how much a distance may differ for the rounding of components: eight standard deviations. Each of the 2 × 768 is off by
/// at most half a unit, evenly, which is 1.25e-5 for the whole; at four, one distance in 16,000 is.
const ROUNDING: f64 = 1e-4;

/// The vector at length 1, its components rounded to whole units.
fn rounded(vector: &[f32]) -> Vec<f64> {
    let vector = vector.iter().map(|component| f64::from(*component));
    let length = vector.clone().map(|it| it * it).sum::<f64>().sqrt();
    vector
        .map(|it| (it / length * UNITS).round() / UNITS)
        .collect()
}

/// Of what is left by rounding, exactly.
fn rounded_distance(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (rounded(a), rounded(b));
    1.0 - a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    1.0 - product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn with_room_for_all_of_them_every_passage_is_compared_and_the_nearest_come_first(
        passages in passages(0..60), question in any::<u64>(), depth in 0..80_usize,
    ) {
        let question = around(question % 5, question);
        let near = ask(&library(&passages), &question, passages.len(), depth);
        prop_assert_eq!(near.len(), depth.min(passages.len()));
        for found in &near {
            let passage = &passages[number(found)];
            let of_rounded = rounded_distance(passage, &question);
            prop_assert!((found.distance - of_rounded).abs() < 1e-9);
            prop_assert!((found.distance - distance(passage, &question)).abs() < ROUNDING);
        }
        prop_assert!(near.is_sorted_by(|a, b| (a.distance, a.chunk_id) < (b.distance, b.chunk_id)));
        let mut exact: Vec<f64> = passages.iter().map(|passage| distance(passage, &question)).collect();
        exact.sort_by(f64::total_cmp);
        for (found, exact) in near.iter().zip(exact) {
            prop_assert!((found.distance - exact).abs() < ROUNDING);
        }
    }

    #[test]
    fn what_is_found_says_where_it_stands(passages in passages(1..60)) {
        let library = library(&passages);
        for found in ask(&library, &passages[0], passages.len(), 10) {
            let (id, vectors) = &library[number(&found) / 7];
            prop_assert_eq!(found.place.document_id, *id);
            prop_assert_eq!(vectors.id(found.place.chunk_index as usize), Some(found.chunk_id));
        }
    }

    #[test]
    fn so_many_candidates_are_compared_and_no_more(
        passages in passages(0..60), candidates in 0..80_usize,
    ) {
        let near = ask(&library(&passages), &around(0, 7), candidates, 100);
        prop_assert_eq!(near.len(), candidates.min(passages.len()));
    }
}

#[test]
fn few_candidates_hold_nearly_all_of_the_nearest() {
    let passages: Vec<Vec<f32>> = (0..3_000).map(|own| around(own % 50, own)).collect();
    let library = library(&passages);
    let mut hits = 0;
    for asked in 0..50 {
        let question = around(asked, asked + 10_000);
        let numbers = |candidates| -> Vec<usize> {
            let near = ask(&library, &question, candidates, 20);
            near.iter().map(number).collect()
        };
        let (exact, found) = (numbers(passages.len()), numbers(150));
        hits += exact.iter().filter(|number| found.contains(number)).count();
    }
    assert!(hits >= 990, "{hits} of 1000");
}

#[test]
fn copies_take_the_room_of_candidates_in_their_order() {
    let copies = vec![around(1, 1); 30];
    let near = ask(&library(&copies), &around(1, 1), 10, 5);
    let numbers: Vec<usize> = near.iter().map(number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[test]
fn a_vector_without_direction_is_as_far_from_any_other_as_one_at_a_right_angle() {
    let library = library(&[vec![0.0; DIMENSIONS], around(1, 1)]);
    let near = ask(&library, &around(1, 2), 10, 10);
    let nothing = near.iter().find(|found| number(found) == 0).unwrap();
    assert!((nothing.distance - 1.0).abs() < 1e-9);
    assert_eq!(ask(&library, &vec![0.0; DIMENSIONS], 10, 10).len(), 2);
}

#[test]
fn no_vector_is_too_long_or_too_short() {
    let long: Vec<f32> = around(1, 1)
        .iter()
        .map(|component| component * 1e30)
        .collect();
    let short: Vec<f32> = around(1, 1)
        .iter()
        .map(|component| component * 1e-12)
        .collect();
    let mut one_sided = vec![0.0; DIMENSIONS];
    one_sided[5] = -3.0;
    let library = library(&[long, short, one_sided.clone()]);
    for found in &ask(&library, &around(1, 1), 10, 2) {
        assert!(found.distance.abs() < 1e-4, "{found:?}");
    }
    assert!(ask(&library, &one_sided, 10, 1)[0].distance.abs() < 1e-9);
}
