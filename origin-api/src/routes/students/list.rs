//! `GET /v1/students`: the caller's students.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, people::PersonList};

/// Answers with the caller's students, the newest first. For teachers.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<PersonList>, ApiError> {
    people::only(&caller.0, Role::Teacher, "Only teachers have students.")?;
    Ok(Json(people::students(&state.pool, &caller.0, part).await?))
}
