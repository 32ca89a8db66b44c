//! The reply: one message, or the events that add up to it.

use super::request::{Cited, ParsedRequest};
use crate::{
    faults::Break,
    host,
    vertex::answer::{Piece, SentenceRef, Stop, tokens_of},
};
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use std::io;
use tokio::sync::mpsc;

/// What is known of a message before its first word.
pub(super) struct Start {
    id: String,
    model: String,
    input_tokens: usize,
}

impl Start {
    pub(super) fn new(model: &str, request: &ParsedRequest) -> Self {
        Self {
            id: format!("msg_vrtx_{}", host::new_id().simple()),
            // The URL says `claude-haiku-4-5@20251001`, the reply `claude-haiku-4-5-20251001`.
            model: model.replace('@', "-"),
            input_tokens: request.characters.div_ceil(4),
        }
    }

    fn message(&self, content: &[Value], stop: Option<Stop>, output_tokens: usize) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content,
            "stop_reason": stop.map(stop_reason), "stop_sequence": null,
            "usage": self.usage(output_tokens),
        })
    }

    fn usage(&self, output_tokens: usize) -> Value {
        json!({
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        })
    }
}

fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::MaxTokens => "max_tokens",
        Stop::EndTurn | Stop::Failed => "end_turn",
    }
}

/// The citation of a sentence; none where the caller did not enable them.
fn citation(passages: &[Cited], at: SentenceRef) -> Option<Value> {
    let passage = passages.get(at.passage).filter(|passage| passage.enabled)?;
    Some(json!({
        "type": "search_result_location",
        "cited_text": passage.sentences.get(at.sentence)?,
        "source": passage.source, "title": passage.title,
        "search_result_index": at.passage,
        "start_block_index": at.sentence, "end_block_index": at.sentence + 1,
    }))
}

/// The whole message; nothing where the model broke.
pub(super) async fn message(
    start: Start,
    passages: Vec<Cited>,
    mut pieces: mpsc::Receiver<Piece>,
) -> Option<Value> {
    let (mut content, mut text, mut citations, mut tokens) =
        (Vec::new(), String::new(), Vec::new(), 0);
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Text(words) => text.push_str(&words),
            Piece::Citation(at) => citations.extend(citation(&passages, at)),
            Piece::BlockEnd => {
                tokens += tokens_of(&text);
                let mut block = json!({ "type": "text", "text": std::mem::take(&mut text) });
                if !citations.is_empty() {
                    block["citations"] = std::mem::take(&mut citations).into();
                }
                content.push(block);
            }
            Piece::End(Stop::Failed) => return None,
            Piece::End(stop) => return Some(start.message(&content, Some(stop), tokens)),
        }
    }
    None
}

/// The events of the message, each as its text on the wire.
pub(super) fn events(
    start: Start,
    passages: Vec<Cited>,
    mut pieces: mpsc::Receiver<Piece>,
) -> impl Stream<Item = String> + Send {
    async_stream::stream! {
        yield event("message_start", &json!({ "message": start.message(&[], None, 1) }));
        yield event("ping", &json!({}));
        let (mut index, mut open, mut tokens) = (0, false, 0);
        while let Some(piece) = pieces.recv().await {
            if !open && matches!(piece, Piece::Text(_) | Piece::Citation(_)) {
                open = true;
                let block = json!({ "type": "text", "text": "" });
                yield event("content_block_start", &json!({ "index": index, "content_block": block }));
            }
            match piece {
                Piece::Text(text) => {
                    tokens += tokens_of(&text);
                    yield delta(index, &json!({ "type": "text_delta", "text": text }));
                }
                Piece::Citation(at) => {
                    if let Some(citation) = citation(&passages, at) {
                        yield delta(index, &json!({ "type": "citations_delta", "citation": citation }));
                    }
                }
                Piece::BlockEnd => {
                    if open {
                        yield event("content_block_stop", &json!({ "index": index }));
                        (index, open) = (index + 1, false);
                    }
                }
                Piece::End(Stop::Failed) => break,
                Piece::End(stop) => {
                    if open {
                        yield event("content_block_stop", &json!({ "index": index }));
                    }
                    let reason = json!({ "stop_reason": stop_reason(stop), "stop_sequence": null });
                    yield event("message_delta", &json!({ "delta": reason, "usage": start.usage(tokens) }));
                    yield event("message_stop", &json!({}));
                    return;
                }
            }
        }
        yield error_event("api_error", "Internal server error");
    }
}

fn delta(index: usize, delta: &Value) -> String {
    event(
        "content_block_delta",
        &json!({ "index": index, "delta": delta }),
    )
}

fn error_event(kind: &str, message: &str) -> String {
    event(
        "error",
        &json!({ "error": { "type": kind, "message": message } }),
    )
}

/// An event whose data repeats its name as `type`.
fn event(name: &str, data: &Value) -> String {
    let mut data = data.clone();
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

/// An error on demand, as an event.
pub(super) fn broken_event(kind: &str) -> String {
    let message = if kind == "overloaded_error" {
        "Overloaded"
    } else {
        "Error on demand"
    };
    error_event(kind, message)
}

/// The stream as a fault would have it end; `error` writes an error of this type as an event.
pub(in crate::vertex) fn break_off(
    events: impl Stream<Item = String> + Send,
    broken: Option<Break>,
    error: fn(&str) -> String,
) -> impl Stream<Item = io::Result<String>> + Send {
    let mut pause = None;
    let (allowed, last) = match broken {
        None => (usize::MAX, None),
        Some(Break::Pause(after, how_long)) => {
            pause = Some((after, how_long));
            (usize::MAX, None)
        }
        Some(Break::Cut(after)) => {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "cut on demand");
            (after, Some(Err(error)))
        }
        Some(Break::ErrorEvent(after, kind)) => (after, Some(Ok(error(&kind)))),
    };
    let last = futures_util::stream::iter(last).then(async |last| {
        // Lets the server flush: an error drops what is still in its buffer.
        tokio::task::yield_now().await;
        last
    });
    let events = events.enumerate().then(move |(at, event)| async move {
        if let Some((_, how_long)) = pause.filter(|(after, _)| *after == at) {
            tokio::time::sleep(how_long).await;
        }
        event
    });
    events.take(allowed).map(Ok).chain(last)
}
