//! What a person may read right now, as versions.

use crate::{Error, ReaderTx};
use rag_core::scope::ScopeFacts;
use shared_types::ids::UserId;
use uuid::Uuid;

/// The facts behind the person's scope version: every owner whose private documents the person may
/// read and who has or had any (the person, too; all such owners for an admin), with the version of
/// that corpus, and the version of the public corpus. A version grows in the transaction that changes its corpus.
#[tracing::instrument(name = "sql.scope.facts", skip_all)]
pub async fn facts(reader: &mut ReaderTx) -> Result<ScopeFacts, Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let (public_version, owners, versions): (i64, Vec<Uuid>, Vec<i64>) =
        sqlx::query_as(include_str!("scope/facts.sql"))
            .bind(user_id.0)
            .bind(role.as_str())
            .fetch_one(reader.connection())
            .await?;
    Ok(ScopeFacts {
        role,
        owners: owners.into_iter().map(UserId).zip(versions).collect(),
        public_version,
    })
}
