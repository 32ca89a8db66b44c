//! Who teaches whom, and accounts.

use crate::{
    Cursor, Error, Listed, ReaderTx,
    cursor::{Parameters, Part},
};
use chrono::{DateTime, Utc};
use shared_types::{
    ids::UserId,
    people::{Account, LinkedPerson},
};
use sqlx::PgExecutor;
use uuid::Uuid;

/// People in one part of a list at most.
pub const LIST_LIMIT: u32 = 200;

/// The people whose scope changes when this owner's private documents do: the owner, the owner's
/// students, and every admin that the caller may know of (an ingest worker knows them all).
/// A change of public documents concerns everybody, and nobody is listed for it.
#[tracing::instrument(name = "sql.people.readers_of", skip_all)]
pub async fn readers_of(
    executor: impl PgExecutor<'_>,
    owner: UserId,
) -> Result<Vec<UserId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select $1::uuid \
         union select student_id from teacher_student_relationships where teacher_id = $1 \
         union select id from users where role = 'admin'",
    )
    .bind(owner.0)
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// The reader's own students behind a place, the newest first, at most `limit` and at most [`LIST_LIMIT`].
#[tracing::instrument(name = "sql.people.students", skip_all)]
pub async fn students(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<LinkedPerson>, Error> {
    linked(reader, include_str!("people/students.sql"), behind, limit).await
}

/// The reader's own teachers, likewise.
#[tracing::instrument(name = "sql.people.teachers", skip_all)]
pub async fn teachers(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<LinkedPerson>, Error> {
    linked(reader, include_str!("people/teachers.sql"), behind, limit).await
}

async fn linked(
    reader: &mut ReaderTx,
    statement: &'static str,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<LinkedPerson>, Error> {
    let user_id = reader.user_id();
    let part = Part::new(behind, limit.min(LIST_LIMIT));
    let Parameters { time, id, rows } = part.parameters()?;
    let rows: Vec<(Uuid, String, DateTime<Utc>)> = sqlx::query_as(statement)
        .bind(user_id.0)
        .bind(time)
        .bind(id)
        .bind(rows)
        .fetch_all(reader.connection())
        .await?;
    let people = rows.into_iter().map(|(id, full_name, since)| LinkedPerson {
        id: UserId(id),
        full_name,
        since,
    });
    Ok(part.of(people.collect(), |person| (person.since, person.id.0)))
}

/// Ends what is between the reader and somebody, whichever of the two teaches: the student reads none of the
/// teacher's private documents from the end of the transaction on. [`Error::NotFound`]: there is nothing.
#[tracing::instrument(name = "sql.people.end_relationship", skip_all)]
pub async fn end_relationship(reader: &mut ReaderTx, other: UserId) -> Result<(), Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let ended = sqlx::query(
        "delete from teacher_student_relationships \
         where $3 = 'teacher' and teacher_id = $1 and student_id = $2 \
            or $3 = 'student' and teacher_id = $2 and student_id = $1",
    )
    .bind(user_id.0)
    .bind(other.0)
    .bind(role.as_str())
    .execute(reader.connection())
    .await?;
    if ended.rows_affected() == 0 {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// What is known of the reader. [`Error::UnknownPerson`]: nothing (any more).
#[tracing::instrument(name = "sql.people.account", skip_all)]
pub async fn account(reader: &mut ReaderTx, email: Option<String>) -> Result<Account, Error> {
    let (id, role) = (reader.user_id(), reader.role());
    let row: Option<(String, DateTime<Utc>)> =
        sqlx::query_as("select full_name, created_at from users where id = $1")
            .bind(id.0)
            .fetch_optional(reader.connection())
            .await?;
    let (full_name, created_at) = row.ok_or(Error::UnknownPerson)?;
    Ok(Account {
        id,
        email,
        role,
        full_name,
        created_at,
    })
}

/// Removes the reader's account with all that is the reader's: documents and passages, relationships,
/// invitations, sessions. Files are noted for removal ([`crate::files`]). Who was the reader can't tell any more
/// by then: ask for [`readers_of`] before. [`Error::UnknownPerson`]: there is no such account.
#[tracing::instrument(name = "sql.people.delete_account", skip_all)]
pub async fn delete_account(reader: &mut ReaderTx) -> Result<(), Error> {
    let is_deleted: bool = sqlx::query_scalar("select delete_account()")
        .fetch_one(reader.connection())
        .await?;
    if is_deleted {
        Ok(())
    } else {
        Err(Error::UnknownPerson)
    }
}
