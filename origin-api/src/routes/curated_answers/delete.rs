//! `DELETE /v1/curated-answers/{curated_answer_id}`: takes one back.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json, path::Path},
    feedback, people,
    state::AppState,
};
use axum::extract::State;
use shared_types::{claims::Role, ids::CuratedAnswerId, origin::Changed};

/// From now on it is told to nobody, nor shown again. Answers with whose scope has changed. For the teacher who wrote it.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<CuratedAnswerId>,
) -> Result<Json<Changed>, ApiError> {
    people::only(
        &caller.0,
        Role::Teacher,
        "Only teachers have answers of their own.",
    )?;
    Ok(Json(feedback::withdraw(&state.pool, &caller.0, id).await?))
}
