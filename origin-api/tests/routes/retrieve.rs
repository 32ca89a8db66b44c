//! A search finds what the caller may read, and nothing else.

use crate::{
    database::{MODEL, embedding},
    origin::{Origin, problem},
};
use origin_api::metrics::metrics;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    headers::SERVER_TIMING,
    origin::RetrieveResponse,
    problem::ProblemKind,
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

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
    assert_eq!(found, [PEDAL, WRIST], "found by meaning and by words");
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

/// How often corpora were read into this process's memory.
fn loads(origin: &Origin) -> String {
    let mut registry = Registry::default();
    metrics().register(&mut registry, origin.database.origin.clone());
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with("etude_corpus_loads_total{outcome=\"ok\"}"));
    line.unwrap().to_owned()
}

/// Waits until they were read once more than that.
async fn loaded_since(origin: &Origin, before: &str) {
    let reading = async {
        while loads(origin) == before {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), reading).await.unwrap();
}

#[tokio::test]
async fn what_was_searched_before_is_searched_in_memory_until_it_changes() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    let texts = [WRIST, PEDAL];
    origin
        .database
        .ready(&teacher, Visibility::Private, &texts)
        .await;
    let asked = json!({
        "query": "wrist",
        "embedding": embedding(PEDAL),
        "embedding_model": MODEL,
    });
    let before = loads(&origin);
    assert_eq!(contents(&origin, &student, &asked).await, [PEDAL, WRIST]);
    loaded_since(&origin, &before).await;

    // Nobody reads postings now, and nobody needs to.
    let mut held_up = origin.database.owner.begin().await.unwrap();
    sqlx::query("lock table document_postings in access exclusive mode")
        .execute(&mut *held_up)
        .await
        .unwrap();
    assert_eq!(contents(&origin, &student, &asked).await, [PEDAL, WRIST]);
    assert_eq!(contents(&origin, &teacher, &asked).await, [PEDAL, WRIST]);
    held_up.rollback().await.unwrap();

    let curated = json!({"question": "wrist", "answer": "Level, like a table."});
    let written = origin.post(&teacher, "/v1/curated-answers", &curated).await;
    assert_eq!(written.status(), 200);
    let before = loads(&origin);
    for _ in ["by SQL, since there is a new version", "in memory"] {
        let response = origin.post(&student, "/v1/retrieve", &asked).await;
        let found: RetrieveResponse = response.json().await.unwrap();
        assert!(found.curated.is_some(), "her teacher's own words");
        loaded_since(&origin, &before).await;
    }
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
    for (filters, says) in [
        (json!({"first_page": 0}), "Pages count from 1"),
        (json!({"uploaded_before_s": 0}), "seconds since 1970"),
        (json!({"owner": "me"}), "unknown field"),
    ] {
        let mut body = search("legato", 0);
        body["filters"] = filters;
        let refused = origin.post(&student, "/v1/retrieve", &body).await;
        let detail = problem(refused, ProblemKind::BodyInvalid).await.detail;
        assert!(detail.unwrap().contains(says), "{says}");
    }
}

#[tokio::test]
async fn a_search_can_be_narrowed_to_an_owner_to_pages_and_to_a_time() {
    let origin = Origin::start().await;
    let (first, second) = (
        origin.database.person(Role::Teacher).await,
        origin.database.person(Role::Teacher).await,
    );
    let public = Visibility::Public;
    origin.database.ready(&first, public, &[WRIST, PEDAL]).await;
    let texts = ["Another wrist.", "Another pedal."];
    let later = origin.database.ready(&second, public, &texts).await;
    sqlx::query("update knowledge_base_docs set created_at = to_timestamp($2) where id = $1")
        .bind(later.0)
        .bind(4_000_000_000_f64)
        .execute(&origin.database.owner)
        .await
        .unwrap();
    let student = origin.database.person(Role::Student).await;
    for (filters, expected) in [
        (json!({"owner_ids": [second.sub]}), &texts[..]),
        (json!({"first_page": 2}), &[PEDAL, texts[1]]),
        (json!({"owner_ids": [first.sub], "last_page": 1}), &[WRIST]),
        (json!({"uploaded_from_s": 4_000_000_000_i64}), &texts),
        (
            json!({"uploaded_before_s": 4_000_000_000_i64}),
            &[WRIST, PEDAL],
        ),
        (json!({"owner_ids": [student.sub]}), &[]),
    ] {
        let search = json!({
            "query": "wrist or pedal",
            "embedding": embedding(PEDAL),
            "embedding_model": MODEL,
            "filters": filters,
        });
        let mut found = contents(&origin, &student, &search).await;
        found.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filters}");
    }
}

#[tokio::test]
async fn copies_do_not_crowd_out_what_else_there_is() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let copies = vec![WRIST; 90];
    let others: Vec<String> = (0..25)
        .map(|n| format!("Exercise {n}: wrist and arm, {n} times {n} a day, slowly."))
        .collect();
    let texts: Vec<&str> = copies
        .into_iter()
        .chain(others.iter().map(String::as_str))
        .collect();
    origin
        .database
        .ready(&teacher, Visibility::Public, &texts)
        .await;
    for embedding in [json!(embedding(WRIST)), Value::Null] {
        let search = json!({
            "query": "keep the wrist level in scales",
            "embedding": embedding,
            "embedding_model": MODEL,
        });
        let found = contents(&origin, &student, &search).await;
        assert_eq!(found[0], WRIST);
        assert!(found[1..].iter().all(|text| others.contains(text)));
        assert!(found.len() > 10, "{}", found.len());
    }
}

#[tokio::test]
async fn no_question_however_odd_is_an_error() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    origin
        .database
        .ready(&teacher, Visibility::Private, &[WRIST, PEDAL])
        .await;
    let (long, endless) = ("wrist ".repeat(333), "a".repeat(2_000));
    for query in [
        "the and of with is to",
        long.as_str(),
        endless.as_str(),
        "🎹🎶 👩🏽‍🏫",
        "'; drop table document_chunks; --",
        "$1 %s \\x00 \u{0} ' or 1=1 /*",
        "легато",
        "عزف البيانو",
        "ピアノの練習",
        "!!wrist:* & <->",
    ] {
        for embedding in [json!(embedding(query)), Value::Null] {
            let is_by_meaning = !embedding.is_null();
            let search = json!({"query": query, "embedding": embedding, "embedding_model": MODEL});
            let found = contents(&origin, &teacher, &search).await;
            let expected = match (is_by_meaning, query.contains("wrist")) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
            assert_eq!(found.len(), expected, "{query}");
        }
    }
}
