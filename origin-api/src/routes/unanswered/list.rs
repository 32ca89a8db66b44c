//! `GET /v1/unanswered`: what a teacher's students asked that was not answered, or not well.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    feedback, people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, feedback::UnansweredList};

/// Answers with the questions, the last first. For teachers.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<UnansweredList>, ApiError> {
    people::only(
        &caller.0,
        Role::Teacher,
        "Only teachers are shown what their students asked.",
    )?;
    Ok(Json(
        feedback::unanswered(&state.pool, &caller.0, part).await?,
    ))
}
