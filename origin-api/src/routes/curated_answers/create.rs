//! `POST /v1/curated-answers`: a teacher's own answer to a question, for her students.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    feedback, people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, feedback::CurateAnswer, origin::Changed};

/// Keeps it in place of the former to the same question. Answers with it, and with whose scope has changed. For teachers.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Json(wanted): Json<CurateAnswer>,
) -> Result<Json<Changed>, ApiError> {
    people::only(
        &caller.0,
        Role::Teacher,
        "Only teachers write answers of their own.",
    )?;
    Ok(Json(
        feedback::curate(&state.pool, &caller.0, wanted).await?,
    ))
}
