//! The encoders against the reference implementation's numbers, and the reranker's calibration.

use crate::running::models_dir;
use local_cloud::workers_ai::{Embedder, EncoderModel, Lanes, rerank};
use shared_types::workers_ai::{RerankContext, RerankInput};
use std::sync::Arc;

const PAIRS: [(&str, &str); 6] = [
    (
        "How do I relax my wrist while playing octaves?",
        "Keep the wrist loose when you play octaves: let the hand drop and rebound rather than locking the forearm.",
    ),
    (
        "What is legato pedalling?",
        "In syncopated or legato pedalling the foot lifts as the new chord is struck and presses again just after it sounds.",
    ),
    (
        "Which fingering should I use for the C major scale?",
        "The right hand plays C major with thumb, second and third finger, then passes the thumb under to F.",
    ),
    (
        "How can I memorise a piece?",
        "Memorise music in small sections and test yourself by starting from any section without the score.",
    ),
    (
        "How long should a beginner practise each day?",
        "Beginners profit more from fifteen minutes of practice every day than from two hours once a week.",
    ),
    (
        "What is rubato?",
        "Rubato is a flexible tempo in which time taken from one note is given back to another.",
    ),
];
const UNRELATED: [&str; 3] = [
    "The invoice is payable within thirty days of receipt.",
    "Preheat the oven and knead the sourdough for ten minutes.",
    "Photosynthesis converts sunlight into chemical energy in plants.",
];

/// The models to test: MiniLM always, mpnet where its weights were fetched.
fn models() -> Vec<EncoderModel> {
    let mpnet = models_dir().join("mpnet/model.safetensors").exists();
    let all = [EncoderModel::MiniLm, EncoderModel::Mpnet];
    all.into_iter()
        .filter(|model| *model == EncoderModel::MiniLm || mpnet)
        .collect()
}

fn embedder(model: EncoderModel) -> Embedder {
    Embedder::new(model, &models_dir(), None, Arc::new(Lanes::default()))
}

async fn vectors(embedder: &Embedder, texts: &[&str]) -> Vec<Vec<f32>> {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    embedder
        .embed(&texts)
        .await
        .unwrap()
        .into_iter()
        .map(Into::into)
        .collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The first components that sentence-transformers yields for this sentence.
#[tokio::test]
async fn vectors_equal_those_of_the_reference_implementation() {
    for model in models() {
        let expected = match model {
            EncoderModel::MiniLm => [
                0.067_657, 0.063_496, 0.048_713, 0.079_305, 0.037_448, 0.002_653,
            ],
            EncoderModel::Mpnet => [
                0.022_503, -0.078_292, -0.023_031, -0.005_100, -0.080_340, 0.039_132,
            ],
        };
        let embedder = embedder(model);
        let found = &vectors(&embedder, &["This is an example sentence"]).await[0];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{model:?}: {found} is not {expected}"
            );
        }
        assert!((cosine(found, found) - 1.0).abs() < 1e-5);
    }
}

#[tokio::test]
async fn neighbours_in_a_batch_do_not_change_a_vector() {
    let embedder = embedder(EncoderModel::MiniLm);
    let alone = vectors(&embedder, &["Sit tall."]).await;
    let together = vectors(&embedder, &["Sit tall.", PAIRS[0].1, PAIRS[1].1]).await;
    assert!(cosine(&alone[0], &together[0]) > 0.99999);
}

#[tokio::test]
async fn a_question_is_nearer_to_its_answer_than_to_anything_unrelated() {
    for model in models() {
        let embedder = embedder(model);
        let unrelated = vectors(&embedder, &UNRELATED).await;
        for (question, answer) in PAIRS {
            let pair = vectors(&embedder, &[question, answer]).await;
            let near = cosine(&pair[0], &pair[1]);
            assert!(near > 0.37, "{model:?}: {question}: {near}");
            for other in &unrelated {
                let far = cosine(&pair[0], other);
                assert!(far < 0.22, "{model:?}: {question}: {far}");
            }
        }
    }
}

#[tokio::test]
async fn the_reranker_is_calibrated_for_either_encoder() {
    for model in models() {
        let embedder = embedder(model);
        for (question, answer) in PAIRS {
            let texts = [[answer].as_slice(), &UNRELATED].concat();
            let contexts = texts.iter().map(|text| RerankContext {
                text: text.to_string(),
            });
            let contexts = contexts.collect();
            let input = RerankInput {
                query: question.to_lowercase(),
                contexts,
                top_k: None,
            };
            for judgement in rerank(&input, &embedder).await.unwrap().response {
                let relevance = 1.0 / (1.0 + (-judgement.score).exp());
                let fits = if judgement.id == 0 {
                    relevance > 0.6
                } else {
                    relevance < 0.2
                };
                assert!(
                    fits,
                    "{model:?}: {question}: context {}: {relevance}",
                    judgement.id
                );
            }
        }
    }
}
