//! Purging: from a purge on, what caches hold of its target is never served again.
//!
//! Nothing is listed and nothing need be deleted. Each purge has a number, larger than that of every purge
//! before it, and the keys of caches hold the numbers of the last purges that concern what is behind them.

use crate::{
    cache::AnswerId,
    ids::{RequestId, UserId},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest reason, in Unicode scalar values.
pub const MAX_REASON_CHARS: usize = 500;
/// Different single answers that may be purged within [`ANSWER_PURGE_LIFE_S`]: each reader's scope names
/// all of them. Who needs more purges what they were made from.
pub const MAX_PURGED_ANSWERS: usize = 32;
/// How long the purge of a single answer is remembered, in seconds: one hour more than an answer is kept.
/// What was under way when it was purged is kept a little later.
pub const ANSWER_PURGE_LIFE_S: u32 = 25 * 60 * 60;

/// What is not to be served again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TargetFields", into = "TargetFields")]
pub enum PurgeTarget {
    /// One answer.
    Answer(AnswerId),
    /// All that was found or told for this person.
    User(UserId),
    /// All that was made from documents of this owner.
    Teacher(UserId),
    /// All of it.
    Everything,
}

/// `POST /api/admin/cache/purge`, and `POST /v1/admin/cache/purge` behind it: `reason` and exactly one of
/// `answer`, `user`, `teacher` and `"everything": true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RequestFields", into = "RequestFields")]
pub struct PurgeRequest {
    /// What is not to be served again.
    pub target: PurgeTarget,
    /// Why; 1 to [`MAX_REASON_CHARS`] characters. Kept with the purge.
    pub reason: String,
}

/// Why a body asks for no purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PurgeError {
    /// None or several.
    #[error("name exactly one of answer, user, teacher and everything")]
    Targets,
    /// `"everything": false`.
    #[error("everything is true or absent")]
    NotEverything,
    /// None, blank, or too long.
    #[error("say why, in 1 to {MAX_REASON_CHARS} characters")]
    Reason,
}

/// What the origin answers: the purge is on record and in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeRecord {
    /// The purge's number.
    pub generation: u64,
    /// People whose scopes the edge should forget at once. All others follow within
    /// [`crate::cache::STALENESS_BOUND_S`].
    pub readers: Vec<UserId>,
    /// The number of the purge of the same answer before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<u64>,
}

/// What the edge answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// What is not served again: after [`crate::cache::STALENESS_BOUND_S`] to nobody.
    pub purged: PurgeTarget,
    /// The purge's number.
    pub generation: u64,
    /// How many people it holds for at once.
    pub scopes_dropped: usize,
    /// The request, by which the record of the purge is found.
    pub request_id: RequestId,
}

/// The purges that concern a reader, as part of a scope. Zero stands for no purge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purges {
    /// The number of the last purge of everything.
    pub everything: u64,
    /// The number of the last purge of everything or of this reader.
    pub reader: u64,
    /// The single answers that were purged lately, at most [`MAX_PURGED_ANSWERS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<PurgedAnswer>,
}

/// A single answer that was purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgedAnswer {
    /// The answer.
    pub id: AnswerId,
    /// The number of its last purge.
    pub generation: u64,
}

impl Purges {
    /// The number of the last purge of a single answer, where it was purged lately.
    #[must_use]
    pub fn of_answer(&self, id: &AnswerId) -> Option<u64> {
        let mut answers = self.answers.iter();
        let purged = answers.find(|purged| purged.id == *id);
        purged.map(|purged| purged.generation)
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TargetFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    everything: Option<bool>,
}

impl TryFrom<TargetFields> for PurgeTarget {
    type Error = PurgeError;
    fn try_from(fields: TargetFields) -> Result<Self, PurgeError> {
        match (
            fields.answer,
            fields.user,
            fields.teacher,
            fields.everything,
        ) {
            (Some(id), None, None, None) => Ok(Self::Answer(id)),
            (None, Some(id), None, None) => Ok(Self::User(id)),
            (None, None, Some(id), None) => Ok(Self::Teacher(id)),
            (None, None, None, Some(true)) => Ok(Self::Everything),
            (None, None, None, Some(false)) => Err(PurgeError::NotEverything),
            _ => Err(PurgeError::Targets),
        }
    }
}

impl From<PurgeTarget> for TargetFields {
    fn from(target: PurgeTarget) -> Self {
        let mut fields = Self::default();
        match target {
            PurgeTarget::Answer(id) => fields.answer = Some(id),
            PurgeTarget::User(id) => fields.user = Some(id),
            PurgeTarget::Teacher(id) => fields.teacher = Some(id),
            PurgeTarget::Everything => fields.everything = Some(true),
        }
        fields
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    teacher: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    everything: Option<bool>,
    reason: String,
}

impl TryFrom<RequestFields> for PurgeRequest {
    type Error = PurgeError;
    fn try_from(fields: RequestFields) -> Result<Self, PurgeError> {
        let target = TargetFields {
            answer: fields.answer,
            user: fields.user,
            teacher: fields.teacher,
            everything: fields.everything,
        };
        let is_blank = fields.reason.trim().is_empty();
        if is_blank || fields.reason.chars().count() > MAX_REASON_CHARS {
            return Err(PurgeError::Reason);
        }
        Ok(Self {
            target: target.try_into()?,
            reason: fields.reason,
        })
    }
}

impl From<PurgeRequest> for RequestFields {
    fn from(request: PurgeRequest) -> Self {
        let target = TargetFields::from(request.target);
        Self {
            answer: target.answer,
            user: target.user,
            teacher: target.teacher,
            everything: target.everything,
            reason: request.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    const ID: &str = "00000000-0000-0000-0000-000000000007";

    fn read(body: Value) -> Result<PurgeRequest, String> {
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    #[test]
    fn a_purge_names_one_target_and_says_why() {
        let user = UserId(Uuid::from_u128(7));
        let id: AnswerId = "5c".repeat(32).parse().unwrap();
        for (body, target) in [
            (
                json!({"answer": "5c".repeat(32), "reason": "wrong"}),
                PurgeTarget::Answer(id),
            ),
            (
                json!({"user": ID, "reason": "wrong"}),
                PurgeTarget::User(user),
            ),
            (
                json!({"teacher": ID, "reason": "wrong"}),
                PurgeTarget::Teacher(user),
            ),
            (
                json!({"everything": true, "reason": "wrong"}),
                PurgeTarget::Everything,
            ),
        ] {
            let request = read(body.clone()).unwrap();
            assert_eq!(request.target, target);
            assert_eq!(serde_json::to_value(&request).unwrap(), body);
        }
    }

    #[test]
    fn anything_else_is_refused_in_words_that_help() {
        let one_of = "name exactly one of answer, user, teacher and everything";
        let why = "say why, in 1 to 500 characters";
        for (body, words) in [
            (json!({"reason": "wrong"}), one_of),
            (
                json!({"user": ID, "teacher": ID, "reason": "wrong"}),
                one_of,
            ),
            (
                json!({"user": ID, "everything": false, "reason": "wrong"}),
                one_of,
            ),
            (
                json!({"everything": false, "reason": "wrong"}),
                "everything is true or absent",
            ),
            (json!({"everything": true}), "missing field `reason`"),
            (json!({"everything": true, "reason": " "}), why),
            (json!({"everything": true, "reason": "é".repeat(501)}), why),
            (
                json!({"everything": true, "reason": "wrong", "all": 1}),
                "unknown field `all`",
            ),
            (
                json!({"answer": "5c", "reason": "wrong"}),
                "64 lower-case hexadecimal digits",
            ),
            (json!({"user": "somebody", "reason": "wrong"}), "UUID"),
        ] {
            let refused = read(body.clone()).unwrap_err();
            assert!(refused.contains(words), "{body}: {refused}");
        }
        let longest = json!({"everything": true, "reason": "é".repeat(500)});
        assert!(read(longest).is_ok());
    }
}
