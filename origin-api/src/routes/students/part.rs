//! `DELETE /v1/students/{student_id}`: parts the caller from a student.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, ids::UserId, origin::Changed};

/// Answers with whose scope has changed. For teachers.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(student_id): Path<UserId>,
) -> Result<Json<Changed>, ApiError> {
    people::only(&caller.0, Role::Teacher, "Only teachers have students.")?;
    Ok(Json(people::end(&state.pool, &caller.0, student_id).await?))
}
