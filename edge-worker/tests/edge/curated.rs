//! Answers of a teacher's own: they win over the library.

use crate::support::{
    Edge, Received,
    library::{FIRST_STUDENT, Library},
};
use edge_worker::ports::Layer;
use http::Method;
use serde_json::json;
use shared_types::{
    chat::CacheOutcome,
    event::{AnswerEvent, Done},
    ids::CuratedAnswerId,
};
use uuid::Uuid;

const TEACHER: Uuid = Uuid::from_u128(0x7E);
const CURATED: CuratedAnswerId = CuratedAnswerId(Uuid::from_u128(0xC0));

fn done(received: &Received) -> Done {
    match received.events().pop() {
        Some(AnswerEvent::Done(done)) => done,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_teachers_own_answer_is_told_under_her_name_and_kept_like_any() {
    let edge = Edge::new(Library::of_two_teachers());
    let before = edge.ask(FIRST_STUDENT, "How fast are scales?").await;
    assert_eq!(done(&before).curated_by, None);

    edge.world.library.curate(FIRST_STUDENT, Some(CURATED));
    edge.wait_s(61);
    for outcome in [CacheOutcome::Miss, CacheOutcome::Hit] {
        let told = edge.ask(FIRST_STUDENT, "How fast are scales?").await;
        assert!(told.body.contains("In my studio"), "{}", told.body);
        assert_eq!(told.meta().cache.answer, outcome);
        assert_ne!(told.meta().answer_id, before.meta().answer_id);
        assert_eq!(told.meta().sources, []);
        let by = done(&told).curated_by.unwrap();
        assert_eq!((by.id, &*by.teacher_name), (CURATED, "A. Teacher"));
    }
    let json = edge
        .ask_json(FIRST_STUDENT, "How fast are scales?")
        .await
        .answer();
    assert_eq!(json.curated_by.unwrap().id, CURATED);
    assert_eq!(json.citations, []);

    // Taken back, the library answers again.
    edge.world.library.curate(FIRST_STUDENT, None);
    edge.wait_s(61);
    let after = edge.ask(FIRST_STUDENT, "How fast are scales?").await;
    assert_eq!(done(&after).curated_by, None);
    assert_eq!(after.meta().answer_id, before.meta().answer_id);
}

#[tokio::test]
async fn an_answer_of_ones_own_is_the_origins_matter_and_found_at_once() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, "How fast are scales?").await;
    assert_eq!(edge.kept(Layer::Scope), 1);
    let body = json!({ "question": "How fast are scales?", "answer": "Slowly." }).to_string();
    let path = "/api/curated-answers";
    let kept = edge
        .send(edge.signed_in(TEACHER, Method::POST, path, &body))
        .await;
    assert_eq!((kept.status, &*kept.body), (200, "{\"kept\":true}"));
    assert_eq!(edge.kept(Layer::Scope), 0);
}
