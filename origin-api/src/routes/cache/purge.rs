//! `POST /v1/admin/cache/purge`: has something never served again from a cache.

use crate::{
    error::ApiError,
    extract::{claims::Caller, json::Json},
    library::MAX_READERS,
    requests::RequestContext,
    state::AppState,
};
use axum::{Extension, extract::State};
use shared_types::{
    claims::Role,
    problem::ProblemKind,
    purge::{PurgeRecord, PurgeRequest, PurgeTarget},
};

/// Puts the purge on record and in force, in one transaction, and answers with its number. Sent twice, it is
/// two purges, of which the second finds nothing left to do. For admins.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Json(purge): Json<PurgeRequest>,
) -> Result<Json<PurgeRecord>, ApiError> {
    if caller.role() != Role::Admin {
        return Err(ApiError::refused(
            ProblemKind::Forbidden,
            "Only admins purge caches.",
        ));
    }
    let mut reader = storage::reader::begin(&state.pool, &caller.0).await?;
    let recorded = storage::purges::record(&mut reader, &purge, context.request_id).await;
    let mut record = recorded.map_err(|error| explain(&purge.target, error))?;
    reader.commit().await?;
    record.readers.truncate(MAX_READERS);
    Ok(Json(record))
}

fn explain(target: &PurgeTarget, error: storage::Error) -> ApiError {
    match (target, error) {
        (PurgeTarget::User(_), storage::Error::NotFound) => {
            ApiError::refused(ProblemKind::NotFound, "There is no such user.")
        }
        (PurgeTarget::Teacher(_), storage::Error::NotFound) => {
            ApiError::refused(ProblemKind::NotFound, "There is no such teacher.")
        }
        (PurgeTarget::Answer(_), storage::Error::Conflict) => ApiError::refused(
            ProblemKind::Conflict,
            "Too many single answers within a day. Purge the teacher whose documents they cite, or everything.",
        ),
        (_, error) => error.into(),
    }
}
