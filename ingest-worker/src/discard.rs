//! Forgets uploads that nobody confirmed, and removes the files of deleted documents from object storage.

use crate::object_store::ObjectStore;
use std::{convert::Infallible, time::Duration};
use storage::{PgPool, files, invitations};
use tokio::time::sleep;

/// Removes what is due, over and over.
pub async fn keep_removing(pool: &PgPool, store: &ObjectStore, pause: Duration) -> Infallible {
    loop {
        expire_uploads(pool).await;
        expire_invitations(pool).await;
        remove_due(pool, store).await;
        sleep(pause).await;
    }
}

/// Forgets the invitations that nobody may accept any more: addresses of people who have not come.
pub async fn expire_invitations(pool: &PgPool) {
    match invitations::expire(pool).await {
        Ok(0) => {}
        Ok(invitations) => tracing::info!(invitations, "invitations have ended"),
        Err(error) => {
            tracing::warn!(error = %error, "old invitations are not forgotten for now");
        }
    }
}

/// Forgets the uploads that nobody confirmed in time; returns how many they were.
pub async fn expire_uploads(pool: &PgPool) -> u64 {
    match files::expire_uploads(pool).await {
        Ok(0) => 0,
        Ok(uploads) => {
            tracing::info!(uploads, "uploads were never confirmed and are forgotten");
            uploads
        }
        Err(error) => {
            tracing::warn!(error = %error, "old uploads are not forgotten for now");
            0
        }
    }
}

/// Removes what is due, a hundred files at most, and returns how many were removed. What can't be removed stays noted,
/// and is tried again at the next call.
pub async fn remove_due(pool: &PgPool, store: &ObjectStore) -> u64 {
    let due = match files::due(pool).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(error = %error, "files of deleted documents are not known for now");
            return 0;
        }
    };
    let mut gone = 0;
    for file in due {
        // One at a time, and no more after a failure: a store that is down is not asked a hundred times.
        if let Err(error) = store.remove(&file.key()).await {
            tracing::warn!(
                document_id = %file.document_id,
                error = %error,
                "the file of a deleted document is still there; it is tried again"
            );
            return gone;
        }
        if let Err(error) = files::removed(pool, &file).await {
            tracing::warn!(error = %error, "the removal of a file was not noted; it is removed again");
            return gone;
        }
        gone += 1;
    }
    gone
}
