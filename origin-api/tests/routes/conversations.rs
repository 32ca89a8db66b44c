//! Conversations over HTTP: begun, gone on with, written down, found again.

use crate::{
    clouds::Reply,
    origin::{Origin, problem},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    conversation::{ChatSession, MessageList, MessageReply, SessionList, Turn},
    problem::ProblemKind,
};

const SESSIONS: &str = "/v1/chat/sessions";
const FOLLOW_UP: &str = "And for the left hand?";

/// The model says this and ends.
fn says(text: &str) -> Reply {
    let text = json!({ "type": "text_delta", "text": text });
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    Reply::Stream(
        [
            event(
                "message_start",
                json!({ "type": "message_start", "message": { "usage": { "input_tokens": 9, "output_tokens": 1 } } }),
            ),
            event(
                "content_block_start",
                json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            ),
            event(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 0, "delta": text }),
            ),
            event("content_block_stop", json!({ "type": "content_block_stop", "index": 0 })),
            event(
                "message_delta",
                json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 9 } }),
            ),
            event("message_stop", json!({ "type": "message_stop" })),
        ]
        .concat(),
    )
}

async fn begin(origin: &Origin, who: &AccessClaims) -> ChatSession {
    let response = origin.post(who, SESSIONS, &json!({})).await;
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let session: ChatSession = response.json().await.unwrap();
    assert_eq!(location, format!("{SESSIONS}/{}", session.id));
    session
}

async fn ask(origin: &Origin, who: &AccessClaims, path: &str, query: &str) -> Response {
    origin.post(who, path, &json!({ "query": query })).await
}

async fn turn(response: Response) -> Turn {
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_follow_up_is_put_into_other_words_by_the_model() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let session = begin(&origin, &student).await;
    let path = format!("{SESSIONS}/{}/messages", session.id);
    let first = turn(ask(&origin, &student, &path, "How do I practise thirds?").await).await;
    assert!(!first.is_rewritten);
    assert!(origin.clouds.inside().model_calls.is_empty());

    origin
        .clouds
        .will(says("How do I practise thirds with the left hand?"));
    let second = turn(ask(&origin, &student, &path, FOLLOW_UP).await).await;
    assert_eq!(
        (&*second.question, second.is_rewritten),
        ("How do I practise thirds with the left hand?", true)
    );
    let call = origin.clouds.inside().model_calls[0].clone();
    let told = call["messages"][0]["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("1. How do I practise thirds?"), "{told}");

    // A model that is out, slow or chatty stops nobody.
    for reply in [
        Reply::Status(400, &[]),
        Reply::Silence,
        says("Slowly.\nVery slowly."),
    ] {
        origin.clouds.will(reply);
        let third = turn(ask(&origin, &student, &path, "And why?").await).await;
        assert!(third.question.ends_with("? And why?"), "{}", third.question);
    }

    let listed = origin.get(&student, &path).await;
    let listed: MessageList = listed.json().await.unwrap();
    let asked: Vec<&str> = listed.messages.iter().map(|m| m.asked.as_str()).collect();
    assert_eq!(asked[3..], [FOLLOW_UP, "How do I practise thirds?"]);
    let sessions = origin.get(&student, SESSIONS).await;
    let sessions: SessionList = sessions.json().await.unwrap();
    assert_eq!(sessions.sessions[0].title, "How do I practise thirds?");
}

#[tokio::test]
async fn a_model_is_not_asked_where_that_is_switched_off() {
    let origin = Origin::start_with(&[("FOLLOW_UPS", "joined")]).await;
    let student = origin.database.person(Role::Student).await;
    let session = begin(&origin, &student).await;
    let path = format!("{SESSIONS}/{}/messages", session.id);
    ask(&origin, &student, &path, "How do I practise thirds?").await;
    let joined = turn(ask(&origin, &student, &path, FOLLOW_UP).await).await;
    assert_eq!(
        joined.question,
        format!("How do I practise thirds? {FOLLOW_UP}")
    );
    assert!(origin.clouds.inside().model_calls.is_empty());
}

#[tokio::test]
async fn an_answer_is_written_down_by_whoever_asked_and_once() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let other = origin.database.person(Role::Student).await;
    let session = begin(&origin, &student).await;
    let path = format!("{SESSIONS}/{}/messages", session.id);
    let asked = turn(ask(&origin, &student, &path, "What is legato?").await).await;
    let place = format!("/v1/chat/messages/{}/answer", asked.message_id);
    // Longer than any other body may be.
    let text = "Joined. ".repeat(12_000);
    let answered = json!({
        "answer": {
            "pieces": [{ "text": text }], "confidence": 0.1, "finish_reason": "not-covered",
            "usage": { "input_tokens": 0, "output_tokens": 0 },
        },
        "sources": [],
    });
    let put = async |who: &AccessClaims| {
        let request = origin.by(who, Method::PUT, &place).json(&answered);
        request.send().await.unwrap()
    };
    problem(put(&other).await, ProblemKind::NotFound).await;
    assert_eq!(put(&student).await.status(), 204);
    problem(put(&student).await, ProblemKind::NotFound).await;
    let listed: MessageList = origin.get(&student, &path).await.json().await.unwrap();
    let MessageReply::Answered { answer } = &listed.messages[0].reply else {
        panic!("{listed:?}");
    };
    assert_eq!(answer.text, text);
    problem(origin.get(&other, &path).await, ProblemKind::NotFound).await;
}

#[tokio::test]
async fn who_was_cut_off_from_an_answer_comes_back_to_the_same_question_and_others_ask_anew() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let session = begin(&origin, &student).await;
    let path = format!("{SESSIONS}/{}/messages", session.id);
    let asked = async |query: &str, resumes: bool| {
        let ask = json!({ "query": query, "resumes": resumes });
        turn(origin.post(&student, &path, &ask).await).await
    };
    origin
        .clouds
        .will(says("What is legato for the left hand?"));
    asked("What is legato?", false).await;
    let first = asked(FOLLOW_UP, false).await;
    // No model is asked for words that it has found before.
    assert_eq!(asked(FOLLOW_UP, true).await, first);
    assert_eq!(origin.clouds.inside().model_calls.len(), 1);

    let place = format!("/v1/chat/messages/{}/answer", first.message_id);
    let answered = json!({
        "answer": {
            "pieces": [{ "text": "Joined." }], "confidence": 0.1, "finish_reason": "not-covered",
            "usage": { "input_tokens": 0, "output_tokens": 0 },
        },
        "sources": [],
    });
    let put = origin.by(&student, Method::PUT, &place).json(&answered);
    assert_eq!(put.send().await.unwrap().status(), 204);
    // Nor where its answer was written down meanwhile. Who asks anew is asking anew.
    assert_eq!(asked(FOLLOW_UP, true).await, first);
    let anew = asked(FOLLOW_UP, false).await;
    assert_ne!(anew.message_id, first.message_id);
    // What lies further back is a question of its own, and another person's words are nobody's business.
    assert_ne!(
        asked("What is legato?", true).await.question,
        first.question
    );
    let stranger = origin.database.person(Role::Student).await;
    let ask = json!({ "query": "What is legato?", "resumes": true });
    problem(
        origin.post(&stranger, &path, &ask).await,
        ProblemKind::NotFound,
    )
    .await;
    let listed: MessageList = origin.get(&student, &path).await.json().await.unwrap();
    assert_eq!(listed.messages.len(), 4);
}

#[tokio::test]
async fn what_can_not_be_meant_is_refused() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    for title in ["a".repeat(121), "two\nlines".to_owned()] {
        let refused = origin
            .post(&student, SESSIONS, &json!({ "title": title }))
            .await;
        problem(refused, ProblemKind::BodyInvalid).await;
    }
    let named = origin
        .post(&student, SESSIONS, &json!({ "title": " Thirds " }))
        .await;
    let named: ChatSession = named.json().await.unwrap();
    assert_eq!(named.title, "Thirds");
    let path = format!("{SESSIONS}/{}/messages", named.id);
    let refused = ask(&origin, &student, &path, " ").await;
    problem(refused, ProblemKind::QueryInvalid).await;
    let nowhere = format!("{SESSIONS}/{}/messages", uuid::Uuid::from_u128(1));
    let refused = ask(&origin, &student, &nowhere, "What is legato?").await;
    problem(refused, ProblemKind::NotFound).await;
}
