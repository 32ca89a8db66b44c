//! Stands for Vertex AI: Claude (`rawPredict`, `streamRawPredict`) and Gemini
//! (`generateContent`, `streamGenerateContent`), behind any project, region and model id.
//!
//! Not here: tools, thinking, images, prompt caching (its token counts are always zero), quotas.

mod answer;
mod claude;
mod extractive;
mod gemini;
mod marks;
mod qwen;

pub(crate) use answer::Answerer;
pub use qwen::QwenError;

use crate::{
    faults::{Faults, Target, Verdict},
    http::{has_bearer, retry_after},
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use std::sync::Arc;

/// The real limit is 30 MB; a question with its passages is far below this.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What answers, and how it may fail.
pub(crate) struct Vertex {
    pub(crate) answerer: Answerer,
    pub(crate) faults: Arc<Faults>,
}

pub(crate) fn router(service: Arc<Vertex>) -> Router {
    let path = "/vertex/v1/projects/{project}/locations/{location}/publishers/{publisher}\
                /models/{call}";
    Router::new()
        .route(path, post(predict))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service)
}

/// `models/{model}:{verb}` of either publisher.
async fn predict(
    State(service): State<Arc<Vertex>>,
    Path((_project, _location, publisher, call)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !has_bearer(&headers) {
        let message = "Request is missing required authentication credential. Expected OAuth 2 \
                       access token, login cookie or other valid authentication credential.";
        return google_error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message, None);
    }
    let broken = match service.faults.call(Target::Vertex).await {
        Verdict::Proceed => None,
        Verdict::Break(broken) => Some(broken),
        Verdict::Refuse {
            status,
            retry_after_s,
        } => {
            return refuse(&publisher, status, retry_after_s);
        }
    };
    let Some((model, verb)) = call.rsplit_once(':') else {
        return not_found(&call);
    };
    match (publisher.as_str(), verb) {
        ("anthropic", "rawPredict" | "streamRawPredict") => {
            claude::predict(
                &service.answerer,
                model,
                verb == "streamRawPredict",
                &body,
                broken,
            )
            .await
        }
        ("google", "generateContent") => {
            gemini::generate(&service.answerer, model, None, &body, broken).await
        }
        ("google", "streamGenerateContent") => {
            let sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
            let framing = if sse {
                gemini::Framing::Events
            } else {
                gemini::Framing::Array
            };
            gemini::generate(&service.answerer, model, Some(framing), &body, broken).await
        }
        _ => not_found(&call),
    }
}

/// A quota of Google's refuses in Google's shape, an overloaded or broken Claude in Anthropic's.
fn refuse(publisher: &str, status: StatusCode, retry_after_s: Option<u32>) -> Response {
    match (publisher, status.as_u16()) {
        (_, 429) => {
            let message = "Resource exhausted. Please try again later.";
            google_error(status, "RESOURCE_EXHAUSTED", message, retry_after_s)
        }
        ("anthropic", code) => {
            let (kind, message) = match code {
                529 => ("overloaded_error", "Overloaded"),
                413 => ("request_too_large", "Request exceeds the maximum size"),
                400..=499 => ("invalid_request_error", "The request is refused"),
                _ => ("api_error", "Internal server error"),
            };
            (
                retry_after(retry_after_s),
                claude::error(status, kind, message),
            )
                .into_response()
        }
        _ => google_error(
            status,
            "INTERNAL",
            "Internal error encountered.",
            retry_after_s,
        ),
    }
}

fn not_found(call: &str) -> Response {
    let message = format!("Publisher model or method `{call}` was not found.");
    google_error(StatusCode::NOT_FOUND, "NOT_FOUND", &message, None)
}

/// An error of Google's front end.
fn google_error(
    status: StatusCode,
    name: &str,
    message: &str,
    retry_after_s: Option<u32>,
) -> Response {
    let body = json!({ "error": { "code": status.as_u16(), "message": message, "status": name } });
    (status, retry_after(retry_after_s), Json(body)).into_response()
}
