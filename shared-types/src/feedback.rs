//! What people say of answers, what their teachers' libraries could not answer, and what teachers answer instead.

use crate::ids::{CuratedAnswerId, MessageId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest reason for a judgement, in Unicode scalar values.
pub const MAX_REASON_CHARS: usize = 1_000;
/// The longest answer of a teacher's own, in Unicode scalar values.
pub const MAX_CURATED_CHARS: usize = 4_000;
/// Answers of one teacher's own at most.
pub const MAX_CURATED: u32 = 500;

/// Whether an answer was of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// It was.
    Up,
    /// It was not.
    Down,
}

/// `POST /api/chat/messages/{id}/feedback`: what the person who asked says of the answer. The last word counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// Whether it was of use.
    pub rating: Rating,
    /// Why, in at most [`MAX_REASON_CHARS`] characters. Nobody but the person is shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the person's teachers may know who asked, should the question be shown to them.
    #[serde(default)]
    pub shares_name: bool,
}

/// A student who may be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedStudent {
    /// The student.
    pub id: UserId,
    /// By which name.
    pub full_name: String,
}

/// A question of a teacher's student that was not answered, or not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnansweredQuestion {
    /// The message that it is.
    pub message_id: MessageId,
    /// So that it can be understood by itself.
    pub question: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// Whether there was an answer, which the student says was of no use.
    pub is_covered: bool,
    /// Who asked, where the student lets it be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<NamedStudent>,
}

/// `GET /api/unanswered`: what a teacher's students asked since they are hers, the last first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnansweredList {
    /// The questions.
    pub questions: Vec<UnansweredQuestion>,
    /// Where the next part begins, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /api/curated-answers`: what a teacher answers to a question and those close to it, in place of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurateAnswer {
    /// The question; as long as any.
    pub question: String,
    /// The answer, in at most [`MAX_CURATED_CHARS`] characters of plain text.
    pub answer: String,
}

/// An answer of a teacher's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CuratedAnswer {
    /// The answer.
    pub id: CuratedAnswerId,
    /// The normalised question that it answers.
    pub question: String,
    /// Its text.
    pub answer: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// `GET /api/curated-answers`: those of a teacher, the last first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CuratedList {
    /// The answers.
    pub answers: Vec<CuratedAnswer>,
    /// Where the next part begins, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Whose own answer somebody was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CuratedBy {
    /// The answer.
    pub id: CuratedAnswerId,
    /// The teacher who wrote it.
    pub teacher_name: String,
}
