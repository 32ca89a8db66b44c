//! The caller's own account: taken along, and removed.

use crate::{
    conversations::Kept,
    error::ApiError,
    export::{self, Contents},
    extract::part::LIST_LIMIT,
    library::changed,
    state::AppState,
};
use async_stream::try_stream;
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream::BoxStream};
use shared_types::{
    claims::{AccessClaims, Role},
    origin::Changed,
    people::DeleteAccount,
    problem::ProblemKind,
};
use std::{io, sync::Arc, time::Duration};
use storage::{
    Error, PgPool, conversations, curated, documents, invitations, people, reader, usage,
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    runtime::Handle,
    time::timeout,
};
use tokio_util::io::ReaderStream;

/// Archives that are made at a time.
pub const MAX_EXPORTS: usize = 4;
/// How long a caller is asked to wait where as many are being made.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// What of an archive waits for a slow reader.
const PIPE_BYTES: usize = 256 * 1024;
/// How long a reader may take none of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A whole list, part by part. A macro, since a handler can't await an async closure that borrows: its future would not
/// be `Send`.
macro_rules! all {
    ($list:path, $reader:expr) => {{
        let (mut items, mut behind) = (Vec::new(), None);
        loop {
            let listed = $list($reader, behind, LIST_LIMIT).await?;
            items.extend(listed.items);
            behind = listed.next;
            if behind.is_none() {
                break items;
            }
        }
    }};
}

/// Removes the account, once the caller has said whose it is, with all that is the caller's. Nothing brings it back.
///
/// Documents go one by one, each for good, so that no transaction grows with the library: one that breaks off is made
/// good by the next call.
pub async fn delete(
    pool: &PgPool,
    claims: &AccessClaims,
    confirmed: &DeleteAccount,
) -> Result<Changed, ApiError> {
    let own = claims.email.as_deref().unwrap_or_default();
    if !confirmed.email.trim().eq_ignore_ascii_case(own) {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            "Say the e-mail address of this account, to be sure.",
        ));
    }
    loop {
        let mut reader = reader::begin(pool, claims).await?;
        let listed = documents::list(&mut reader, None, LIST_LIMIT).await?;
        drop(reader);
        if listed.items.is_empty() {
            break;
        }
        for stored in listed.items {
            let mut reader = reader::begin(pool, claims).await?;
            match documents::delete(&mut reader, stored.document.id).await {
                Ok(_) => reader.commit().await?,
                // Deleted meanwhile, by the same person in another window.
                Err(Error::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let mut reader = reader::begin(pool, claims).await?;
    let readers = people::readers_of(reader.connection(), claims.sub).await?;
    people::delete_account(&mut reader).await?;
    reader.commit().await?;
    Ok(changed(String::new(), readers))
}

/// An archive of all that is the caller's: `account.json`, every file under `documents/`, what was said under
/// `conversations/`. What breaks off in the middle ends as a broken connection, never as an archive that lacks something.
pub async fn export(state: &AppState, claims: &AccessClaims) -> Result<Response, ApiError> {
    let Some(share) = state.exports.take(claims.sub) else {
        return Err(ApiError::new(ProblemKind::Overloaded).retry_after(Some(RETRY_AFTER)));
    };
    let contents = gather(&state.pool, claims).await?;
    let (reading, writing) = duplex(PIPE_BYTES);
    let kept = Kept::of(&state.pool, claims);
    let objects = Arc::clone(&state.objects);
    let runtime = Handle::current();
    let making = tokio::task::spawn_blocking(move || {
        let pipe = Pipe {
            writing,
            runtime: runtime.clone(),
        };
        export::write(pipe, contents, &objects, &kept, &runtime)
    });
    let mut pieces = ReaderStream::new(reading);
    let body: BoxStream<'static, io::Result<_>> = Box::pin(try_stream! {
        while let Some(piece) = pieces.next().await {
            yield piece?;
        }
        let made = making.await.map_err(io::Error::from)?;
        if let Err(error) = made {
            tracing::error!(cause = crate::error::chain(&error), "an export broke off");
            Err(io::Error::other(error))?;
        }
        // Held until here.
        drop(share);
    });
    // Under which name it is saved, the edge says.
    let headers = [(header::CONTENT_TYPE, "application/zip")];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Where an archive is written to. Waits for its reader, but not for ever.
struct Pipe {
    writing: DuplexStream,
    runtime: Handle,
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = timeout(PATIENCE, self.writing.write(bytes));
        self.runtime.block_on(write)?
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn gather(pool: &PgPool, claims: &AccessClaims) -> Result<Contents, ApiError> {
    let reader = &mut reader::begin_snapshot(pool, claims).await?;
    let account = people::account(reader, claims.email.clone()).await?;
    let (students, teachers) = match account.role {
        Role::Teacher => (all!(people::students, reader), Vec::new()),
        Role::Student => (Vec::new(), all!(people::teachers, reader)),
        Role::Admin => (Vec::new(), Vec::new()),
    };
    let stored = all!(documents::list, reader);
    let (documents, files) = stored
        .into_iter()
        .map(|stored| (stored.document, stored.file))
        .unzip();
    Ok(Contents {
        account,
        students,
        teachers,
        invitations: all!(invitations::list, reader),
        conversations: all!(conversations::list, reader),
        curated_answers: all!(curated::list, reader),
        usage: usage::days(reader, u32::MAX).await?,
        documents,
        files,
        files_missing: Vec::new(),
    })
}
