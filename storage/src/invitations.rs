//! Invitations to become a teacher's student.

use crate::{
    Cursor, Error, Listed, ReaderTx,
    cursor::{Parameters, Part},
    rows::{signed, unsigned},
};
use chrono::{DateTime, Utc};
use shared_types::{
    ids::{InvitationId, UserId},
    people::{Invitation, LinkedPerson, MAX_INVITATIONS},
};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Invitations in one part of a list at most.
pub const LIST_LIMIT: u32 = 200;

/// How an invitation is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<'a> {
    /// By whoever signs in with this address, which is in lower case.
    Address(&'a str),
    /// By whoever knows the code of this digest; so many students at most.
    Code {
        /// SHA-256 of the code, lower-case hex.
        digest: &'a str,
        /// How many.
        places: u16,
    },
}

/// What a student accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen<'a> {
    /// An invitation that was sent to her address.
    Sent(InvitationId),
    /// The one with the code of this digest.
    Code(&'a str),
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    teacher_id: Uuid,
    full_name: String,
    email: Option<String>,
    places: i16,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl TryFrom<Row> for Invitation {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: InvitationId(row.id),
            teacher_id: UserId(row.teacher_id),
            teacher_name: row.full_name,
            email: row.email,
            places: unsigned(row.places, "number of places")?,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// Makes an invitation by the reader, who must be a teacher ([`Error::Forbidden`]); one to the same address takes
/// the place of the former. [`Error::Conflict`]: the reader has [`MAX_INVITATIONS`] open ones.
#[tracing::instrument(name = "sql.invitations.create", skip_all)]
pub async fn create(
    reader: &mut ReaderTx,
    id: InvitationId,
    way: Way<'_>,
) -> Result<Invitation, Error> {
    let teacher = reader.user_id();
    let (email, digest, places) = match way {
        Way::Address(email) => (Some(email), None, 1),
        Way::Code { digest, places } => (None, Some(digest), places),
    };
    // One after the other, so that they are counted.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1::text, 0))")
        .bind(teacher.0)
        .execute(reader.connection())
        .await?;
    let open: i64 = sqlx::query_scalar(
        "with gone as ( \
             delete from invitations \
             where teacher_id = $1 and (email = $2 or expires_at <= now()) returning id \
         ) \
         select count(*) from invitations \
         where teacher_id = $1 and id not in (select id from gone)",
    )
    .bind(teacher.0)
    .bind(email)
    .fetch_one(reader.connection())
    .await?;
    if unsigned::<_, u32>(open, "count")? >= MAX_INVITATIONS {
        return Err(Error::Conflict);
    }
    let inserted = sqlx::query_as(
        "with made as ( \
             insert into invitations (id, teacher_id, email, code_sha256, places) \
             values ($1, $2, $3, $4, $5) \
             returning id, teacher_id, email, places, created_at, expires_at \
         ) \
         select made.*, u.full_name from made join users u on u.id = made.teacher_id",
    )
    .bind(id.0)
    .bind(teacher.0)
    .bind(email)
    .bind(digest)
    .bind(signed::<u16, i16>(places, "number of places")?)
    .fetch_one(reader.connection())
    .await;
    let row: Row = inserted.map_err(Error::of_person)?;
    row.try_into()
}

/// The open invitations that a teacher sent, or a student was sent, behind a place, newest first, at most `limit` and
/// at most [`LIST_LIMIT`].
#[tracing::instrument(name = "sql.invitations.list", skip_all)]
pub async fn list(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<Invitation>, Error> {
    reader.tell_address().await?;
    let user_id = reader.user_id();
    let part = Part::new(behind, limit.min(LIST_LIMIT));
    let Parameters { time, id, rows } = part.parameters()?;
    let rows: Vec<Row> = sqlx::query_as(include_str!("invitations/open.sql"))
        .bind(user_id.0)
        .bind(time)
        .bind(id)
        .bind(rows)
        .fetch_all(reader.connection())
        .await?;
    let invitations = rows.into_iter().map(Invitation::try_from);
    let invitations = invitations.collect::<Result<Vec<_>, _>>()?;
    Ok(part.of(invitations, |invitation| {
        (invitation.created_at, invitation.id.0)
    }))
}

/// Takes an invitation back, or declines one. [`Error::NotFound`]: neither sent by the reader nor to the reader.
#[tracing::instrument(name = "sql.invitations.withdraw", skip_all)]
pub async fn withdraw(reader: &mut ReaderTx, id: InvitationId) -> Result<(), Error> {
    reader.tell_address().await?;
    let user_id = reader.user_id();
    let gone = sqlx::query(
        "delete from invitations \
         where id = $1 \
           and (teacher_id = $2 or email = (select lower(auth.jwt() ->> 'email')))",
    )
    .bind(id.0)
    .bind(user_id.0)
    .execute(reader.connection())
    .await?;
    if gone.rows_affected() == 0 {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// Forgets the invitations that nobody may accept any more; returns how many they were.
#[tracing::instrument(name = "sql.invitations.expire", skip_all)]
pub async fn expire(pool: &PgPool) -> Result<u64, Error> {
    let expired: i64 = sqlx::query_scalar("select expire_invitations()")
        .fetch_one(pool)
        .await?;
    unsigned(expired, "count")
}

/// Makes the reader the student of whoever invites; accepting once more changes nothing. [`Error::NotFound`]: there is
/// no such invitation for the reader, or not any more, or the reader is no student, or has parted from the teacher since
/// accepting this very code.
#[tracing::instrument(name = "sql.invitations.accept", skip_all)]
pub async fn accept(reader: &mut ReaderTx, chosen: Chosen<'_>) -> Result<LinkedPerson, Error> {
    let (id, digest) = match chosen {
        Chosen::Sent(id) => (Some(id.0), None),
        Chosen::Code(digest) => (None, Some(digest)),
    };
    reader.tell_address().await?;
    let teacher: Option<Uuid> = sqlx::query_scalar("select accept_invitation($1, $2)")
        .bind(id)
        .bind(digest)
        .fetch_one(reader.connection())
        .await?;
    let teacher = teacher.ok_or(Error::NotFound)?;
    let student = reader.user_id();
    let (full_name, since) = sqlx::query_as(
        "select u.full_name, r.created_at \
         from teacher_student_relationships r join users u on u.id = r.teacher_id \
         where r.teacher_id = $1 and r.student_id = $2",
    )
    .bind(teacher)
    .bind(student.0)
    .fetch_one(reader.connection())
    .await?;
    Ok(LinkedPerson {
        id: UserId(teacher),
        full_name,
        since,
    })
}
