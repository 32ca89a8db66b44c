//! Claude on Vertex AI: the Messages API less the model, which the URL names.

pub(super) mod reply;
mod request;

use super::answer::Answerer;
use crate::faults::{Break, broken_reply};
use axum::{
    Json,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use serde_json::json;

/// Answers one request: as events where the body asks for a stream and the method streams, else whole.
pub(super) async fn predict(
    answerer: &Answerer,
    model: &str,
    streaming_method: bool,
    body: &Bytes,
    broken: Option<Break>,
) -> Response {
    let request = match request::parse(body) {
        Ok(request) => request,
        Err(message) => return error(StatusCode::BAD_REQUEST, "invalid_request_error", &message),
    };
    let start = reply::Start::new(model, &request);
    if request.stream && streaming_method {
        let events = reply::events(start, request.passages, answerer.answer(request.question));
        let bytes = reply::break_off(events, broken, reply::broken_event)
            .map(|event| event.map(Bytes::from));
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        return (headers, Body::from_stream(bytes)).into_response();
    }
    if broken.is_some() {
        return broken_reply();
    }
    match reply::message(start, request.passages, answerer.answer(request.question)).await {
        Some(message) => Json(message).into_response(),
        None => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api_error",
            "Internal server error",
        ),
    }
}

/// An error in Anthropic's shape.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    (status, Json(body)).into_response()
}
