//! Gemini on Vertex AI, as far as a plain text answer needs it.
//!
//! Gemini has no search results: passages come as text. A part whose lines are all numbered
//! (`[1] First sentence.`) is read as passages, one sentence per line; the last part of the last user
//! turn is the question. Sentences are quoted with their numbers, as the prompt asks a real one to do.

use super::answer::{Answerer, Piece, Question, Stop, tokens_of};
use crate::faults::{Break, broken_reply};
use axum::{
    Json,
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `alt=sse`.
    Events,
    /// One JSON array, which is what the service sends without `alt=sse`.
    Array,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    contents: Vec<Content>,
    #[serde(default)]
    system_instruction: Option<Content>,
    #[serde(default)]
    generation_config: GenerationConfig,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    role: Option<String>,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: Option<usize>,
}

const DEFAULT_MAX_TOKENS: usize = 8192;

/// Answers one request, whole or in the given framing.
pub(super) async fn generate(
    answerer: &Answerer,
    model: &str,
    framing: Option<Framing>,
    body: &Bytes,
    broken: Option<Break>,
) -> Response {
    let request: Request = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return invalid(&error.to_string()),
    };
    let Some((question, marks)) = question(&request) else {
        return invalid("* GenerateContentRequest.contents: contents is not specified");
    };
    let mut chunks = chunks(answerer, model, question, &marks).await;
    let Some(framing) = framing else {
        let text: String = chunks.iter().filter_map(chunk_text).collect();
        let Some(mut whole) = chunks.pop().filter(|_| broken.is_none()) else {
            return broken_reply();
        };
        whole["candidates"][0]["content"]["parts"] = json!([{ "text": text }]);
        return Json(whole).into_response();
    };
    match framing {
        Framing::Array => Json(chunks).into_response(),
        Framing::Events => {
            let events = chunks
                .into_iter()
                .map(|chunk| format!("data: {chunk}\r\n\r\n"));
            let events = futures_util::stream::iter(events);
            let events = super::claude::reply::break_off(events, broken, broken_event);
            let headers = [(header::CONTENT_TYPE, "text/event-stream")];
            (headers, axum::body::Body::from_stream(events)).into_response()
        }
    }
}

/// An error on demand, named as Google names what Anthropic calls `kind`.
fn broken_event(kind: &str) -> String {
    let (code, status) = match kind {
        "overloaded_error" => (503, "UNAVAILABLE"),
        _ => (500, "INTERNAL"),
    };
    let error = json!({ "code": code, "message": "Error on demand", "status": status });
    format!("data: {}\r\n\r\n", json!({ "error": error }))
}

fn chunk_text(chunk: &Value) -> Option<&str> {
    chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()
}

/// The question and, by passage and sentence, the numbers to quote with.
fn question(request: &Request) -> Option<(Question, Vec<Vec<String>>)> {
    let mut parts: Vec<&str> = request
        .contents
        .iter()
        .filter(|content| content.role.as_deref() != Some("model"))
        .flat_map(|content| content.parts.iter().map(|part| part.text.as_str()))
        .collect();
    let text = parts.pop()?.to_owned();
    let (mut passages, mut marks) = (Vec::new(), Vec::new());
    for part in parts {
        let lines: Vec<(String, String)> = part.lines().filter_map(numbered).collect();
        let (numbers, sentences): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
        marks.push(numbers);
        passages.push(sentences);
    }
    let system = request.system_instruction.as_ref();
    let system = system.map(|content| content.parts.iter().map(|p| p.text.as_str()).collect());
    let max_tokens = request
        .generation_config
        .max_output_tokens
        .unwrap_or(DEFAULT_MAX_TOKENS);
    Some((
        Question {
            system: system.unwrap_or_default(),
            text,
            passages,
            max_tokens,
        },
        marks,
    ))
}

/// `[12] Words.` as its mark and its words.
fn numbered(line: &str) -> Option<(String, String)> {
    let (number, words) = line.trim().strip_prefix('[')?.split_once(']')?;
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    (is_number && !words.trim().is_empty())
        .then(|| (format!("[{number}]"), words.trim().to_owned()))
}

/// The answer as the service's partial responses; the last one carries the finish reason and the usage.
async fn chunks(
    answerer: &Answerer,
    model: &str,
    question: Question,
    marks: &[Vec<String>],
) -> Vec<Value> {
    let prompt_tokens = tokens_of(&question.text)
        + question
            .passages
            .iter()
            .flatten()
            .map(|sentence| tokens_of(sentence))
            .sum::<usize>();
    let mut pieces = answerer.answer(question);
    let (mut chunks, mut tokens, mut reason) = (Vec::new(), 0, "OTHER");
    while let Some(piece) = pieces.recv().await {
        let text = match piece {
            Piece::Text(text) => text,
            Piece::Citation(at) => format!(" {}", marks[at.passage][at.sentence]),
            Piece::BlockEnd => continue,
            Piece::End(stop) => {
                reason = match stop {
                    Stop::EndTurn => "STOP",
                    Stop::MaxTokens => "MAX_TOKENS",
                    Stop::Failed => "OTHER",
                };
                break;
            }
        };
        tokens += tokens_of(&text);
        chunks.push(json!({
            "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] } }],
            "modelVersion": model,
        }));
    }
    chunks.push(json!({
        "candidates": [{
            "content": { "role": "model", "parts": [{ "text": "" }] }, "finishReason": reason,
        }],
        "modelVersion": model,
        "usageMetadata": {
            "promptTokenCount": prompt_tokens, "candidatesTokenCount": tokens,
            "totalTokenCount": prompt_tokens + tokens,
        },
    }));
    chunks
}

fn invalid(message: &str) -> Response {
    super::google_error(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message, None)
}
