//! What must be true of every response in a history.

use super::{
    history::{Form, Person, Question},
    library::Edition,
    oracle::{Oracle, Span},
    purges::{Purge, Record, Stamp},
};
use shared_types::{cache::AnswerId, origin::ANSWER_PASSAGES, purge::PurgeTarget};
use std::{cell::RefCell, collections::BTreeSet, ops::AddAssign, rc::Rc};

/// A question on its way, and as much of the reply as has come.
#[derive(Default)]
pub struct Told {
    /// When the head of the reply was there.
    pub head_ms: Option<i64>,
    /// Its status.
    pub status: u16,
    /// Its body so far.
    pub body: Vec<u8>,
}

impl Told {
    /// Which answer it is.
    pub fn answer_id(&self) -> Option<AnswerId> {
        let body = String::from_utf8_lossy(&self.body);
        let (_, rest) = body.split_once("\"answer_id\":\"")?;
        rest.get(..64)?.parse().ok()
    }
}

/// A question that was asked.
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Whether it is put to a part of the library.
    pub is_narrowed: bool,
    /// When.
    pub at_ms: i64,
    /// Nothing older than this may be the reason of what it is told.
    pub horizon_ms: i64,
    /// What it is told.
    pub told: Rc<RefCell<Told>>,
}

/// What a history had to show for itself, in complete replies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Out of the answer cache.
    pub remembered: u32,
    /// That had to rest on something.
    pub founded: u32,
    /// On a topic of which there was something that the reader could not read.
    pub withheld: u32,
    /// That a purge kept from being an older one.
    pub purged: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.remembered += other.remembered;
        self.founded += other.founded;
        self.withheld += other.withheld;
        self.purged += other.purged;
    }
}

/// Judges replies by what was true.
pub struct Judge<'a> {
    /// Who could read what.
    pub oracle: &'a Oracle,
    /// What was purged.
    pub purges: &'a Record,
}

impl Judge<'_> {
    /// What a reply has to show for itself; the error says what is wrong with it.
    pub fn judge(&self, asked: &Asked) -> Result<Tally, String> {
        let told = asked.told.borrow();
        let Some(head_ms) = told.head_ms else {
            return Ok(Tally::default());
        };
        let Question { who, topic, .. } = asked.question;
        let body = String::from_utf8_lossy(&told.body);
        let quoted = Edition::quoted_in(&body);
        let span = Span {
            after_ms: asked.horizon_ms,
            until_ms: head_ms,
        };
        for edition in &quoted {
            if !self.oracle.allowed_within(who, *edition, span) {
                return Err(asked.complain(&format!("shows {edition:?}"), &body));
            }
        }
        let purged = self.judge_age(asked, &told)?;
        if !asked.is_complete(&told, &body) {
            return Ok(Tally::default());
        }
        let owed = self.owed(asked, span);
        if let Some(edition) = owed.difference(&quoted).next() {
            return Err(asked.complain(&format!("leaves out {edition:?}"), &body));
        }
        let all = self.oracle.ever(Person::Admin, topic, span);
        Ok(Tally {
            remembered: u32::from(body.contains("\"answer\":\"hit\"")),
            founded: u32::from(!owed.is_empty()),
            withheld: u32::from(all.len() > self.oracle.ever(who, topic, span).len()),
            purged: u32::from(purged),
        })
    }

    /// Whether a purge was to be heeded; the error says where one was not.
    fn judge_age(&self, asked: &Asked, told: &Told) -> Result<bool, String> {
        let body = String::from_utf8_lossy(&told.body);
        let purges = self.purges.0.iter();
        let purges = purges.filter(|purge| purge.at_ms <= asked.horizon_ms);
        let mut is_concerned = false;
        for purge in purges {
            for stamp in self.concerned(purge, asked, told, &body) {
                is_concerned = true;
                if stamp.oldest_in(&body).is_some_and(|ms| ms < purge.at_ms) {
                    return Err(asked.complain(&format!("is {stamp:?} before {purge:?}"), &body));
                }
            }
        }
        Ok(is_concerned)
    }

    /// What of a reply a purge concerns.
    fn concerned(&self, purge: &Purge, asked: &Asked, told: &Told, body: &str) -> Vec<Stamp> {
        match &purge.target {
            PurgeTarget::Everything => vec![Stamp::Embedded, Stamp::Found, Stamp::Told],
            PurgeTarget::User(id) if *id == asked.question.who.user_id() => {
                vec![Stamp::Found, Stamp::Told]
            }
            PurgeTarget::Teacher(id) => {
                let is_of_owner = |edition| self.oracle.owner(edition).user_id() == *id;
                let mut shown = Edition::quoted_in(body).into_iter();
                let is_concerned = shown.any(is_of_owner);
                let stamps = [Stamp::Found, Stamp::Told].into_iter();
                stamps.filter(|_| is_concerned).collect()
            }
            PurgeTarget::Answer(id) if told.answer_id().as_ref() == Some(id) => vec![Stamp::Told],
            PurgeTarget::User(_) | PurgeTarget::Answer(_) => vec![],
        }
    }

    /// What a complete answer must rest on.
    fn owed(&self, asked: &Asked, span: Span) -> BTreeSet<Edition> {
        let Question { who, topic, .. } = asked.question;
        // With more than an answer takes, any of them may be the ones.
        let may_be_many = self.oracle.ever(who, topic, span).len() > ANSWER_PASSAGES;
        if asked.is_narrowed || may_be_many {
            return BTreeSet::new();
        }
        self.oracle.always(who, topic, span)
    }
}

impl Asked {
    fn is_complete(&self, told: &Told, body: &str) -> bool {
        let is_ended = self.question.form == Form::Json || body.contains("event: done");
        told.status == 200 && is_ended
    }

    fn complain(&self, what: &str, body: &str) -> String {
        format!(
            "the reply to {:?}, asked at {} ms, {what}:\n{body}",
            self.question, self.at_ms
        )
    }
}
