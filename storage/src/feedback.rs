//! What people say of answers, and what teachers are told of it.

use crate::{
    Cursor, Error, Listed, ReaderTx,
    cursor::{Parameters, Part},
};
use chrono::{DateTime, Utc};
use shared_types::{
    feedback::{Feedback, NamedStudent, Rating, UnansweredQuestion},
    ids::{MessageId, UserId},
};
use sqlx::FromRow;
use uuid::Uuid;

#[derive(FromRow)]
struct Row {
    message_id: Uuid,
    question: String,
    asked_at: DateTime<Utc>,
    is_covered: bool,
    student_id: Option<Uuid>,
    student_name: Option<String>,
}

impl From<Row> for UnansweredQuestion {
    fn from(row: Row) -> Self {
        let student = row.student_id.zip(row.student_name);
        Self {
            message_id: MessageId(row.message_id),
            question: row.question,
            asked_at: row.asked_at,
            is_covered: row.is_covered,
            student: student.map(|(id, full_name)| NamedStudent {
                id: UserId(id),
                full_name,
            }),
        }
    }
}

/// Writes down what the reader says of an answer of the reader's, in place of what was said before.
/// [`Error::NotFound`]: there is no such message of the reader.
#[tracing::instrument(name = "sql.feedback.give", skip_all)]
pub async fn give(
    reader: &mut ReaderTx,
    message: MessageId,
    feedback: &Feedback,
) -> Result<(), Error> {
    let person = reader.user_id();
    let known =
        sqlx::query("update chat_messages set shares_name = $3 where id = $1 and user_id = $2")
            .bind(message.0)
            .bind(person.0)
            .bind(feedback.shares_name)
            .execute(reader.connection())
            .await?;
    if known.rows_affected() == 0 {
        return Err(Error::NotFound);
    }
    sqlx::query(
        "insert into message_feedback (message_id, user_id, is_helpful, reason) \
         values ($1, $2, $3, $4) \
         on conflict (message_id) do update \
         set is_helpful = excluded.is_helpful, reason = excluded.reason, given_at = now()",
    )
    .bind(message.0)
    .bind(person.0)
    .bind(feedback.rating == Rating::Up)
    .bind(&feedback.reason)
    .execute(reader.connection())
    .await?;
    Ok(())
}

/// What the reader's students asked since they are hers that was not answered, or not well, behind a place, the last
/// first, at most `limit`. Nothing to anybody but a teacher.
#[tracing::instrument(name = "sql.feedback.unanswered", skip_all)]
pub async fn unanswered(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<UnansweredQuestion>, Error> {
    let part = Part::new(behind, limit);
    let Parameters { time, id, rows } = part.parameters()?;
    let rows: Vec<Row> = sqlx::query_as("select * from unanswered_questions($1, $2, $3)")
        .bind(time)
        .bind(id)
        .bind(rows)
        .fetch_all(reader.connection())
        .await?;
    let questions = rows.into_iter().map(UnansweredQuestion::from).collect();
    Ok(part.of(questions, |question: &UnansweredQuestion| {
        (question.asked_at, question.message_id.0)
    }))
}
