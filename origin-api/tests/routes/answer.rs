//! An answer, from chosen passages to its last event.

use crate::{
    clouds::Reply,
    origin::{Origin, events, problem},
};
use futures_util::StreamExt;
use rag_core::confidence::NOT_COVERED_TEXT;
use serde_json::{Value, json};
use shared_types::{
    chat::{FinishReason, Usage},
    claims::{AccessClaims, Role},
    documents::Visibility,
    event::AnswerEvent,
    ids::ChunkId,
    origin::RetrieveResponse,
    problem::ProblemKind,
};

const WRIST: &str = "Keep the wrist level when you play scales.";
const SECRET: &str = "The wrist trick that only this studio knows.";
pub const ANSWER: &str = "/v1/answer";

pub const BEGINNING: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":91,\"cache_read_input_tokens\":8,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hold it level.\"}}\n\n",
);
const ENDING: &str = concat!(
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"citations_delta\",\"citation\":",
    "{\"type\":\"search_result_location\",\"cited_text\":\"Keep the wrist level when you play scales.\",\"source\":\"passage-1\",",
    "\"title\":\"Hand position\",\"search_result_index\":0,\"start_block_index\":0,\"end_block_index\":1}}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":12}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
pub const OVERLOADED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

pub fn whole() -> Reply {
    Reply::Stream(format!("{BEGINNING}{ENDING}"))
}

/// The same, which breaks off in the middle until the clouds go on.
pub fn paused() -> Reply {
    Reply::Paused(BEGINNING.into(), ENDING.into())
}

pub fn asking(chunk: ChunkId, score: f64) -> Value {
    json!({
        "query": "How do I hold my wrist?",
        "passages": [{"chunk_id": chunk, "rerank_score": score}],
    })
}

/// A public passage, and a student who may read it.
pub async fn library(origin: &Origin) -> (AccessClaims, ChunkId) {
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let passage = passage_of(origin, &teacher, Visibility::Public, WRIST).await;
    (student, passage)
}

/// A private passage of somebody who is nobody's teacher.
async fn hidden_passage(origin: &Origin) -> ChunkId {
    let owner = origin.database.person(Role::Teacher).await;
    passage_of(origin, &owner, Visibility::Private, SECRET).await
}

async fn passage_of(
    origin: &Origin,
    owner: &AccessClaims,
    visibility: Visibility,
    text: &str,
) -> ChunkId {
    origin.database.ready(owner, visibility, &[text]).await;
    let search = json!({"query": text, "embedding": null, "embedding_model": "m"});
    let response = origin.post(owner, "/v1/retrieve", &search).await;
    let found: RetrieveResponse = response.json().await.unwrap();
    assert_eq!(found.passages[0].content, text);
    found.passages[0].chunk_id
}

pub fn names(events: &[AnswerEvent]) -> Vec<&'static str> {
    events.iter().map(AnswerEvent::name).collect()
}

#[tokio::test]
async fn an_answer_is_told_with_the_page_that_it_rests_on() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(whole());
    let told = events(origin.post(&student, ANSWER, &asking(chunk, 0.8)).await).await;
    assert_eq!(names(&told), ["delta", "citation", "done"]);
    let AnswerEvent::Citation(citation) = &told[1] else {
        panic!("{told:?}");
    };
    assert_eq!((citation.marker, citation.page), (1, 1));
    assert_eq!(citation.quote, WRIST);
    let AnswerEvent::Done(done) = &told[2] else {
        panic!("{told:?}");
    };
    assert_eq!(done.finish_reason, FinishReason::Complete);
    assert!((done.confidence - 0.8).abs() < 1e-9);
    let usage = Usage {
        input_tokens: 99,
        output_tokens: 12,
        cache_read_tokens: 8,
        ..Usage::default()
    };
    assert_eq!(done.usage, usage, "without prices there is no cost");
    assert!(done.model_first_token_ms <= done.model_total_ms);

    let inside = origin.clouds.inside();
    assert_eq!(inside.token_fetches, 1);
    let content = &inside.model_calls[0]["messages"][0]["content"];
    assert_eq!(content[0]["content"][0]["text"], WRIST);
    assert_eq!(content[1]["text"], "How do I hold my wrist?");
}

#[tokio::test]
async fn words_reach_the_reader_while_the_model_still_thinks() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    let mut pieces = response.bytes_stream();
    let mut told = String::new();
    while !told.contains("Hold it level.") {
        let piece = pieces.next().await.unwrap().unwrap();
        told.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(!told.contains("event: done"));
    origin.clouds.go_on();
    while let Some(piece) = pieces.next().await {
        told.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    assert!(told.contains("event: done"));
}

#[tokio::test]
async fn what_the_library_does_not_cover_costs_no_model() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    let nothing = json!({"query": "How do I hold my wrist?", "passages": []});
    for request in [asking(chunk, 0.29), nothing] {
        let told = events(origin.post(&student, ANSWER, &request).await).await;
        assert_eq!(names(&told), ["delta", "done"]);
        assert!(matches!(&told[0], AnswerEvent::Delta(delta) if delta.text == NOT_COVERED_TEXT));
        assert!(
            matches!(&told[1], AnswerEvent::Done(done) if done.finish_reason == FinishReason::NotCovered)
        );
    }
    assert!(origin.clouds.inside().model_calls.is_empty());
}

#[tokio::test]
async fn a_passage_that_the_caller_may_not_read_makes_no_answer_from_the_others() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    let hidden = hidden_passage(&origin).await;
    let mut request = asking(hidden, 0.9);
    let readable = json!({"chunk_id": chunk, "rerank_score": 0.8});
    request["passages"].as_array_mut().unwrap().push(readable);
    let refused = origin.post(&student, ANSWER, &request).await;
    problem(refused, ProblemKind::Conflict).await;
    assert!(origin.clouds.inside().model_calls.is_empty());
}

#[tokio::test]
async fn a_model_that_stumbles_before_it_speaks_is_asked_again() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    origin
        .clouds
        .will(Reply::Status(529, &[("retry-after-ms", "10")]));
    origin.clouds.will(Reply::Stream(OVERLOADED.into()));
    origin.clouds.will(whole());
    let told = events(origin.post(&student, ANSWER, &asking(chunk, 0.8)).await).await;
    assert_eq!(names(&told), ["delta", "citation", "done"]);
    assert_eq!(origin.clouds.inside().model_calls.len(), 3);
}

#[tokio::test]
async fn a_model_that_can_not_be_had_is_a_problem_that_says_when_to_come_back() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    for (reply, wait_s) in [
        (Reply::Status(429, &[("retry-after", "30")]), 30),
        (Reply::Status(400, &[]), 1),
    ] {
        origin.clouds.will(reply);
        let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
        let told = problem(response, ProblemKind::ModelUnavailable).await;
        assert_eq!(told.retry_after_s, Some(wait_s));
        assert_eq!(told.detail, None);
    }
    let calls = origin.clouds.inside().model_calls.len();
    assert_eq!(calls, 2, "neither was repeated");
}

#[tokio::test]
async fn a_model_that_is_out_is_left_alone_and_callers_hear_for_how_long() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    for _ in 0..5 {
        origin.clouds.will(Reply::Status(403, &[]));
        let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
        problem(response, ProblemKind::ModelUnavailable).await;
    }
    let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    let told = problem(response, ProblemKind::ModelUnavailable).await;
    assert_eq!(told.retry_after_s, Some(5));
    assert_eq!(origin.clouds.inside().model_calls.len(), 5);
}

#[tokio::test]
async fn gemini_answers_where_claude_is_out_and_cites_the_same_page() {
    let second = [
        ("FALLBACK_PROVIDER", "vertex-gemini"),
        ("FALLBACK_MODEL", "gemini-x"),
    ];
    let origin = Origin::start_with(&second).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(Reply::Status(403, &[]));
    origin.clouds.will(Reply::Stream(
        concat!(
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hold it level [\"}]}}]}\r\n\r\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"1][2].\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n",
        )
        .into(),
    ));
    let told = events(origin.post(&student, ANSWER, &asking(chunk, 0.8)).await).await;
    assert!(matches!(&told[0], AnswerEvent::Delta(delta) if delta.text == "Hold it level"));
    let AnswerEvent::Citation(citation) = &told[2] else {
        panic!("{told:?}");
    };
    assert_eq!((citation.marker, citation.page), (1, 1));
    assert_eq!(citation.quote, WRIST);
    assert_eq!(names(&told), ["delta", "delta", "citation", "done"]);
    let inside = origin.clouds.inside();
    let parts = &inside.model_calls[1]["contents"][0]["parts"];
    let lines = parts[0]["text"].as_str().unwrap();
    assert!(lines.ends_with(&format!("\n[1] {WRIST}")), "{lines}");
}

#[tokio::test]
async fn a_silent_model_is_not_waited_for_without_end() {
    let origin = Origin::start_with(&[("LLM_FIRST_EVENT_TIMEOUT_MS", "300")]).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(Reply::Silence);
    let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    problem(response, ProblemKind::ModelUnavailable).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_an_error_and_without_done() {
    let origin = Origin::start_with(&[("LLM_IDLE_TIMEOUT_MS", "2000")]).await;
    let (student, chunk) = library(&origin).await;
    let ask = async || {
        let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
        assert_eq!(response.status(), 200, "the model has begun to speak");
        response
    };
    for reply in [
        Reply::Paused(BEGINNING.into(), OVERLOADED.into()),
        Reply::Paused(BEGINNING.into(), String::new()),
        Reply::Cut(BEGINNING.into()),
    ] {
        origin.clouds.will(reply);
        let response = ask().await;
        origin.clouds.go_on();
        assert_interrupted(&events(response).await);
    }
    // A model that falls silent.
    origin.clouds.will(Reply::Cut(BEGINNING.into()));
    assert_interrupted(&events(ask().await).await);
}

fn assert_interrupted(told: &[AnswerEvent]) {
    assert_eq!(names(told), ["delta", "error"]);
    assert!(matches!(&told[1], AnswerEvent::Error(p) if p.is(ProblemKind::AnswerInterrupted)));
}

#[tokio::test]
async fn more_answers_than_there_is_room_for_are_put_off() {
    let origin = Origin::start_with(&[("LLM_CONCURRENCY", "1")]).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let first = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    let mut other = asking(chunk, 0.8);
    other["query"] = json!("What is my wrist for?");
    let second = origin.post(&student, ANSWER, &other).await;
    problem(second, ProblemKind::ModelUnavailable).await;
    origin.clouds.go_on();
    assert_eq!(names(&events(first).await), ["delta", "citation", "done"]);
}

#[tokio::test]
async fn too_many_passages_are_refused() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    let mut request = asking(chunk, 0.8);
    let passage = request["passages"][0].clone();
    request["passages"] = json!(vec![passage; 4]);
    problem(
        origin.post(&student, ANSWER, &request).await,
        ProblemKind::BodyInvalid,
    )
    .await;
}
