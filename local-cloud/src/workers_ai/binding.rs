//! What workerd's `Ai` class talks to where Miniflare points it here: any path, the model in a header,
//! the bare output in the reply.
//!
//! Source: `src/cloudflare/internal/ai-api.ts` in workerd.

use super::{
    WorkersAi,
    run::{self, RunError},
};
use crate::{faults::broken_reply, host, http::retry_after};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Miniflare prefixes every header of the original request.
const MODEL_HEADERS: [&str; 2] = ["mf-header-cf-consn-model-id", "cf-consn-model-id"];

#[derive(Deserialize)]
struct BindingRequest {
    inputs: Value,
}

/// The body from which the `Ai` class makes its exception: `"{internalCode}: {description}"`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BindingError {
    internal_code: u32,
    name: &'static str,
    message: String,
    description: String,
}

/// Runs the model that the header names.
pub(super) async fn run(
    State(service): State<Arc<WorkersAi>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let model = MODEL_HEADERS
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok());
    let output = match (model, serde_json::from_slice::<BindingRequest>(&body)) {
        (Some(model), Ok(request)) => service.run(model, request.inputs).await,
        (None, _) => Err(RunError::NoSuchModel(String::new())),
        (_, Err(error)) => Err(RunError::BadInput(error.to_string())),
    };
    let mut response = match output {
        Ok(output) => Json(output).into_response(),
        Err(RunError::Cut) => return broken_reply(),
        Err(error) => {
            run::log(&error);
            failure(&error)
        }
    };
    if let Ok(id) = HeaderValue::from_str(&host::new_id().to_string()) {
        response.headers_mut().insert("cf-ai-req-id", id);
    }
    response
}

fn failure(error: &RunError) -> Response {
    let body = BindingError {
        internal_code: error.code(),
        name: "InferenceUpstreamError",
        message: error.to_string(),
        description: error.to_string(),
    };
    let patience = retry_after(error.retry_after_s());
    (error.status(), patience, Json(body)).into_response()
}
