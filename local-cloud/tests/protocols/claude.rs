//! Claude on Vertex AI: its events, its errors, its failures on demand.

use crate::running::{Running, start};
use serde_json::{Value, json};

const PATH: &str =
    "/vertex/v1/projects/p/locations/global/publishers/anthropic/models/claude-haiku-4-5@20251001";

fn body(question: &str) -> Value {
    json!({
        "anthropic_version": "vertex-2023-10-16", "max_tokens": 400, "stream": true,
        "system": "Answer from the search results.",
        "messages": [{ "role": "user", "content": [
            { "type": "search_result", "source": "passage-1", "title": "Pedalling",
              "content": [
                  { "type": "text", "text": "Direct pedalling" },
                  { "type": "text", "text": "In direct pedalling the foot goes down together with the hands." },
              ],
              "citations": { "enabled": true } },
            { "type": "text", "text": question },
        ]}],
    })
}

async fn stream(running: &Running, question: &str) -> (String, Result<(), reqwest::Error>) {
    let url = format!("{}{PATH}:streamRawPredict", running.base);
    let request = running
        .http
        .post(url)
        .bearer_auth("t")
        .json(&body(question));
    let mut reply = request.send().await.unwrap();
    assert_eq!(
        reply.headers()["content-type"],
        "text/event-stream; charset=utf-8"
    );
    let mut text = String::new();
    loop {
        match reply.chunk().await {
            Ok(Some(bytes)) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Ok(None) => return (text, Ok(())),
            Err(error) => return (text, Err(error)),
        }
    }
}

fn names(stream: &str) -> Vec<&str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect()
}

#[tokio::test]
async fn a_streamed_answer_has_claudes_events() {
    let running = start().await;
    let (text, end) = stream(&running, "What is direct pedalling?").await;
    assert!(end.is_ok());
    // The id is random.
    let (before, rest) = text.split_once("msg_vrtx_").unwrap();
    insta::assert_snapshot!(format!("{before}msg_vrtx_…{}", &rest[32..]));
}

#[tokio::test]
async fn a_whole_answer_carries_its_citations() {
    let running = start().await;
    let mut body = body("What is direct pedalling?");
    body["stream"] = false.into();
    let (status, mut message) = running.post(&format!("{PATH}:rawPredict"), &body).await;
    assert_eq!(status, 200);
    message["id"] = "…".into();
    insta::assert_json_snapshot!(message);
}

#[tokio::test]
async fn what_the_passages_do_not_cover_is_refused_without_a_citation() {
    let running = start().await;
    let (text, _) = stream(&running, "How do I bake sourdough bread?").await;
    assert!(text.contains("does not cover") && !text.contains("citations_delta"));
}

#[tokio::test]
async fn errors_have_the_shape_of_whoever_refuses() {
    let running = start().await;
    let mut named = body("?");
    named["model"] = "claude-haiku-4-5".into();
    let (status, error) = running.post(&format!("{PATH}:rawPredict"), &named).await;
    assert_eq!(
        (status, &error["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );

    let url = format!("{}{PATH}:rawPredict", running.base);
    let reply = running
        .http
        .post(url)
        .json(&body("?"))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 401);
    let error: Value = reply.json().await.unwrap();
    assert_eq!(error["error"]["status"], "UNAUTHENTICATED");

    for (status, name) in [(529, json!("overloaded_error")), (500, json!("api_error"))] {
        let fault = json!({ "kind": "status", "status": status });
        running
            .arm(&json!({ "target": "vertex", "fault": fault, "times": 1 }))
            .await;
        let (seen, error) = running
            .post(&format!("{PATH}:rawPredict"), &body("?"))
            .await;
        assert_eq!((seen, &error["error"]["type"]), (status, &name));
    }
}

#[tokio::test]
async fn a_stream_can_break_off_in_either_documented_way() {
    let running = start().await;
    let fault =
        json!({ "kind": "error_event_after", "events": 3, "error_type": "overloaded_error" });
    running
        .arm(&json!({ "target": "vertex", "fault": fault, "times": 1 }))
        .await;
    let (text, end) = stream(&running, "What is direct pedalling?").await;
    assert!(end.is_ok());
    assert_eq!(
        names(&text),
        ["message_start", "ping", "content_block_start", "error"]
    );

    let fault = json!({ "kind": "cut_after_events", "events": 2 });
    running
        .arm(&json!({ "target": "vertex", "fault": fault, "times": 1 }))
        .await;
    let (text, end) = stream(&running, "What is direct pedalling?").await;
    assert!(end.is_err());
    assert_eq!(names(&text), ["message_start", "ping"]);
}

const GEMINI: &str = "/vertex/v1/projects/p/locations/l/publishers/google/models/gemini-2.0-flash";

fn numbered_lines() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [
        { "text": "[1] Direct pedalling\n[2] In direct pedalling the foot goes down with the hands." },
        { "text": "What is direct pedalling?" },
    ]}]})
}

async fn gemini_stream(running: &Running) -> String {
    let url = format!("{}{GEMINI}:streamGenerateContent?alt=sse", running.base);
    let request = running
        .http
        .post(url)
        .bearer_auth("t")
        .json(&numbered_lines());
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn gemini_answers_from_numbered_lines() {
    let running = start().await;
    let (status, whole) = running
        .post(&format!("{GEMINI}:generateContent"), &numbered_lines())
        .await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(whole);
    let events = gemini_stream(&running).await;
    assert!(events.starts_with("data: {") && events.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn gemini_breaks_off_in_googles_words() {
    let running = start().await;
    let fault =
        json!({ "kind": "error_event_after", "events": 1, "error_type": "overloaded_error" });
    running
        .arm(&json!({ "target": "vertex", "fault": fault, "times": 1 }))
        .await;
    let events = gemini_stream(&running).await;
    let events: Vec<Value> = events
        .split_terminator("\r\n\r\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert!(events[0]["candidates"][0]["content"]["parts"][0]["text"].is_string());
    assert_eq!(events[1]["error"]["status"], "UNAVAILABLE");
}
