//! The true library, as the origin keeps it: rights, corpus versions, a search by words, and a model
//! that quotes what it is given.

use super::{
    history::{Nth, Person, Topic},
    purges::{Record, Stamp},
};
use crate::support::library::citation;
use rag_core::{
    access::{DocumentAccess, Reader, may_read},
    scope::{ScopeFacts, scope_version},
};
use sha2::{Digest, Sha256};
use shared_types::{
    chat::{FinishReason, SearchFilters, Usage},
    documents::Visibility,
    event::{AnswerEvent, Delta, Done},
    ids::{ChunkId, DocumentId},
    origin::{Passage, RETRIEVE_LIMIT, Scope, Scoring},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A text that was in the library at some time. Its mark is a word that stands nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition(pub u32);

const MARK: &str = "leaf";
const MARK_DIGITS: usize = 4;

impl Edition {
    fn mark(self) -> String {
        format!("{MARK}{:0MARK_DIGITS$}", self.0)
    }

    /// The editions whose marks stand in a text.
    pub fn quoted_in(text: &str) -> BTreeSet<Self> {
        let after_marks = text.split(MARK).skip(1);
        let digits = after_marks.filter_map(|rest| rest.get(..MARK_DIGITS));
        digits.filter_map(|n| n.parse().ok()).map(Self).collect()
    }
}

/// A document that is searchable.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// The document, and its only passage.
    pub id: u128,
    /// Whose.
    pub owner: Person,
    /// For whom.
    pub visibility: Visibility,
    /// About what.
    pub topic: Topic,
    /// Its text.
    pub edition: Edition,
}

/// Everything that is true at a moment.
#[derive(Default)]
pub struct Library {
    /// What is searchable.
    pub documents: Vec<Document>,
    /// Student and teacher.
    pub enrolments: BTreeSet<(Person, Person)>,
    /// Of each owner's private corpus, and of the public one, as the database's trigger counts them.
    pub versions: BTreeMap<Option<Person>, i64>,
    /// What was purged.
    pub purges: Record,
    /// Whether a corpus keeps its version when a document is added to it.
    pub forgets_uploads: bool,
    /// How many editions there have been.
    pub editions: u32,
}

impl Library {
    /// Adds a document.
    pub fn upload(&mut self, owner: Person, topic: Topic, visibility: Visibility) {
        let edition = self.next_edition();
        let document = Document {
            id: u128::from(edition.0),
            owner,
            visibility,
            topic,
            edition,
        };
        self.documents.push(document);
        if !self.forgets_uploads {
            self.bump(&document);
        }
    }

    /// Gives a document another text.
    pub fn revise(&mut self, nth: Nth) {
        let edition = self.next_edition();
        self.change(nth, |document| document.edition = edition);
    }

    /// Changes who may read a document.
    pub fn show_to(&mut self, nth: Nth, visibility: Visibility) {
        self.change(nth, |document| document.visibility = visibility);
    }

    /// Deletes a document.
    pub fn delete(&mut self, nth: Nth) {
        if let Some(place) = self.place(nth) {
            let document = self.documents.remove(place);
            self.bump(&document);
        }
    }

    /// One of the documents, where there is any.
    pub fn nth(&self, nth: Nth) -> Option<&Document> {
        self.place(nth).map(|place| &self.documents[place])
    }

    fn place(&self, nth: Nth) -> Option<usize> {
        nth.checked_rem(self.documents.len())
    }

    fn change(&mut self, nth: Nth, change: impl FnOnce(&mut Document)) {
        if let Some(place) = self.place(nth) {
            let before = self.documents[place];
            change(&mut self.documents[place]);
            let after = self.documents[place];
            self.bump(&before);
            if after.visibility != before.visibility {
                self.bump(&after);
            }
        }
    }

    fn bump(&mut self, document: &Document) {
        let corpus = match document.visibility {
            Visibility::Public => None,
            Visibility::Private => Some(document.owner),
        };
        *self.versions.entry(corpus).or_default() += 1;
    }

    fn next_edition(&mut self) -> Edition {
        self.editions += 1;
        Edition(self.editions)
    }

    fn teachers(&self, person: Person) -> impl Iterator<Item = Person> {
        let enrolments = self.enrolments.iter();
        enrolments.filter_map(move |(student, teacher)| (*student == person).then_some(*teacher))
    }

    fn readable(&self, person: Person) -> impl Iterator<Item = &Document> {
        let reader = Reader {
            user_id: person.user_id(),
            role: person.role(),
            teachers: self.teachers(person).map(Person::user_id).collect(),
        };
        self.documents.iter().filter(move |document| {
            let access = DocumentAccess {
                owner_id: document.owner.user_id(),
                visibility: document.visibility,
            };
            may_read(&reader, &access)
        })
    }

    /// `GET /v1/scope`
    pub fn scope(&self, person: Person, now_ms: i64) -> Scope {
        let owners: Vec<Person> = match person {
            Person::Admin => self.versions.keys().flatten().copied().collect(),
            other => self.teachers(other).chain([other]).collect(),
        };
        let version = |corpus| self.versions.get(&corpus).copied();
        let owners = owners.into_iter().filter_map(|owner| {
            let version = version(Some(owner))?;
            Some((owner.user_id(), version))
        });
        let facts = ScopeFacts {
            role: person.role(),
            owners: owners.collect(),
            public_version: version(None).unwrap_or_default(),
            purges: self.purges.of_reader(person, now_ms),
            corpora_purged: self.purges.of_corpora(),
        };
        Scope {
            version: scope_version(&facts),
            purges: facts.purges,
        }
    }

    /// `POST /v1/retrieve`: everything that the person may read, what is on the topic first. The titles
    /// end in the stamp.
    pub fn search(
        &self,
        person: Person,
        query: &str,
        filters: &SearchFilters,
        stamp: &str,
    ) -> Vec<Passage> {
        let SearchFilters {
            document_ids,
            owner_ids,
            ..
        } = filters;
        let mut found: Vec<&Document> = self
            .readable(person)
            .filter(|document| {
                let owner = document.owner.user_id();
                (document_ids.is_empty() || document_ids.contains(&document.document_id()))
                    && (owner_ids.is_empty() || owner_ids.contains(&owner))
            })
            .collect();
        found.sort_by_key(|document| !query.contains(document.topic.word()));
        let passages = found.into_iter().take(RETRIEVE_LIMIT).enumerate();
        passages
            .map(|(rank, document)| Passage {
                generation: self.purges.of_owner(document.owner),
                ..document.passage(rank, stamp)
            })
            .collect()
    }

    /// `POST /v1/answer`: quotes the passages, or says that they are off the topic, and when. `None` where
    /// one of them is not the person's to read.
    pub fn answer(
        &self,
        person: Person,
        query: &str,
        chunks: &[ChunkId],
        now_ms: i64,
    ) -> Option<Vec<AnswerEvent>> {
        let readable: Vec<&Document> = self.readable(person).collect();
        let given = chunks.iter().map(|chunk| {
            let mut readable = readable.iter();
            readable.find(|document| document.chunk_id() == *chunk)
        });
        let given: Vec<&&Document> = given.collect::<Option<_>>()?;
        let is_covered = given
            .iter()
            .any(|document| query.contains(document.topic.word()));
        let told = Stamp::Told.at(now_ms);
        let mut events = vec![delta(&told)];
        if is_covered {
            for (index, document) in given.into_iter().enumerate() {
                let passage = document.passage(index, &told);
                events.push(delta(&passage.content));
                events.push(AnswerEvent::Citation(citation(&passage, index)));
            }
        } else {
            events.push(delta("The library does not cover this."));
        }
        events.push(AnswerEvent::Done(Done {
            finish_reason: if is_covered {
                FinishReason::Complete
            } else {
                FinishReason::NotCovered
            },
            confidence: 0.8,
            usage: Usage::default(),
            curated_by: None,
            model_first_token_ms: None,
            model_total_ms: None,
        }));
        Some(events)
    }
}

impl Document {
    /// The document's id on the wire.
    pub fn document_id(&self) -> DocumentId {
        DocumentId(Uuid::from_u128(self.id))
    }

    fn chunk_id(&self) -> ChunkId {
        ChunkId(Uuid::from_u128(self.id))
    }

    fn passage(&self, rank: usize, stamp: &str) -> Passage {
        let (topic, mark) = (self.topic.word(), self.edition.mark());
        let content = format!("On {topic}: {mark}.");
        Passage {
            chunk_id: self.chunk_id(),
            document_id: self.document_id(),
            document_title: format!("Of {mark} {stamp}"),
            page_start: 1,
            page_end: 1,
            section: None,
            content_sha256: hex::encode(Sha256::digest(&content)),
            content,
            generation: 0,
            scoring: Scoring {
                lexical_rank: Some(rank as u32 + 1),
                fused_score: 1.0 / (61.0 + rank as f64),
                ..Scoring::default()
            },
        }
    }
}

fn delta(text: &str) -> AnswerEvent {
    AnswerEvent::Delta(Delta {
        text: text.to_owned(),
    })
}
