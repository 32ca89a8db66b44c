//! Conversations: `/api/chat/sessions…`. A question that names one is understood by what was asked before it there, and
//! kept there with its answer.

use crate::{
    cache::StoredAnswer,
    chat::{Citation, FinishReason, Source, Usage},
    feedback::{CuratedBy, Feedback},
    ids::{ChatSessionId, MessageId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest title, in Unicode scalar values.
pub const MAX_TITLE_CHARS: usize = 120;
/// Conversations of one person at most.
pub const MAX_SESSIONS: u32 = 1_000;
/// Messages of one conversation at most.
pub const MAX_MESSAGES: u32 = 200;

/// `POST /api/chat/sessions`: begins a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// Its title, at most [`MAX_TITLE_CHARS`] characters; the first question gives it one where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatSession {
    /// The conversation.
    pub id: ChatSessionId,
    /// What it is called; empty before its first question.
    pub title: String,
    /// Messages in it.
    pub message_count: u32,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When something was last asked in it.
    pub last_asked_at: DateTime<Utc>,
}

/// `GET /api/chat/sessions`: those of the caller, the one last asked in first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// The conversations.
    pub sessions: Vec<ChatSession>,
    /// Where the next part begins, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A question in a conversation, and what was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The message.
    pub id: MessageId,
    /// The question in the person's words.
    pub asked: String,
    /// The question as it was searched for and answered: one that can be understood by itself.
    pub question: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// What the person said of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// What became of the answer.
    #[serde(flatten)]
    pub reply: MessageReply,
}

/// What became of the answer to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum MessageReply {
    /// Here it is.
    Answered {
        /// The answer.
        answer: MessageAnswer,
    },
    /// It rests on a document that the person may not read any more, so it is not shown.
    Withheld,
    /// It broke off, or has not ended yet.
    Unanswered,
}

/// An answer as it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageAnswer {
    /// The text, with `[n]` where citation `n` stands.
    pub text: String,
    /// In order of marker, without repeats.
    pub citations: Vec<Citation>,
    /// The passages that the model was given, best first.
    pub sources: Vec<Source>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens used for this very answer when it was made.
    pub usage: Usage,
    /// The teacher whose own answer it is, in place of one from the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated_by: Option<CuratedBy>,
}

/// `GET /api/chat/sessions/{id}/messages`: those of a conversation, the last one first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageList {
    /// The messages.
    pub messages: Vec<Message>,
    /// Where the next part begins, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /v1/chat/sessions/{id}/messages`, between edge and origin: somebody asks in a conversation. The reply is the
/// [`Turn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The question in the person's words.
    pub query: String,
    /// Whether they have been told the beginning of its answer: where it is the last question of the conversation, that
    /// is the one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumes: bool,
}

/// The place of a question in a conversation, and how it was understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The conversation.
    pub session_id: ChatSessionId,
    /// The message that the question and its answer make.
    pub message_id: MessageId,
    /// The question that is searched for and answered: as it was asked, or put so that it can be understood by itself.
    pub question: String,
    /// Whether it was put in other words.
    pub is_rewritten: bool,
}

/// `PUT /v1/chat/messages/{id}/answer`, between edge and origin: what was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The answer.
    pub answer: StoredAnswer,
    /// The passages that the model was given, best first.
    pub sources: Vec<Source>,
}
