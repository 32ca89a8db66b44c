//! `GET /v1/curated-answers`: a teacher's own answers.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    feedback, people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, feedback::CuratedList};

/// Answers with them, the last first. For teachers.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<CuratedList>, ApiError> {
    people::only(
        &caller.0,
        Role::Teacher,
        "Only teachers have answers of their own.",
    )?;
    Ok(Json(feedback::curated(&state.pool, &caller.0, part).await?))
}
