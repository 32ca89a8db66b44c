//! One list of two: the second look at the candidates, now that the first passages are known.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rag_core::fusion::{Feedback, Fusion, Weights};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::Visibility,
    embedding::Embedding,
    ids::ChunkId,
};
use std::collections::BTreeMap;
use storage::search::{self, Found, SearchRequest, SearchSettings};
use support::{Database, MODEL, embedding};

const TEXTS: [&str; 6] = [
    "The wrist is level.",
    "A level wrist is free to move.",
    "The elbow stays quiet.",
    "Fingers curve, and the wrist is loose.",
    "The thumb is short.",
    "Sit on the front half of the bench.",
];
const QUESTION: &str = "level wrist";
const FEEDBACK: Feedback = Feedback {
    guides: 2,
    weight: 0.5,
};

fn settings(vector: f64, feedback: Option<Feedback>) -> SearchSettings {
    SearchSettings {
        fusion: Fusion::Weighted(Weights { vector, feedback }),
        ..SearchSettings::default()
    }
}

async fn ask(
    db: &Database,
    person: &AccessClaims,
    embedding_model: &str,
    settings: &SearchSettings,
) -> Found {
    let request = SearchRequest {
        query: QUESTION,
        embedding: Some(&embedding(QUESTION)),
        embedding_model,
    };
    let mut tx = db.reader(person).await;
    let readable = search::readable(&mut tx).await.unwrap();
    search::fused(
        &mut tx,
        readable,
        &request,
        &SearchFilters::default(),
        settings,
    )
    .await
    .unwrap()
}

fn order(found: &Found) -> Vec<ChunkId> {
    found.fused.iter().map(|passage| passage.chunk_id).collect()
}

fn cosine(a: &Embedding, b: &Embedding) -> f64 {
    let dot = |a: &Embedding, b: &Embedding| -> f64 {
        let products = a.as_slice().iter().zip(b.as_slice());
        products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

async fn texts(db: &Database) -> BTreeMap<ChunkId, String> {
    let rows: Vec<(uuid::Uuid, String)> = sqlx::query_as("select id, content from document_chunks")
        .fetch_all(&db.owner)
        .await
        .unwrap();
    rows.into_iter()
        .map(|(id, text)| (ChunkId(id), text))
        .collect()
}

#[tokio::test]
async fn the_score_is_cosine_to_the_moved_question_and_share_of_the_words() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Private, &TEXTS).await;
    let texts = texts(&db).await;

    let first = ask(&db, &teacher, MODEL, &settings(0.6, None)).await;
    let found = ask(&db, &teacher, MODEL, &settings(0.6, Some(FEEDBACK))).await;

    let question = embedding(QUESTION);
    let guides: Vec<Embedding> = order(&first)[..2]
        .iter()
        .map(|id| embedding(&texts[id]))
        .collect();
    assert_eq!(found.fused.len(), TEXTS.len());
    for passage in &found.fused {
        let vector = embedding(&texts[&passage.chunk_id]);
        let [first, second] = [0, 1].map(|guide| cosine(&vector, &guides[guide]));
        let to_guides = f64::midpoint(first, second);
        let bm25 = passage
            .lexical_rank
            .map_or(0.0, |rank| found.lists.lexical[rank as usize - 1].score);
        let expected = 0.6 * (cosine(&vector, &question) + 0.5 * to_guides)
            + 0.4 * bm25 / found.lists.lexical_ceiling;
        // The database keeps half the digits of a component.
        assert!(
            (passage.score - expected).abs() < 1e-3,
            "{passage:?} {expected}"
        );
    }
    assert!(found.fused.is_sorted_by(|a, b| a.score >= b.score));
    assert!(
        found
            .fused
            .iter()
            .any(|passage| passage.lexical_rank.is_none())
    );
}

#[tokio::test]
async fn nobody_elses_passage_guides_a_search_or_changes_a_score() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let stranger = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Private, &TEXTS).await;
    let settings = settings(0.55, Some(FEEDBACK));
    let before = ask(&db, &teacher, MODEL, &settings).await;

    // The stranger's passages would be the best of all.
    db.ready(
        &stranger,
        Visibility::Private,
        &[QUESTION, QUESTION, "wrist wrist"],
    )
    .await;

    assert_eq!(ask(&db, &teacher, MODEL, &settings).await, before);
    assert_eq!(ask(&db, &stranger, MODEL, &settings).await.fused.len(), 3);
}

#[tokio::test]
async fn where_no_vector_can_be_compared_the_words_decide() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Private, &TEXTS).await;
    let settings = settings(0.55, Some(FEEDBACK));

    let found = ask(&db, &teacher, "@another/model#cls", &settings).await;

    assert_eq!(found.lists.vector, []);
    let by_words: Vec<ChunkId> = found.lists.lexical.iter().map(|hit| hit.chunk_id).collect();
    assert_eq!(by_words.len(), 3);
    assert_eq!(order(&found), by_words);
}
