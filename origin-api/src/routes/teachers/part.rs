//! `DELETE /v1/teachers/{teacher_id}`: parts the caller from a teacher.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, ids::UserId, origin::Changed};

/// Answers with whose scope has changed. For students.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(teacher_id): Path<UserId>,
) -> Result<Json<Changed>, ApiError> {
    people::only(&caller.0, Role::Student, "Only students have teachers.")?;
    Ok(Json(people::end(&state.pool, &caller.0, teacher_id).await?))
}
