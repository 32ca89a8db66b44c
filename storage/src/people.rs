//! Who teaches whom.

use crate::{Error, ReaderTx};
use shared_types::ids::UserId;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

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

/// Lets a student read a teacher's private documents. Doing it again changes nothing.
///
/// On the connection of a [`ReaderTx`] a teacher can link her own students only
/// ([`Error::Forbidden`] otherwise).
#[tracing::instrument(name = "sql.people.link_student", skip_all)]
pub async fn link_student(
    connection: &mut PgConnection,
    teacher: UserId,
    student: UserId,
) -> Result<(), Error> {
    sqlx::query(
        "insert into teacher_student_relationships (teacher_id, student_id) values ($1, $2) \
         on conflict do nothing",
    )
    .bind(teacher.0)
    .bind(student.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the reader's private documents away from a student, at once. `false`: there was no link.
#[tracing::instrument(name = "sql.people.unlink_student", skip_all)]
pub async fn unlink_student(reader: &mut ReaderTx, student: UserId) -> Result<bool, Error> {
    let teacher = reader.user_id();
    let done = sqlx::query(
        "delete from teacher_student_relationships where teacher_id = $1 and student_id = $2",
    )
    .bind(teacher.0)
    .bind(student.0)
    .execute(reader.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}
