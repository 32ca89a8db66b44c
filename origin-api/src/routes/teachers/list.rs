//! `GET /v1/teachers`: the caller's teachers.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, part::Part},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, people::PersonList};

/// Answers with the caller's teachers, the newest first. For students.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    part: Part,
) -> Result<Json<PersonList>, ApiError> {
    people::only(&caller.0, Role::Student, "Only students have teachers.")?;
    Ok(Json(people::teachers(&state.pool, &caller.0, part).await?))
}
