//! Who could read what, and when. It knows the school's rule and nothing of versions or caches.

use super::{
    history::{PEOPLE, Person, Topic},
    library::{Document, Edition, Library},
};
use shared_types::documents::Visibility;
use std::collections::{BTreeMap, BTreeSet};

/// The rights of everybody from one moment until the next.
struct Chapter {
    begins_ms: i64,
    rights: BTreeSet<(Person, Topic, Edition)>,
}

/// All chapters so far.
#[derive(Default)]
pub struct Oracle {
    chapters: Vec<Chapter>,
    owners: BTreeMap<Edition, Person>,
}

/// A span of time: after the one moment, up to and including the other.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Milliseconds since 1970; excluded.
    pub after_ms: i64,
    /// Milliseconds since 1970; included.
    pub until_ms: i64,
}

impl Oracle {
    /// Writes down what is true from now on.
    pub fn observe(&mut self, now_ms: i64, library: &Library) {
        let mut rights = BTreeSet::new();
        for document in &library.documents {
            self.owners.insert(document.edition, document.owner);
            for person in PEOPLE {
                if is_allowed(person, document, &library.enrolments) {
                    rights.insert((person, document.topic, document.edition));
                }
            }
        }
        self.chapters.push(Chapter {
            begins_ms: now_ms,
            rights,
        });
    }

    /// Whose edition it is.
    pub fn owner(&self, edition: Edition) -> Person {
        self.owners[&edition]
    }

    /// Whether the person could read the edition at any moment of the span.
    pub fn allowed_within(&self, person: Person, edition: Edition, span: Span) -> bool {
        self.rights_within(span).any(|rights| {
            let mut own = rights.iter();
            own.any(|(reader, _, text)| (*reader, *text) == (person, edition))
        })
    }

    /// The editions on the topic that the person could read at any moment of the span.
    pub fn ever(&self, person: Person, topic: Topic, span: Span) -> BTreeSet<Edition> {
        self.rights_within(span)
            .flat_map(|rights| on_topic(rights, person, topic))
            .collect()
    }

    /// The editions on the topic that the person could read at every moment of the span.
    pub fn always(&self, person: Person, topic: Topic, span: Span) -> BTreeSet<Edition> {
        let mut chapters = self.rights_within(span);
        let first = chapters
            .next()
            .map(|rights| on_topic(rights, person, topic));
        let mut always: BTreeSet<Edition> = first.into_iter().flatten().collect();
        for rights in chapters {
            always.retain(|edition| rights.contains(&(person, topic, *edition)));
        }
        always
    }

    fn rights_within(
        &self,
        span: Span,
    ) -> impl Iterator<Item = &BTreeSet<(Person, Topic, Edition)>> {
        let ends = self.chapters.iter().skip(1).map(|next| next.begins_ms);
        let ends = ends.chain([i64::MAX]);
        self.chapters
            .iter()
            .zip(ends)
            .filter_map(move |(chapter, ends_ms)| {
                let is_within = ends_ms > span.after_ms && chapter.begins_ms <= span.until_ms;
                is_within.then_some(&chapter.rights)
            })
    }
}

fn on_topic(
    rights: &BTreeSet<(Person, Topic, Edition)>,
    person: Person,
    topic: Topic,
) -> impl Iterator<Item = Edition> {
    rights
        .range((person, topic, Edition(0))..=(person, topic, Edition(u32::MAX)))
        .map(|(_, _, edition)| *edition)
}

fn is_allowed(
    person: Person,
    document: &Document,
    enrolments: &BTreeSet<(Person, Person)>,
) -> bool {
    document.visibility == Visibility::Public
        || document.owner == person
        || person == Person::Admin
        || enrolments.contains(&(person, document.owner))
}
