//! Files of deleted documents, until they are gone from object storage; and uploads that nobody confirmed.
//!
//! The deletion of a document notes its file. A worker removes it at once, and once more when nothing can
//! bring it back: a confirmation that was under way may have copied the upload into the library meanwhile.

use crate::{Error, documents::format, rows::unsigned};
use shared_types::{
    documents::LibraryFile,
    ids::{DocumentId, UserId},
};
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// After so long no confirmation from before the deletion is under way: the upload's URL is good for ten
/// minutes, and a request for far less.
pub const LAST_REMOVAL: Duration = Duration::from_hours(1);
/// Files in one list at most.
const LIMIT: i64 = 100;

/// How long an upload may wait for its confirmation.
pub const UPLOAD_LIFE: Duration = Duration::from_hours(24);

/// Forgets the uploads that were announced [`UPLOAD_LIFE`] ago and never confirmed; returns how many they were.
#[tracing::instrument(name = "sql.files.expire_uploads", skip_all)]
pub async fn expire_uploads(pool: &PgPool) -> Result<u64, Error> {
    let expired: i64 = sqlx::query_scalar("select expire_uploads(make_interval(secs => $1))")
        .bind(UPLOAD_LIFE.as_secs_f64())
        .fetch_one(pool)
        .await?;
    unsigned(expired, "count")
}

/// Files of deleted documents that are due to be removed, those that have waited longest first, at most 100.
#[tracing::instrument(name = "sql.files.due", skip_all)]
pub async fn due(pool: &PgPool) -> Result<Vec<LibraryFile>, Error> {
    let rows: Vec<(Uuid, Uuid, String, bool)> = sqlx::query_as(
        "select doc_id, owner_id, format, is_base from discarded_files where due_at <= now() \
         order by due_at, doc_id limit $1",
    )
    .bind(LIMIT)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(document_id, owner_id, name, is_base)| {
            Ok(LibraryFile {
                document_id: DocumentId(document_id),
                owner_id: UserId(owner_id),
                format: format(&name)?,
                is_base,
            })
        })
        .collect()
}

/// Notes that a file was removed. It is due once more after [`LAST_REMOVAL`], and forgotten after that.
#[tracing::instrument(name = "sql.files.removed", skip_all)]
pub async fn removed(pool: &PgPool, file: &LibraryFile) -> Result<(), Error> {
    sqlx::query(
        "with forgotten as ( \
             delete from discarded_files \
             where doc_id = $1 and discarded_at <= now() - make_interval(secs => $2) \
         ) \
         update discarded_files set due_at = discarded_at + make_interval(secs => $2) \
         where doc_id = $1 and discarded_at > now() - make_interval(secs => $2)",
    )
    .bind(file.document_id.0)
    .bind(LAST_REMOVAL.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}
