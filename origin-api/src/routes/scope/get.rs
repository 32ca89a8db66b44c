//! `GET /v1/scope`: a digest of everything that the caller may read right now, and the purges to heed.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    state::AppState,
};
use axum::extract::State;
use rag_core::scope::scope_version;
use shared_types::origin::Scope;

/// Answers with the caller's scope.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<Scope>, ApiError> {
    let mut reader = storage::reader::begin(&state.pool, &caller.0).await?;
    let facts = storage::scope::facts(&mut reader).await?;
    reader.commit().await?;
    Ok(Json(Scope {
        version: scope_version(&facts),
        purges: facts.purges,
    }))
}
