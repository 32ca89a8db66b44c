//! A stand-in for Claude on Vertex AI that says what time it is.

use super::{EVERY, FIRST, WORDS};
use axum::{
    Router,
    body::Body,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::stream;
use serde_json::{Value, json};
use std::{io, sync::OnceLock, time::Duration};
use tokio::{net::TcpListener, task::AbortHandle, time::Instant};

/// Digits of a time, in microseconds.
const DIGITS: usize = 12;

static BEGINNING: OnceLock<Instant> = OnceLock::new();

/// Since the first time of asking.
fn now() -> Duration {
    BEGINNING.get_or_init(Instant::now).elapsed()
}

/// The running model; ends with its value.
pub struct Model {
    base: String,
    serving: AbortHandle,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Model {
    /// Listens at a free port.
    pub async fn start() -> anyhow::Result<Self> {
        now();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/v1", listener.local_addr()?);
        let path =
            "/v1/projects/{project}/locations/{location}/publishers/{publisher}/models/{call}";
        let router = Router::new().route(path, post(answer));
        let serving = tokio::spawn(async move {
            // Ends with the process at the latest.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            base,
            serving: serving.abort_handle(),
        })
    }

    /// `VERTEX_BASE_URL`.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Where it streams.
    pub fn stream_url(&self) -> String {
        let base = &self.base;
        format!("{base}/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict")
    }
}

async fn answer() -> Response {
    let events = stream::unfold(0, |step| async move {
        let event = match step {
            0 => opening(),
            step if step <= WORDS => {
                tokio::time::sleep(if step == 1 { FIRST } else { EVERY }).await;
                word()
            }
            step if step == WORDS + 1 => ending(),
            _ => return None,
        };
        Some((Ok::<_, io::Error>(event), step + 1))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    (headers, Body::from_stream(events)).into_response()
}

fn event(name: &str, mut data: Value) -> String {
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

fn opening() -> String {
    let usage = json!({ "input_tokens": 1_000, "output_tokens": 1 });
    let block = json!({ "index": 0, "content_block": { "type": "text", "text": "" } });
    event("message_start", json!({ "message": { "usage": usage } }))
        + &event("content_block_start", block)
}

fn word() -> String {
    let text = format!("t{:0DIGITS$} ", now().as_micros());
    let delta = json!({ "type": "text_delta", "text": text });
    event("content_block_delta", json!({ "index": 0, "delta": delta }))
}

/// It says that it ran out of tokens: such an answer is kept nowhere, so the next reader has the model say all of it anew.
fn ending() -> String {
    let usage = json!({ "output_tokens": WORDS });
    let end = json!({ "delta": { "stop_reason": "max_tokens" }, "usage": usage });
    event("content_block_stop", json!({ "index": 0 }))
        + &event("message_delta", end)
        + &event("message_stop", json!({}))
}

/// Finds the times in a text that arrives piece by piece.
#[derive(Default)]
pub struct Listener {
    unread: String,
}

impl Listener {
    /// How old each word is that this piece completes.
    pub fn hear(&mut self, text: &str) -> Vec<Duration> {
        self.unread.push_str(text);
        let heard = now();
        let mut ages = Vec::new();
        while let Some(at) = self.unread.find('t') {
            let Some(digits) = self.unread.get(at + 1..=at + DIGITS) else {
                break;
            };
            if let Ok(said) = digits.parse().map(Duration::from_micros) {
                ages.push(heard.saturating_sub(said));
            }
            self.unread.drain(..=at + DIGITS);
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_once_it_is_whole() {
        now();
        let mut listener = Listener::default();
        assert_eq!(listener.hear("t0000000").len(), 0);
        assert_eq!(listener.hear("00001 t000000000002").len(), 2);
        assert_eq!(listener.hear(" ").len(), 0);
    }
}
