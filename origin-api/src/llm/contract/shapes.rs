//! The same answers as each provider writes them.

use serde_json::json;

/// One adapter, and what its provider sends.
pub(super) struct Shape {
    /// What the origin is configured with, beside the addresses.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// Where the provider is asked.
    pub(super) path: &'static str,
    /// Whether calls are authorised by tokens that pass, not by a key.
    pub(super) has_tokens: bool,
    /// An answer with every kind of event, comments, pings, and events that nobody knows:
    /// `Halte das Handgelenk ruhig – für Geläufigkeit.`, which rests on the second line, and ` Übe langsam.`, which
    /// rests on nothing; 420 tokens in and 37 out.
    pub(super) answer: String,
    /// The beginning of an answer: `Sit tall. `
    pub(super) beginning: String,
    /// Signs of life before an answer.
    pub(super) ping: String,
    /// The provider breaks off.
    pub(super) error: String,
    /// How it calls that.
    pub(super) error_name: &'static str,
    /// An event of a known kind that lacks what makes it one.
    pub(super) malformed: String,
    /// `la la la …`, 30 KB of it.
    pub(super) flood: String,
    /// An answer that reached its limit of tokens.
    pub(super) too_long: String,
    /// An answer that the model declined to give.
    pub(super) declined: String,
}

const GEMINI: &[(&str, &str)] = &[("LLM_PROVIDER", "vertex-gemini"), ("LLM_MODEL", "gemini-x")];

/// Claude on Vertex AI.
pub(super) fn vertex_claude() -> Shape {
    claude(
        &[("LLM_PROVIDER", "vertex-claude")],
        "/v1/projects/piano/locations/global/publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict",
        true,
    )
}

/// Claude by the Anthropic API.
pub(super) fn anthropic() -> Shape {
    claude(&[("LLM_PROVIDER", "anthropic")], "/v1/messages", false)
}

fn claude(
    variables: &'static [(&'static str, &'static str)],
    path: &'static str,
    has_tokens: bool,
) -> Shape {
    let event = |name: &str, mut data: serde_json::Value| {
        data["type"] = name.into();
        format!("event: {name}\ndata: {data}\n\n")
    };
    let start = event(
        "message_start",
        json!({ "message": { "id": "msg_01", "type": "message", "role": "assistant", "content": [], "usage": {
            "input_tokens": 412, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 8, "output_tokens": 1,
        } } }),
    );
    let block = event(
        "content_block_start",
        json!({ "index": 0, "content_block": { "type": "text", "text": "" } }),
    );
    let delta = |delta: serde_json::Value| {
        event("content_block_delta", json!({ "index": 0, "delta": delta }))
    };
    let text = |text: &str| delta(json!({ "type": "text_delta", "text": text }));
    let stop = event("content_block_stop", json!({ "index": 0 }));
    let end = |reason: &str| {
        event(
            "message_delta",
            json!({ "delta": { "stop_reason": reason }, "usage": { "output_tokens": 37 } }),
        ) + &event("message_stop", json!({}))
    };
    let ping = event("ping", json!({}));
    let answer = [
        "event: vertex_event\ndata: {\"region\":\"us-east5\"}\n\n".to_owned(),
        start.clone(),
        event(
            "content_block_start",
            json!({ "index": 0, "content_block": { "type": "something_new" } }),
        ),
        ping.clone(),
        delta(json!({ "type": "citations_delta", "citation": {
            "type": "search_result_location", "cited_text": "Keep the wrist level.", "source": "passage-1",
            "title": "Posture", "search_result_index": 0, "start_block_index": 1, "end_block_index": 2,
        } })),
        delta(json!({ "type": "citations_delta", "citation": { "type": "new_location" } })),
        text("Halte das Handgelenk "),
        "event: something_new\ndata: no JSON\n\n: comment\n\n".to_owned(),
        text("ruhig – für Geläufigkeit."),
        delta(json!({ "type": "signature_delta", "signature": "c2ln" })),
        stop.clone(),
        block.clone(),
        text(" Übe langsam."),
        stop.clone(),
        end("end_turn"),
    ];
    Shape {
        variables,
        path,
        has_tokens,
        answer: answer.concat(),
        beginning: [start.clone(), block.clone(), text("Sit tall. ")].concat(),
        ping,
        error: event(
            "error",
            json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } }),
        ),
        error_name: "overloaded_error",
        malformed: event("content_block_delta", json!({ "index": 0 })),
        flood: text(&"la ".repeat(10_000)),
        too_long: [start.clone(), block, text("Sit"), stop, end("max_tokens")].concat(),
        declined: [start, end("refusal")].concat(),
    }
}

/// Gemini on Vertex AI.
pub(super) fn vertex_gemini() -> Shape {
    let chunk = |chunk: serde_json::Value| format!("data: {chunk}\r\n\r\n");
    let text = |text: &str| {
        let content = json!({ "role": "model", "parts": [{ "text": text }] });
        chunk(json!({ "candidates": [{ "content": content }], "modelVersion": "gemini-x" }))
    };
    let end = |reason: &str| {
        chunk(json!({
            "candidates": [{ "content": { "role": "model", "parts": [{ "text": "" }] }, "finishReason": reason }],
            "usageMetadata": {
                "promptTokenCount": 420, "cachedContentTokenCount": 8, "candidatesTokenCount": 30,
                "thoughtsTokenCount": 7, "totalTokenCount": 457,
            },
        }))
    };
    let thought =
        json!({ "role": "model", "parts": [{ "text": "I should cite [1].", "thought": true }] });
    let answer = [
        chunk(
            json!({ "candidates": [{ "content": thought }], "usageMetadata": { "trafficType": "ON_DEMAND" } }),
        ),
        ": comment\r\n\r\n".to_owned(),
        text("Halte das Handgelenk "),
        "event: something_new\r\ndata: no JSON\r\n\r\n".to_owned(),
        text("ruhig – für Geläufigkeit ["),
        chunk(json!({ "somethingNew": 1 })),
        text("2]. Übe"),
        chunk(
            json!({ "candidates": [{ "content": { "parts": [{ "inlineData": {} }] }, "safetyRatings": [] }] }),
        ),
        text(" langsam."),
        end("STOP"),
    ];
    Shape {
        variables: GEMINI,
        path: "/v1/projects/piano/locations/global/publishers/google/models/gemini-x:streamGenerateContent?alt=sse",
        has_tokens: true,
        answer: answer.concat(),
        beginning: text("Sit tall. "),
        ping: ": ping\r\n\r\n".to_owned(),
        error: chunk(
            json!({ "error": { "code": 503, "message": "busy", "status": "UNAVAILABLE" } }),
        ),
        error_name: "UNAVAILABLE",
        malformed: "data: {\"candidates\":1}\r\n\r\n".to_owned(),
        flood: text(&"la ".repeat(10_000)),
        too_long: text("Sit") + &end("MAX_TOKENS"),
        declined: chunk(json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" } })),
    }
}
