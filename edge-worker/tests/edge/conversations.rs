//! Questions in a conversation: understood before anything is looked up, written down after they were answered.

use crate::support::{
    Edge, Failure, Received, StreamFault,
    library::{FIRST_STUDENT, Library},
};
use http::Method;
use serde_json::{Value, json};
use shared_types::{
    chat::CacheOutcome,
    conversation::Answered,
    problem::{Problem, ProblemKind},
};
use uuid::Uuid;

const SESSION: Uuid = Uuid::from_u128(77);
const TURN: &str = "/v1/chat/sessions/00000000-0000-0000-0000-00000000004d/messages";

async fn ask(edge: &Edge, question: &str) -> Received {
    let body = json!({ "query": question, "session_id": SESSION }).to_string();
    edge.send(edge.signed_in(FIRST_STUDENT, Method::POST, "/api/chat/query", &body))
        .await
}

fn edge() -> Edge {
    Edge::new(Library::of_two_teachers())
}

/// What was written down.
fn written(edge: &Edge) -> Vec<Answered> {
    edge.world.written.borrow_mut().drain(..).collect()
}

#[tokio::test]
async fn the_caches_and_the_search_see_the_question_as_it_is_understood() {
    let edge = edge();
    edge.world
        .rewritten
        .replace(Some("How fast are scales?".to_owned()));
    let told = ask(&edge, "And how fast?").await;
    assert!(told.is_done());
    let turn = told.meta().turn.unwrap();
    assert_eq!(
        (&*turn.question, turn.is_rewritten, turn.session_id.0),
        ("How fast are scales?", true, SESSION)
    );
    assert_eq!(*edge.world.embedded.borrow(), ["how fast are scales?"]);
    let calls = edge.calls();
    let place = |call: &str| calls.iter().position(|known| known == call);
    assert!(place(TURN) < place("/v1/scope"), "{calls:?}");

    // Whoever asks it outright is answered from the same place.
    let outright = edge.ask(FIRST_STUDENT, "how fast are SCALES?").await;
    assert_eq!(outright.meta().cache.answer, CacheOutcome::Hit);
    assert_eq!(outright.meta().turn, None);
}

#[tokio::test]
async fn an_answer_is_written_down_whether_it_is_new_or_kept() {
    let edge = edge();
    let mut texts = Vec::new();
    for outcome in [CacheOutcome::Miss, CacheOutcome::Hit] {
        let told = ask(&edge, "How fast are scales?").await;
        assert_eq!(told.meta().cache.answer, outcome);
        let written = written(&edge);
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].sources, told.meta().sources);
        texts.push(written[0].answer.clone());
    }
    assert_eq!(texts[0], texts[1]);
    let mut wants_json = edge.question(FIRST_STUDENT, "");
    wants_json.headers.accept = Some("application/json".to_owned());
    wants_json.body = json!({ "query": "How fast are scales?", "session_id": SESSION })
        .to_string()
        .into();
    let told = edge.send(wants_json).await.answer();
    assert_eq!(told.turn.unwrap().session_id.0, SESSION);
    assert_eq!(written(&edge).len(), 1);
}

#[tokio::test]
async fn outside_of_conversations_nothing_is_written_down() {
    let edge = edge();
    edge.ask(FIRST_STUDENT, "How fast are scales?").await;
    assert!(edge.calls().iter().all(|call| !call.contains("/v1/chat/")));
    assert!(written(&edge).is_empty());
}

#[tokio::test]
async fn an_answer_that_broke_off_is_not_written_down() {
    let edge = edge();
    edge.break_(|faults| faults.stream = Some(StreamFault::EndsAfter(40)));
    let broken = ask(&edge, "How fast are scales?").await;
    assert!(broken.final_problem().is_some());
    assert!(written(&edge).is_empty());
}

#[tokio::test]
async fn an_answer_that_can_not_be_written_down_is_told_all_the_same_and_tried_again() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = edge();
        edge.break_(|faults| faults.writing = Some(failure));
        assert!(ask(&edge, "How fast are scales?").await.is_done());
        let tried = edge.calls();
        let tried = tried.iter().filter(|call| call.ends_with("/answer"));
        // One of them asks for the answer.
        assert_eq!(tried.count(), 4, "{failure:?}");
        let log = edge.world.logged.borrow().join("\n");
        assert!(log.contains("answer not written down"), "{log}");
        assert!(!log.contains("fast"), "{log}");
    }
}

#[tokio::test]
async fn whose_conversation_it_is_and_whether_it_is_full_the_origin_says() {
    for kind in [ProblemKind::NotFound, ProblemKind::Conflict] {
        let edge = edge();
        edge.break_(|faults| faults.refusal(TURN, Problem::new(kind)));
        assert!(ask(&edge, "How fast are scales?").await.problem().is(kind));
        assert!(!edge.calls().iter().any(|call| call == "/v1/scope"));
    }
}

#[tokio::test]
async fn what_can_not_be_asked_takes_no_place() {
    let edge = edge();
    for question in ["", "   ", &"a".repeat(2_001)] {
        let refused = ask(&edge, question).await.problem();
        assert!(refused.is(ProblemKind::QueryInvalid));
    }
    let body = json!({ "query": "Scales?", "session_id": "mine" }).to_string();
    let sent = edge.signed_in(FIRST_STUDENT, Method::POST, "/api/chat/query", &body);
    assert!(edge.send(sent).await.problem().is(ProblemKind::BodyInvalid));
    assert!(!edge.calls().iter().any(|call| call == TURN));
}

#[tokio::test]
async fn conversations_themselves_are_the_origins_matter() {
    let edge = edge();
    let path = format!("/api/chat/sessions/{SESSION}/messages");
    let list = edge.signed_in(FIRST_STUDENT, Method::GET, &path, "");
    let reply: Value = serde_json::from_str(&edge.send(list).await.body).unwrap();
    assert_eq!(reply["path"], TURN);
    // Questions are asked at one place alone, and answers are nobody's to write.
    let asked = edge.signed_in(FIRST_STUDENT, Method::POST, &path, "{}");
    assert_eq!(edge.send(asked).await.status, 405);
    let path = format!("/api/chat/messages/{SESSION}/answer");
    let forged = edge.signed_in(FIRST_STUDENT, Method::PUT, &path, "{}");
    assert_eq!(edge.send(forged).await.status, 404);
}
