//! Documents after their upload: changed, deleted, read once more.

use crate::{error::ApiError, state::AppState, uploads::check_title};
use serde::Serialize;
use shared_types::{
    claims::AccessClaims,
    documents::{ChangeDocument, Document},
    ids::{DocumentId, UserId},
    origin::Changed,
    problem::ProblemKind,
};
use storage::{PgPool, ReaderTx, documents, people, reader};

/// People whose scopes the edge is told to drop: well within what Workers KV allows one invocation. The others' expire
/// within the bound on staleness.
pub(crate) const MAX_READERS: usize = 500;

/// Changes a document of the caller. Passages and versions of the corpora follow in the same transaction, so that
/// no later search finds it otherwise.
pub async fn change(
    pool: &PgPool,
    claims: &AccessClaims,
    id: DocumentId,
    mut change: ChangeDocument,
) -> Result<Changed, ApiError> {
    if change == ChangeDocument::default() {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            "Say what is to change: title, visibility, or both.",
        ));
    }
    if let Some(title) = &mut change.title {
        *title = title.trim().to_owned();
        check_title(title).map_err(|detail| ApiError::refused(ProblemKind::BodyInvalid, detail))?;
    }
    let mut reader = reader::begin(pool, claims).await?;
    let document = documents::change(&mut reader, id, &change).await?;
    let readers = commit(reader, document.owner_id).await?;
    Ok(changed(as_json(&document), readers))
}

/// Deletes a document of the caller, or for an admin anybody's. Its file is removed by a worker.
pub async fn delete(
    pool: &PgPool,
    claims: &AccessClaims,
    id: DocumentId,
) -> Result<Changed, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let document = documents::delete(&mut reader, id).await?;
    let readers = commit(reader, document.owner_id).await?;
    Ok(changed(String::new(), readers))
}

/// Has the file of the caller's document read once more. One that is searchable stays so meanwhile, and afterwards
/// whatever becomes of it.
pub async fn retry(
    state: &AppState,
    claims: &AccessClaims,
    id: DocumentId,
) -> Result<Document, ApiError> {
    let mut reader = reader::begin(&state.pool, claims).await?;
    if let Some(trace) = telemetry::traces::here() {
        reader.within(trace).await?;
    }
    match documents::read_again(&mut reader, id).await {
        Ok(document) => {
            reader.commit().await?;
            state.wake.job_queued(id);
            Ok(document)
        }
        Err(storage::Error::Conflict) => Err(ApiError::refused(
            ProblemKind::Conflict,
            "Only a document that is ready or has failed is read once more, and not while it is being read.",
        )),
        Err(error) => Err(error.into()),
    }
}

/// What the edge is told of a change that concerns `readers`.
pub(crate) fn changed(reply: String, mut readers: Vec<UserId>) -> Changed {
    readers.truncate(MAX_READERS);
    Changed { reply, readers }
}

/// Strings, numbers and dates always serialise.
pub(crate) fn as_json(reply: &impl Serialize) -> String {
    serde_json::to_string(reply).unwrap_or_default()
}

/// Makes a change of this owner's documents permanent; whom it concerns.
async fn commit(mut reader: ReaderTx, owner: UserId) -> Result<Vec<UserId>, ApiError> {
    let readers = people::readers_of(reader.connection(), owner).await?;
    reader.commit().await?;
    Ok(readers)
}
