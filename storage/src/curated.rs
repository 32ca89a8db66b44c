//! Answers that teachers wrote themselves, for their students.

use crate::{
    Cursor, Error, Listed, ReaderTx,
    cursor::{Parameters, Part},
    rows::{signed, unsigned},
};
use chrono::{DateTime, Utc};
use pgvector::HalfVector;
use shared_types::{
    embedding::Embedding,
    feedback::{CuratedAnswer, CuratedBy, MAX_CURATED},
    ids::CuratedAnswerId,
};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Words that turn a question into its opposite, all of which are stop words to PostgreSQL.
const NEGATIONS: &str = "\\m(no|not|nor|never|without|cannot|[a-z]+n['’]t)\\M";

/// An answer that is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Which it is going to be.
    pub id: CuratedAnswerId,
    /// The normalised question.
    pub question: &'a str,
    /// The answer.
    pub answer: &'a str,
}

/// A question that is looked for among those that teachers have answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The normalised question.
    pub question: &'a str,
    /// Its embedding; without one, only the very same question is found.
    pub embedding: Option<&'a Embedding>,
    /// Model and pooling that made it: vectors of others are not compared.
    pub embedding_model: &'a str,
    /// The least cosine at which two questions of the same words are taken for the same.
    pub min_similarity: f64,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    question: String,
    answer: String,
    created_at: DateTime<Utc>,
}

impl From<Row> for CuratedAnswer {
    fn from(row: Row) -> Self {
        Self {
            id: CuratedAnswerId(row.id),
            question: row.question,
            answer: row.answer,
            created_at: row.created_at,
        }
    }
}

/// Keeps an answer of the reader, who must be a teacher ([`Error::Forbidden`]), in place of the former to the same
/// question. [`Error::Conflict`]: the reader has [`MAX_CURATED`] to other questions.
#[tracing::instrument(name = "sql.curated.create", skip_all)]
pub async fn create(reader: &mut ReaderTx, new: &New<'_>) -> Result<CuratedAnswer, Error> {
    let teacher = reader.user_id();
    // One after the other, so that they are counted.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('curated ' || $1::text, 0))")
        .bind(teacher.0)
        .execute(reader.connection())
        .await?;
    sqlx::query("delete from curated_answers where teacher_id = $1 and question = $2")
        .bind(teacher.0)
        .bind(new.question)
        .execute(reader.connection())
        .await?;
    let kept: i64 =
        sqlx::query_scalar("select count(*) from curated_answers where teacher_id = $1")
            .bind(teacher.0)
            .fetch_one(reader.connection())
            .await?;
    if unsigned::<_, u32>(kept, "count")? >= MAX_CURATED {
        return Err(Error::Conflict);
    }
    let inserted = sqlx::query_as(
        "insert into curated_answers (id, teacher_id, question, answer) values ($1, $2, $3, $4) \
         returning id, question, answer, created_at",
    )
    .bind(new.id.0)
    .bind(teacher.0)
    .bind(new.question)
    .bind(new.answer)
    .fetch_one(reader.connection())
    .await;
    let row: Row = inserted.map_err(Error::of_person)?;
    Ok(row.into())
}

/// The questions of answers that have no embedding of this model yet, the oldest first, at most `limit`. For the ingest
/// worker.
#[tracing::instrument(name = "sql.curated.bare", skip_all)]
pub async fn bare(
    pool: &PgPool,
    model: &str,
    limit: usize,
) -> Result<Vec<(CuratedAnswerId, String)>, Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, question from curated_answers where embedding_model is distinct from $1 \
         order by created_at, id limit $2",
    )
    .bind(model)
    .bind(signed::<_, i64>(limit, "limit")?)
    .fetch_all(pool)
    .await?;
    let bare = rows
        .into_iter()
        .map(|(id, text)| (CuratedAnswerId(id), text));
    Ok(bare.collect())
}

/// Keeps the embedding of an answer's question, by this model. For the ingest worker.
#[tracing::instrument(name = "sql.curated.embedded", skip_all)]
pub async fn embedded(
    pool: &PgPool,
    id: CuratedAnswerId,
    model: &str,
    embedding: &Embedding,
) -> Result<(), Error> {
    sqlx::query("update curated_answers set embedding = $2, embedding_model = $3 where id = $1")
        .bind(id.0)
        .bind(HalfVector::from_f32_slice(embedding.as_slice()))
        .bind(model)
        .execute(pool)
        .await?;
    Ok(())
}

/// The reader's own answers behind a place, the last first, at most `limit`.
#[tracing::instrument(name = "sql.curated.list", skip_all)]
pub async fn list(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<CuratedAnswer>, Error> {
    let teacher = reader.user_id();
    let part = Part::new(behind, limit);
    let Parameters { time, id, rows } = part.parameters()?;
    let rows: Vec<Row> = sqlx::query_as(
        "select id, question, answer, created_at from curated_answers \
         where teacher_id = $1 \
           and (created_at, id) < \
               (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) \
         order by created_at desc, id desc limit $4",
    )
    .bind(teacher.0)
    .bind(time)
    .bind(id)
    .bind(rows)
    .fetch_all(reader.connection())
    .await?;
    let answers = rows.into_iter().map(CuratedAnswer::from).collect();
    Ok(part.of(answers, |answer: &CuratedAnswer| {
        (answer.created_at, answer.id.0)
    }))
}

/// Removes an answer of the reader. [`Error::NotFound`]: there is none of the reader.
#[tracing::instrument(name = "sql.curated.delete", skip_all)]
pub async fn delete(reader: &mut ReaderTx, id: CuratedAnswerId) -> Result<(), Error> {
    let teacher = reader.user_id();
    let gone = sqlx::query("delete from curated_answers where id = $1 and teacher_id = $2")
        .bind(id.0)
        .bind(teacher.0)
        .execute(reader.connection())
        .await?;
    match gone.rows_affected() {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

/// The answer to the question nearest to this one among those of the reader and the reader's teachers; none where no
/// question is near enough.
#[tracing::instrument(name = "sql.curated.nearest", skip_all)]
pub async fn nearest(
    reader: &mut ReaderTx,
    asked: &Asked<'_>,
) -> Result<Option<CuratedAnswerId>, Error> {
    let person = reader.user_id();
    let embedding = asked.embedding.map(Embedding::as_slice);
    let found: Option<Uuid> = sqlx::query_scalar(include_str!("curated/nearest.sql"))
        .bind(person.0)
        .bind(asked.question)
        .bind(embedding.map(HalfVector::from_f32_slice))
        .bind(asked.embedding_model)
        .bind(asked.min_similarity)
        .bind(NEGATIONS)
        .fetch_optional(reader.connection())
        .await?;
    Ok(found.map(CuratedAnswerId))
}

/// The text of an answer of the reader's or of a teacher of the reader's, and whose it is. [`Error::NotFound`]: there is
/// none that the reader may be told.
#[tracing::instrument(name = "sql.curated.text", skip_all)]
pub async fn text(
    reader: &mut ReaderTx,
    id: CuratedAnswerId,
) -> Result<(String, CuratedBy), Error> {
    let (answer, teacher_name): (String, String) = sqlx::query_as(
        "select c.answer, u.full_name from curated_answers c join users u on u.id = c.teacher_id \
         where c.id = $1",
    )
    .bind(id.0)
    .fetch_one(reader.connection())
    .await?;
    Ok((answer, CuratedBy { id, teacher_name }))
}
