//! Conversations: questions with their answers, each person's own.

use crate::{
    Cursor, Error, Listed, ReaderTx,
    cursor::{Parameters, Part},
    rows::{signed, unsigned},
};
use chrono::{DateTime, Utc};
use rag_core::{
    answer::written,
    conversation::{CONTEXT_QUESTIONS, Earlier},
};
use shared_types::{
    chat::FinishReason,
    conversation::{
        Answered, ChatSession, MAX_MESSAGES, MAX_SESSIONS, Message, MessageAnswer, MessageReply,
    },
    feedback::{Feedback, Rating},
    ids::{ChatSessionId, MessageId},
};
use sqlx::{FromRow, types::Json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Messages in one part of a list at most: each has a whole answer.
pub const MESSAGE_LIST_LIMIT: u32 = 50;

#[derive(FromRow)]
struct SessionRow {
    id: Uuid,
    title: String,
    message_count: i32,
    created_at: DateTime<Utc>,
    last_asked_at: DateTime<Utc>,
}

impl TryFrom<SessionRow> for ChatSession {
    type Error = Error;
    fn try_from(row: SessionRow) -> Result<Self, Error> {
        Ok(Self {
            id: ChatSessionId(row.id),
            title: row.title,
            message_count: unsigned(row.message_count, "number of messages")?,
            created_at: row.created_at,
            last_asked_at: row.last_asked_at,
        })
    }
}

#[derive(FromRow)]
struct MessageRow {
    id: Uuid,
    asked: String,
    question: String,
    asked_at: DateTime<Utc>,
    answer: Option<Json<Answered>>,
    is_helpful: Option<bool>,
    reason: Option<String>,
    shares_name: bool,
    is_withheld: bool,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        let reply = match row.answer {
            Some(Json(answered)) => MessageReply::Answered {
                answer: message_answer(answered),
            },
            None if row.is_withheld => MessageReply::Withheld,
            None => MessageReply::Unanswered,
        };
        let shares_name = row.shares_name;
        let feedback = row.is_helpful.map(|is_helpful| Feedback {
            rating: if is_helpful { Rating::Up } else { Rating::Down },
            reason: row.reason,
            shares_name,
        });
        Self {
            id: MessageId(row.id),
            asked: row.asked,
            question: row.question,
            asked_at: row.asked_at,
            feedback,
            reply,
        }
    }
}

fn message_answer(Answered { answer, sources }: Answered) -> MessageAnswer {
    let (text, citations) = written(&answer);
    MessageAnswer {
        text,
        citations,
        sources,
        confidence: answer.confidence,
        finish_reason: answer.finish_reason,
        usage: answer.usage,
        curated_by: answer.curated_by,
    }
}

/// Begins a conversation of the reader; without a title, its first question gives it one. [`Error::Conflict`]: the
/// reader has [`MAX_SESSIONS`].
#[tracing::instrument(name = "sql.conversations.create", skip_all)]
pub async fn create(
    reader: &mut ReaderTx,
    id: ChatSessionId,
    title: &str,
) -> Result<ChatSession, Error> {
    let person = reader.user_id();
    // One after the other, so that they are counted.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('chat_sessions ' || $1::text, 0))")
        .bind(person.0)
        .execute(reader.connection())
        .await?;
    let kept: i64 = sqlx::query_scalar("select count(*) from chat_sessions where user_id = $1")
        .bind(person.0)
        .fetch_one(reader.connection())
        .await?;
    if unsigned::<_, u32>(kept, "count")? >= MAX_SESSIONS {
        return Err(Error::Conflict);
    }
    let inserted = sqlx::query_as(
        "insert into chat_sessions (id, user_id, title) values ($1, $2, $3) \
         returning id, title, message_count, created_at, last_asked_at",
    )
    .bind(id.0)
    .bind(person.0)
    .bind(title)
    .fetch_one(reader.connection())
    .await;
    let row: SessionRow = inserted.map_err(Error::of_person)?;
    row.try_into()
}

/// The reader's conversations behind a place, the one last asked in first, at most `limit`.
#[tracing::instrument(name = "sql.conversations.list", skip_all)]
pub async fn list(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<ChatSession>, Error> {
    let person = reader.user_id();
    let part = Part::new(behind, limit);
    let Parameters { time, id, rows } = part.parameters()?;
    let rows: Vec<SessionRow> = sqlx::query_as(
        "select id, title, message_count, created_at, last_asked_at from chat_sessions \
         where user_id = $1 \
           and (last_asked_at, id) < \
               (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) \
         order by last_asked_at desc, id desc limit $4",
    )
    .bind(person.0)
    .bind(time)
    .bind(id)
    .bind(rows)
    .fetch_all(reader.connection())
    .await?;
    let sessions = rows.into_iter().map(ChatSession::try_from);
    let sessions = sessions.collect::<Result<Vec<_>, _>>()?;
    Ok(part.of(sessions, |session| (session.last_asked_at, session.id.0)))
}

/// One of the reader's conversations. [`Error::NotFound`]: there is none, or it is somebody else's.
#[tracing::instrument(name = "sql.conversations.get", skip_all)]
pub async fn get(reader: &mut ReaderTx, id: ChatSessionId) -> Result<ChatSession, Error> {
    let row: SessionRow = sqlx::query_as(
        "select id, title, message_count, created_at, last_asked_at from chat_sessions \
         where id = $1 and user_id = $2",
    )
    .bind(id.0)
    .bind(reader.user_id().0)
    .fetch_one(reader.connection())
    .await?;
    row.try_into()
}

/// Removes a conversation of the reader with all its messages. [`Error::NotFound`] as for [`get`].
#[tracing::instrument(name = "sql.conversations.delete", skip_all)]
pub async fn delete(reader: &mut ReaderTx, id: ChatSessionId) -> Result<(), Error> {
    let person = reader.user_id();
    let gone = sqlx::query("delete from chat_sessions where id = $1 and user_id = $2")
        .bind(id.0)
        .bind(person.0)
        .execute(reader.connection())
        .await?;
    match gone.rows_affected() {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

/// The messages of a conversation of the reader behind a place, the last one first, at most `limit` and at most
/// [`MESSAGE_LIST_LIMIT`]. [`Error::NotFound`] as for [`get`].
///
/// An answer is shown to whoever may read every document that it cites or names at this moment and is still told it, where
/// it is a teacher's own; it is withheld otherwise.
#[tracing::instrument(name = "sql.conversations.messages", skip_all)]
pub async fn messages(
    reader: &mut ReaderTx,
    id: ChatSessionId,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<Message>, Error> {
    get(reader, id).await?;
    let part = Part::new(behind, limit.min(MESSAGE_LIST_LIMIT));
    let Parameters {
        time,
        id: last,
        rows,
    } = part.parameters()?;
    let rows: Vec<MessageRow> = sqlx::query_as(include_str!("conversations/messages.sql"))
        .bind(id.0)
        .bind(time)
        .bind(last)
        .bind(rows)
        .fetch_all(reader.connection())
        .await?;
    let messages = rows.into_iter().map(Message::from).collect();
    Ok(part.of(messages, |message: &Message| {
        (message.asked_at, message.id.0)
    }))
}

/// The last questions of a conversation of the reader, in the order of asking, [`CONTEXT_QUESTIONS`] at most.
/// [`Error::NotFound`] as for [`get`]; [`Error::Conflict`]: it has [`MAX_MESSAGES`].
#[tracing::instrument(name = "sql.conversations.context", skip_all)]
pub async fn context(reader: &mut ReaderTx, id: ChatSessionId) -> Result<Vec<Earlier>, Error> {
    if get(reader, id).await?.message_count >= MAX_MESSAGES {
        return Err(Error::Conflict);
    }
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select asked, question from chat_messages where session_id = $1 \
         order by number desc limit $2",
    )
    .bind(id.0)
    .bind(signed::<_, i64>(CONTEXT_QUESTIONS, "limit")?)
    .fetch_all(reader.connection())
    .await?;
    let earlier = rows.into_iter().rev();
    Ok(earlier
        .map(|(asked, question)| Earlier { asked, question })
        .collect())
}

/// The last question of a conversation of the reader, and which message it is. `None` where there is neither a question nor such a conversation.
#[tracing::instrument(name = "sql.conversations.last", skip_all)]
pub async fn last(
    reader: &mut ReaderTx,
    id: ChatSessionId,
) -> Result<Option<(MessageId, Earlier)>, Error> {
    let person = reader.user_id();
    let row: Option<(Uuid, String, String)> = sqlx::query_as(
        "select id, asked, question from chat_messages \
         where session_id = $1 and user_id = $2 order by number desc limit 1",
    )
    .bind(id.0)
    .bind(person.0)
    .fetch_optional(reader.connection())
    .await?;
    Ok(row.map(|(id, asked, question)| (MessageId(id), Earlier { asked, question })))
}

/// A question that is asked in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Which message it is going to be.
    pub id: MessageId,
    /// In the person's words.
    pub asked: &'a str,
    /// So that it can be understood by itself.
    pub question: &'a str,
    /// That, normalised.
    pub normalised: &'a str,
    /// The conversation's title where it has none yet.
    pub title: &'a str,
}

/// Puts a question behind the others of a conversation of the reader. Errors as of [`context`].
#[tracing::instrument(name = "sql.conversations.ask", skip_all)]
pub async fn ask(
    reader: &mut ReaderTx,
    id: ChatSessionId,
    question: &Question<'_>,
) -> Result<(), Error> {
    let person = reader.user_id();
    // Whoever asks at the same moment waits here, so no number is given twice.
    let before: i32 = sqlx::query_scalar(
        "select message_count from chat_sessions where id = $1 and user_id = $2 for update",
    )
    .bind(id.0)
    .bind(person.0)
    .fetch_one(reader.connection())
    .await?;
    if unsigned::<_, u32>(before, "number of messages")? >= MAX_MESSAGES {
        return Err(Error::Conflict);
    }
    sqlx::query(
        "with counted as ( \
             update chat_sessions \
             set message_count = message_count + 1, \
                 last_asked_at = greatest(last_asked_at, now()), \
                 title = case title when '' then $7 else title end \
             where id = $2 \
             returning message_count \
         ) \
         insert into chat_messages (id, session_id, user_id, number, asked, question, normalised) \
         select $1, $2, $3, message_count, $4, $5, $6 from counted",
    )
    .bind(question.id.0)
    .bind(id.0)
    .bind(person.0)
    .bind(question.asked)
    .bind(question.question)
    .bind(question.normalised)
    .bind(question.title)
    .execute(reader.connection())
    .await?;
    Ok(())
}

/// Writes down what a question of the reader was answered with, once. [`Error::NotFound`]: there is no such message of
/// the reader, or it has its answer.
#[tracing::instrument(name = "sql.conversations.answered", skip_all)]
pub async fn answered(
    reader: &mut ReaderTx,
    id: MessageId,
    answered: &Answered,
) -> Result<(), Error> {
    let person = reader.user_id();
    let documents: BTreeSet<Uuid> = answered
        .sources
        .iter()
        .map(|source| source.document_id)
        .chain(
            answered
                .answer
                .citations()
                .map(|citation| citation.document_id),
        )
        .map(|document| document.0)
        .collect();
    let curated = answered.answer.curated_by.as_ref();
    let written = sqlx::query(
        "with answered as ( \
             update chat_messages set finish_reason = $3, answered_at = now() \
             where id = $1 and user_id = $2 and answered_at is null \
             returning id \
         ) \
         insert into chat_answers (message_id, user_id, answer, document_ids, curated_id) \
         select id, $2, $4, $5, $6 from answered",
    )
    .bind(id.0)
    .bind(person.0)
    .bind(finish_reason(answered.answer.finish_reason))
    .bind(Json(answered))
    .bind(documents.into_iter().collect::<Vec<_>>())
    .bind(curated.map(|curated| curated.id.0))
    .execute(reader.connection())
    .await?;
    match written.rows_affected() {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Complete => "complete",
        FinishReason::Length => "length",
        FinishReason::NotCovered => "not-covered",
        FinishReason::Declined => "declined",
    }
}
