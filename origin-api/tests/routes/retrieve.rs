//! A search finds what the caller may read, and nothing else.

use crate::{
    database::{MODEL, embedding},
    origin::{Origin, problem},
};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    headers::SERVER_TIMING,
    origin::RetrieveResponse,
    problem::ProblemKind,
};

const WRIST: &str = "Keep the wrist level when you play scales.";
const PEDAL: &str = "Change the pedal after the chord has sounded.";

async fn contents(origin: &Origin, person: &AccessClaims, body: &Value) -> Vec<String> {
    let response = origin.post(person, "/v1/retrieve", body).await;
    assert_eq!(response.status(), 200);
    let timing = response.headers()[SERVER_TIMING].to_str().unwrap();
    assert!(timing.starts_with("sql;dur="), "{timing}");
    let found: RetrieveResponse = response.json().await.unwrap();
    found.passages.into_iter().map(|p| p.content).collect()
}

#[tokio::test]
async fn a_student_finds_her_teachers_passages_and_a_stranger_does_not() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let stranger = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    let document = origin
        .database
        .ready(&teacher, Visibility::Private, &[WRIST, PEDAL])
        .await;

    let near_the_pedal = json!({
        "query": "wrist",
        "embedding": embedding(PEDAL),
        "embedding_model": MODEL,
    });
    let found = contents(&origin, &student, &near_the_pedal).await;
    assert_eq!(found, [WRIST, PEDAL], "found by words and by meaning");
    assert!(
        contents(&origin, &stranger, &near_the_pedal)
            .await
            .is_empty()
    );

    let by_words = json!({"query": "wrist", "embedding": null, "embedding_model": MODEL});
    assert_eq!(contents(&origin, &student, &by_words).await, [WRIST]);

    let mut narrowed = near_the_pedal.clone();
    narrowed["filters"] = json!({"document_ids": [document]});
    assert_eq!(contents(&origin, &student, &narrowed).await.len(), 2);
    narrowed["filters"] = json!({"document_ids": ["00000000-0000-0000-0000-0000000fffff"]});
    assert!(contents(&origin, &student, &narrowed).await.is_empty());
}

#[tokio::test]
async fn a_search_that_asks_too_much_is_refused() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let search = |query: &str, documents: usize| {
        let ids = vec!["00000000-0000-0000-0000-000000000007"; documents];
        json!({
            "query": query,
            "embedding": null,
            "embedding_model": MODEL,
            "filters": {"document_ids": ids},
        })
    };
    for (body, kind) in [
        (search(" ", 0), ProblemKind::QueryInvalid),
        (search(&"a".repeat(2_001), 0), ProblemKind::QueryInvalid),
        (search("legato", 51), ProblemKind::BodyInvalid),
    ] {
        problem(origin.post(&student, "/v1/retrieve", &body).await, kind).await;
    }
}
