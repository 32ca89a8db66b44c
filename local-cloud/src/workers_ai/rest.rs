//! `POST /client/v4/accounts/{account}/ai/run/{model}`: Cloudflare's REST face.

use super::{
    WorkersAi,
    run::{self, Output, RunError},
};
use crate::{
    faults::broken_reply,
    http::{has_bearer, retry_after},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use shared_types::workers_ai::{RestEnvelope, RestError};
use std::sync::Arc;

/// Runs a model. The account may be any; the token must be there.
pub(super) async fn run(
    State(service): State<Arc<WorkersAi>>,
    Path((_account, model)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !has_bearer(&headers) {
        return failure(
            StatusCode::UNAUTHORIZED,
            10_000,
            "Authentication error".into(),
            None,
        );
    }
    let output = match serde_json::from_slice(&body) {
        Ok(input) => service.run(&model, input).await,
        Err(error) => Err(RunError::BadInput(error.to_string())),
    };
    match output {
        Ok(output) => Json(RestEnvelope {
            result: Some(output),
            success: true,
            errors: Vec::new(),
            messages: Vec::new(),
        })
        .into_response(),
        Err(RunError::Cut) => broken_reply(),
        Err(error) => {
            run::log(&error);
            failure(
                error.status(),
                error.code(),
                error.to_string(),
                error.retry_after_s(),
            )
        }
    }
}

fn failure(status: StatusCode, code: u32, message: String, retry_after_s: Option<u32>) -> Response {
    let envelope = RestEnvelope::<Output> {
        result: None,
        success: false,
        errors: vec![RestError { code, message }],
        messages: Vec::new(),
    };
    (status, retry_after(retry_after_s), Json(envelope)).into_response()
}
