//! What an admin has purged, and which replies that must have changed.

use journeys::Pupil;
use reqwest::Method;
use shared_types::{
    cache::AnswerId,
    chat::CacheOutcome,
    event::Meta,
    ids::{DocumentId, UserId},
    purge::{PurgeRequest, PurgeTarget, Purged},
};
use std::{collections::BTreeSet, time::Duration};

/// A purge on record.
#[derive(Debug)]
pub struct Purge {
    target: PurgeTarget,
    /// The documents of the purged owner.
    documents: BTreeSet<DocumentId>,
    /// By when it was on record.
    at: Duration,
    /// The answers that were made since then.
    made: BTreeSet<AnswerId>,
    /// Whether there was a search since then.
    has_searched: bool,
}

/// A reply and its circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Whose question.
    pub reader: UserId,
    /// When it was asked.
    pub asked: Duration,
    /// What the reader could be told from.
    pub horizon: Duration,
    /// The documents that it shows.
    pub documents: &'a BTreeSet<DocumentId>,
    /// Where it comes from.
    pub meta: &'a Meta,
}

impl Purge {
    /// Has the edge purge something.
    pub async fn send(
        admin: &Pupil,
        target: PurgeTarget,
        documents: BTreeSet<DocumentId>,
        clock: impl Fn() -> Duration,
    ) -> Self {
        let request = PurgeRequest {
            target: target.clone(),
            reason: "a misprint".to_owned(),
        };
        let sent = admin
            .browser
            .request(Method::POST, "/api/admin/cache/purge");
        let reply = sent.json(&request).send().await.unwrap();
        assert_eq!(reply.status(), reqwest::StatusCode::OK);
        let purged: Purged = reply.json().await.unwrap();
        assert_eq!(purged.purged, target);
        assert!(
            purged.generation > 0 && purged.scopes_dropped > 0,
            "{purged:?}"
        );
        Self {
            target,
            documents,
            at: clock(),
            made: BTreeSet::new(),
            has_searched: false,
        }
    }

    /// Takes note of a reply, which must not be older than the purge where that concerns it.
    pub fn judge(&mut self, reply: Reply<'_>) {
        let cache = reply.meta.cache;
        let id = reply.meta.answer_id.clone().unwrap();
        if self.at <= reply.horizon {
            if cache.answer == CacheOutcome::Hit && self.concerns(&reply, &id) {
                assert!(self.made.contains(&id), "{reply:?} is from before {self:?}");
            }
            if cache.search == CacheOutcome::Hit && self.target == PurgeTarget::Everything {
                assert!(self.has_searched, "{reply:?} is from before {self:?}");
            }
        }
        if self.at <= reply.asked {
            self.has_searched |= cache.search != CacheOutcome::Hit;
            if cache.answer != CacheOutcome::Hit {
                self.made.insert(id);
            }
        }
    }

    fn concerns(&self, reply: &Reply<'_>, id: &AnswerId) -> bool {
        match &self.target {
            PurgeTarget::Everything => true,
            PurgeTarget::Answer(purged) => purged == id,
            PurgeTarget::User(reader) => *reader == reply.reader,
            PurgeTarget::Teacher(_) => !self.documents.is_disjoint(reply.documents),
        }
    }
}
