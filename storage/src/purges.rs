//! Purges of what the edge's caches hold.

use crate::{Error, ReaderTx, people, rows::unsigned};
use shared_types::{
    ids::{RequestId, UserId},
    purge::{ANSWER_PURGE_LIFE_S, MAX_PURGED_ANSWERS, PurgeRecord, PurgeRequest, PurgeTarget},
};

/// Puts a purge on record, which brings it into force with the transaction. The reader must be an admin
/// ([`Error::Forbidden`]).
///
/// [`Error::NotFound`]: there is no such person, or none who owns documents or may. [`Error::Conflict`]: as
/// many different answers as may be were purged one by one within the last day.
#[tracing::instrument(name = "sql.purges.record", skip_all)]
pub async fn record(
    reader: &mut ReaderTx,
    purge: &PurgeRequest,
    request_id: RequestId,
) -> Result<PurgeRecord, Error> {
    let (target, person_id, answer_id) = match &purge.target {
        PurgeTarget::Answer(id) => ("answer", None, Some(id.as_str())),
        PurgeTarget::User(id) => ("user", Some(*id), None),
        PurgeTarget::Teacher(id) => ("teacher", Some(*id), None),
        PurgeTarget::Everything => ("everything", None, None),
    };
    let number: i64 = sqlx::query_scalar(include_str!("purges/record.sql"))
        .bind(target)
        .bind(person_id.map(|id| id.0))
        .bind(answer_id)
        .bind(&purge.reason)
        .bind(request_id.0)
        .fetch_one(reader.connection())
        .await?;
    let earlier = match answer_id {
        Some(answer_id) => {
            refuse_too_many_answers(reader).await?;
            earlier_purge(reader, answer_id, number).await?
        }
        None => None,
    };
    let readers = match purge.target {
        PurgeTarget::Answer(_) | PurgeTarget::Everything => Vec::new(),
        PurgeTarget::User(id) => vec![id],
        PurgeTarget::Teacher(id) => people::readers_of(reader.connection(), id).await?,
    };
    Ok(PurgeRecord {
        generation: unsigned(number, "purge number")?,
        readers: with(readers, reader.user_id()),
        earlier: earlier
            .map(|number| unsigned(number, "purge number"))
            .transpose()?,
    })
}

/// The number of the last purge that concerns the reader or anything that the reader may be shown; zero for
/// none.
#[tracing::instrument(name = "sql.purges.latest", skip_all)]
pub async fn latest(reader: &mut ReaderTx) -> Result<u64, Error> {
    let number: i64 = sqlx::query_scalar(
        "select coalesce(max(number), 0) from purge_generations \
         where target <> 'user' or person_id = $1",
    )
    .bind(reader.user_id().0)
    .fetch_one(reader.connection())
    .await?;
    unsigned(number, "purge number")
}

/// Counted after the purge itself, which holds off all others until it is committed or taken back.
async fn refuse_too_many_answers(reader: &mut ReaderTx) -> Result<(), Error> {
    let purged: i64 = sqlx::query_scalar(
        "select count(*) from purge_generations \
         where target = 'answer' and purged_at > now() - make_interval(secs => $1)",
    )
    .bind(f64::from(ANSWER_PURGE_LIFE_S))
    .fetch_one(reader.connection())
    .await?;
    if unsigned::<_, usize>(purged, "count")? > MAX_PURGED_ANSWERS {
        return Err(Error::Conflict);
    }
    Ok(())
}

async fn earlier_purge(
    reader: &mut ReaderTx,
    answer_id: &str,
    number: i64,
) -> Result<Option<i64>, Error> {
    let earlier = sqlx::query_scalar(
        "select max(number) from cache_purges where answer_id = $1 and number < $2",
    )
    .bind(answer_id)
    .bind(number)
    .fetch_one(reader.connection())
    .await?;
    Ok(earlier)
}

/// The admin, too, sees the effect at once, and is the first to.
fn with(mut readers: Vec<UserId>, admin: UserId) -> Vec<UserId> {
    readers.retain(|reader| *reader != admin);
    readers.insert(0, admin);
    readers
}
