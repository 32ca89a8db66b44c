//! A document on its way, told live.

use crate::{
    error::{ApiError, chain},
    shares::Share,
    state::AppState,
    uploads,
};
use axum::response::sse::Event;
use futures_util::{Stream, stream};
use shared_types::{
    claims::AccessClaims,
    documents::Document,
    ids::{DocumentId, RequestId},
    problem::{Problem, ProblemKind},
};
use std::{convert::Infallible, time::Duration};
use tokio::time::{Instant, sleep};

/// Documents that are watched at a time: each is a request in work for as long.
pub const MAX_WATCHES: usize = 128;
/// Of one person: more than a browser has connections.
pub const WATCHES_EACH: usize = 8;
/// How long a caller is asked to wait where as many are watched.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Between two looks. One is a row by its key.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest that a stream goes on: longer than a job may take. A browser that still waits comes again by itself, with
/// the token that it has by then.
const LIFE: Duration = Duration::from_mins(15);
/// Looks in a row that may fail.
const FAILURES: u32 = 6;

/// The events of a document of the caller: `document` as it stands, and again whenever that has changed, until it is
/// searchable or has failed. What goes wrong comes as `error`, and is the last.
pub fn watch(
    state: AppState,
    claims: AccessClaims,
    request_id: RequestId,
    document: Document,
) -> Result<impl Stream<Item = Result<Event, Infallible>>, ApiError> {
    let Some(share) = state.watches.take(claims.sub) else {
        return Err(ApiError::new(ProblemKind::Overloaded).retry_after(Some(RETRY_AFTER)));
    };
    let watch = Watch {
        _share: share,
        state,
        claims,
        request_id,
        id: document.id,
        since: Instant::now(),
        next: Some(Told::Document(Box::new(document))),
        last: None,
    };
    Ok(stream::unfold(watch, |mut watch| async {
        let told = watch.next().await?;
        Some((Ok(told.event()), watch))
    }))
}

struct Watch {
    _share: Share,
    state: AppState,
    claims: AccessClaims,
    request_id: RequestId,
    id: DocumentId,
    since: Instant,
    next: Option<Told>,
    last: Option<Box<Document>>,
}

enum Told {
    Document(Box<Document>),
    Error(Problem),
}

impl Watch {
    async fn next(&mut self) -> Option<Told> {
        if let Some(told) = self.next.take() {
            if let Told::Document(document) = &told {
                self.last = Some(document.clone());
            }
            return Some(told);
        }
        // Behind an error, or the end of the document's way, there is nothing.
        let last = self
            .last
            .as_deref()
            .filter(|last| !last.is_settled())?
            .clone();
        let mut failures = 0;
        while self.since.elapsed() < LIFE {
            sleep(PAUSE).await;
            match uploads::own_document(&self.state.pool, &self.claims, self.id).await {
                Ok(document) if document == last => failures = 0,
                Ok(document) => {
                    self.last = Some(Box::new(document.clone()));
                    return Some(Told::Document(Box::new(document)));
                }
                Err(error) => {
                    failures += 1;
                    let is_gone = error.problem().is(ProblemKind::NotFound);
                    if is_gone || failures == FAILURES {
                        tracing::warn!(cause = error.cause(), "a document is not watched further");
                        self.last = None;
                        let problem = error.problem().clone();
                        return Some(Told::Error(problem.with_instance(self.request_id)));
                    }
                }
            }
        }
        None
    }
}

impl Told {
    fn event(&self) -> Event {
        let told = match self {
            Self::Document(document) => Event::default().event("document").json_data(document),
            Self::Error(problem) => Event::default().event("error").json_data(problem),
        };
        // Strings, numbers and dates always serialise.
        told.unwrap_or_else(|error| {
            tracing::error!(cause = chain(&error), "an event could not be written");
            Event::default().comment("an event could not be written")
        })
    }
}
