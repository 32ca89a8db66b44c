//! `GET /v1/account/usage`: what the caller's questions took of the language model.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, query::Query},
    state::AppState,
    usage,
};
use axum::extract::State;
use serde::Deserialize;
use shared_types::{
    problem::ProblemKind,
    usage::{MAX_USAGE_DAYS, UsageReport},
};

/// `?limit=…`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    limit: Option<u32>,
}

/// Answers with the caller's own days, newest first.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Query(Parameters { limit }): Query<Parameters>,
) -> Result<Json<UsageReport>, ApiError> {
    let limit = limit.unwrap_or(MAX_USAGE_DAYS);
    if !(1..=MAX_USAGE_DAYS).contains(&limit) {
        return Err(ApiError::refused(
            ProblemKind::ParametersInvalid,
            format!("A limit is from 1 to {MAX_USAGE_DAYS}."),
        ));
    }
    Ok(Json(usage::report(&state.pool, &caller.0, limit).await?))
}
