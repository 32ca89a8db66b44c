//! Purges, as the origin keeps them; and the stamps that tell when something was made.

use super::history::{PEOPLE, Person};
use shared_types::{
    cache::AnswerId,
    ids::UserId,
    purge::{ANSWER_PURGE_LIFE_S, PurgeTarget, PurgedAnswer, Purges},
};
use std::collections::BTreeMap;

/// A purge on record.
#[derive(Clone, Debug)]
pub struct Purge {
    /// Its place in the record, from 1.
    pub number: u64,
    /// When.
    pub at_ms: i64,
    /// Of what.
    pub target: PurgeTarget,
}

/// The record.
#[derive(Default)]
pub struct Record(pub Vec<Purge>);

impl Record {
    /// Adds a purge, and returns its number and that of the same target's purge before it.
    pub fn add(&mut self, target: PurgeTarget, at_ms: i64) -> (u64, Option<u64>) {
        let earlier = self.last(|purged| *purged == target);
        let number = self.0.len() as u64 + 1;
        self.0.push(Purge {
            number,
            at_ms,
            target,
        });
        (number, (earlier > 0).then_some(earlier))
    }

    /// The number of the last purge of such a target; zero for none.
    fn last(&self, is_such: impl Fn(&PurgeTarget) -> bool) -> u64 {
        let such = self.0.iter().rev().find(|purge| is_such(&purge.target));
        such.map_or(0, |purge| purge.number)
    }

    /// The last purge of somebody's corpus.
    pub fn of_owner(&self, owner: Person) -> u64 {
        self.last(|target| *target == PurgeTarget::Teacher(owner.user_id()))
    }

    /// The last purge of anybody's corpus.
    pub fn of_corpora(&self) -> u64 {
        self.last(|target| matches!(target, PurgeTarget::Teacher(_)))
    }

    /// What a reader must heed.
    pub fn of_reader(&self, reader: Person, now_ms: i64) -> Purges {
        let everything = self.last(|target| *target == PurgeTarget::Everything);
        let own = self.last(|target| *target == PurgeTarget::User(reader.user_id()));
        let life_ms = i64::from(ANSWER_PURGE_LIFE_S) * 1_000;
        let mut answers: BTreeMap<AnswerId, u64> = BTreeMap::new();
        for purge in self.0.iter().filter(|purge| purge.at_ms > now_ms - life_ms) {
            if let PurgeTarget::Answer(id) = &purge.target {
                answers.insert(id.clone(), purge.number);
            }
        }
        let answers = answers.into_iter();
        Purges {
            everything,
            reader: everything.max(own),
            answers: answers
                .map(|(id, generation)| PurgedAnswer { id, generation })
                .collect(),
        }
    }
}

/// When something was made: a word that stands in it, and in whatever a cache hands out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The embedding of the question.
    Embedded,
    /// A passage, by a search.
    Found,
    /// An answer, by the model.
    Told,
}

const DIGITS: usize = 14;

impl Stamp {
    fn word(self) -> &'static str {
        match self {
            Self::Embedded => "embedded@",
            Self::Found => "found@",
            Self::Told => "told@",
        }
    }

    /// The word for this moment.
    pub fn at(self, ms: i64) -> String {
        format!("{}{ms:0DIGITS$}", self.word())
    }

    /// The oldest such moment in a text.
    pub fn oldest_in(self, text: &str) -> Option<i64> {
        let moments = text.split(self.word()).skip(1);
        let moments = moments.filter_map(|rest| rest.get(..DIGITS)?.parse().ok());
        moments.min()
    }
}

/// Whose account it is.
pub fn person(id: UserId) -> Person {
    let mut people = PEOPLE.into_iter();
    people.find(|person| person.user_id() == id).unwrap()
}
