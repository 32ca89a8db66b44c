//! Another embedding model in the place of the one that is searched.
//!
//! Its vectors are stored beside the live ones, in batches, for as long as it takes; searches and uploads go on.
//! Then one transaction switches over, which it does only where no passage lacks its vector. The former vectors are
//! kept until [`clear`], for questions that were embedded by the former model.
//!
//! All of it can be done again after any interruption. Two who build at once do each other's work, and no harm.

use crate::{Error, pool, rows::unsigned};
use pgvector::HalfVector;
use shared_types::{
    embedding::Embedding,
    ids::{ChunkId, DocumentId},
};
use sqlx::{FromRow, PgConnection, PgPool, error::DatabaseError};
use uuid::Uuid;

const LIVE: &str = "select name from embedding_models where status = 'live'";
/// What a passage runs against whose document was shown to others or read again since its statement began.
const DOCUMENT_CHANGED: [&str; 2] = ["document_chunks_access", "standby_document_chunks_place"];

/// What lies beside the live vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standby {
    /// Nothing.
    Empty,
    /// A model that is not searched yet.
    Building(String),
    /// The model that was searched before.
    Former(String),
}

/// Where things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Model and pooling of what is searched; none before the first document.
    pub live: Option<String>,
    /// What lies beside it.
    pub standby: Standby,
    /// Passages that are searched.
    pub passages: u64,
    /// Those among them that have a vector beside the live one.
    pub beside: u64,
}

/// A passage that lacks the new vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bare {
    /// Its place.
    pub place: Place,
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its text.
    pub content: String,
}

/// Where a passage stands in the order in which they are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    document_id: DocumentId,
    index: i32,
}

impl Place {
    /// Before every passage.
    pub const START: Self = Self {
        document_id: DocumentId(Uuid::nil()),
        index: -1,
    };
}

/// Model and pooling of what is searched; none before the first document.
#[tracing::instrument(name = "sql.reembedding.live", skip_all)]
pub async fn live(pool: &PgPool) -> Result<Option<String>, Error> {
    let name = sqlx::query_scalar(LIVE).fetch_optional(pool).await?;
    Ok(name)
}

/// Model and pooling of what is searched: these, where there is nothing yet.
pub(crate) async fn live_or_first(
    connection: &mut PgConnection,
    first: &str,
) -> Result<String, Error> {
    let live = sqlx::query_scalar(LIVE)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(live) = live {
        return Ok(live);
    }
    let (model, pooling) = first
        .rsplit_once('#')
        .ok_or(Error::Corrupt("embedding model"))?;
    sqlx::query(
        "insert into embedding_models (model, pooling, status, shelf, live_since) \
         values ($1, $2, 'live', 'a', now()) on conflict do nothing",
    )
    .bind(model)
    .bind(pooling)
    .execute(&mut *connection)
    .await?;
    Ok(sqlx::query_scalar(LIVE).fetch_one(connection).await?)
}

/// Where things stand. Counts every passage.
#[tracing::instrument(name = "sql.reembedding.standing", skip_all)]
pub async fn standing(pool: &PgPool) -> Result<Standing, Error> {
    let models: Vec<(String, String)> = sqlx::query_as("select status, name from embedding_models")
        .fetch_all(pool)
        .await?;
    let (passages, beside): (i64, i64) = sqlx::query_as(
        "select count(*), count(s.id) from document_chunks c \
         left join standby_document_chunks s on s.id = c.id and s.created_at = c.created_at",
    )
    .fetch_one(pool)
    .await?;
    let mut standing = Standing {
        live: None,
        standby: Standby::Empty,
        passages: unsigned(passages, "count")?,
        beside: unsigned(beside, "count")?,
    };
    for (status, name) in models {
        match status.as_str() {
            "live" => standing.live = Some(name),
            "building" => standing.standby = Standby::Building(name),
            _ => standing.standby = Standby::Former(name),
        }
    }
    Ok(standing)
}

/// Begins to build a model, or goes on with it; with the former one, to go back to it. [`Error::Conflict`]: it is live,
/// nothing is, or the vectors of another model lie beside the live ones.
#[tracing::instrument(name = "sql.reembedding.begin", skip_all)]
pub async fn begin(pool: &PgPool, model: &str, pooling: &str) -> Result<(), Error> {
    let inserted = sqlx::query(include_str!("reembedding/begin.sql"))
        .bind(model)
        .bind(pooling)
        .execute(pool)
        .await;
    match inserted.map_err(Error::from) {
        Ok(done) if done.rows_affected() == 1 => Ok(()),
        Ok(_) => Err(Error::Conflict),
        Err(Error::Conflict) if lies_beside(pool, model, pooling).await? => Ok(()),
        Err(error) => Err(error),
    }
}

async fn lies_beside(pool: &PgPool, model: &str, pooling: &str) -> Result<bool, Error> {
    let found = sqlx::query_scalar(
        "select exists (select from embedding_models \
                        where model = $1 and pooling = $2 and status <> 'live')",
    )
    .bind(model)
    .bind(pooling)
    .fetch_one(pool)
    .await?;
    Ok(found)
}

#[derive(FromRow)]
struct BareRow {
    id: Uuid,
    doc_id: Uuid,
    chunk_index: i32,
    content: String,
}

/// The next passages after this place that lack the new vector, in order; none: the rest has it.
#[tracing::instrument(name = "sql.reembedding.bare", skip_all)]
pub async fn bare(pool: &PgPool, after: Place, at_most: u32) -> Result<Vec<Bare>, Error> {
    let rows: Vec<BareRow> = sqlx::query_as(include_str!("reembedding/bare.sql"))
        .bind(after.document_id.0)
        .bind(after.index)
        .bind(i64::from(at_most))
        .fetch_all(pool)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Bare {
            place: Place {
                document_id: DocumentId(row.doc_id),
                index: row.chunk_index,
            },
            chunk_id: ChunkId(row.id),
            content: row.content,
        })
        .collect())
}

/// Stores the new vectors of passages, all of them or none. Passages that are gone meanwhile are left out.
/// [`Error::Unavailable`]: their document was changed in this very moment; another try works.
#[tracing::instrument(name = "sql.reembedding.store", skip_all, fields(passages = embedded.len()))]
pub async fn store(
    pool: &PgPool,
    model_and_pooling: &str,
    embedded: &[(Bare, Embedding)],
) -> Result<(), Error> {
    let ids: Vec<Uuid> = embedded.iter().map(|(bare, _)| bare.chunk_id.0).collect();
    let vectors: Vec<HalfVector> = embedded
        .iter()
        .map(|(_, embedding)| HalfVector::from_f32_slice(embedding.as_slice()))
        .collect();
    let mut documents: Vec<Uuid> = embedded
        .iter()
        .map(|(bare, _)| bare.place.document_id.0)
        .collect();
    documents.dedup();
    let mut tx = pool::begin(pool, "begin").await?;
    drop_outdated(&mut tx, &documents).await?;
    let stored = sqlx::query(include_str!("reembedding/store.sql"))
        .bind(model_and_pooling)
        .bind(ids)
        .bind(vectors)
        .execute(&mut *tx)
        .await;
    match stored {
        Err(sqlx::Error::Database(error))
            if error
                .constraint()
                .is_some_and(|name| DOCUMENT_CHANGED.contains(&name)) =>
        {
            return Err(Error::Unavailable(sqlx::Error::Database(error)));
        }
        other => other?,
    };
    tx.commit().await?;
    Ok(())
}

/// Vectors of passages that these documents have no more; another passage may stand in their place.
async fn drop_outdated(connection: &mut PgConnection, documents: &[Uuid]) -> Result<(), Error> {
    sqlx::query(
        "delete from standby_document_chunks s \
         where s.doc_id = any($1) and not exists ( \
             select from document_chunks c where c.id = s.id and c.created_at = s.created_at \
         )",
    )
    .bind(documents)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the model that lies beside the live one the one that is searched: every search before the end of this call finds by the former
/// vectors alone, every search after it by the new ones. Returns how many passages still lack theirs: unless that is
/// zero, nothing was switched.
///
/// [`Error::Conflict`]: no vectors of the model lie there. [`Error::Unavailable`]: a long transaction holds the tables;
/// another try may work.
#[tracing::instrument(name = "sql.reembedding.switch", skip_all)]
pub async fn switch(pool: &PgPool, model_and_pooling: &str) -> Result<u64, Error> {
    let missing: Result<i64, sqlx::Error> = sqlx::query_scalar("select switch_embedding_model($1)")
        .bind(model_and_pooling)
        .fetch_one(pool)
        .await;
    unsigned(missing.map_err(of_function)?, "count")
}

/// Drops the vectors beside the live ones. Questions that were embedded by the former model find by words alone from
/// now on.
#[tracing::instrument(name = "sql.reembedding.clear", skip_all)]
pub async fn clear(pool: &PgPool) -> Result<(), Error> {
    sqlx::query("select clear_standby_embeddings()")
        .execute(pool)
        .await
        .map_err(of_function)?;
    Ok(())
}

fn of_function(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(DatabaseError::code);
    match code.as_deref() {
        // `object_not_in_prerequisite_state`, as the function raises it.
        Some("55000") => Error::Conflict,
        // `lock_not_available`.
        Some("55P03") => Error::Unavailable(error),
        _ => error.into(),
    }
}
