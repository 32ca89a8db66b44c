//! What is read from the database.

use super::CorpusFacts;
use crate::{Error, ReaderTx, rows::unsigned};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use pgvector::HalfVector;
use rag_core::{flat::Vectors, postings::Postings};
use shared_types::{claims::Role, ids::ChunkId};
use sqlx::FromRow;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What a document takes beside its passages, roughly.
const DOCUMENT_BYTES: usize = 400;

/// A document of a corpus.
#[derive(FromRow)]
pub(super) struct DocumentRow {
    pub(super) id: Uuid,
    pub(super) owner_id: Uuid,
    pub(super) is_public: bool,
    /// Another where it was read anew.
    pub(super) ready_at: DateTime<Utc>,
    pub(super) chunk_count: i64,
    pub(super) stem_count: i64,
}

impl DocumentRow {
    /// Whose corpus it is in; none for what is public.
    pub(super) fn corpus(&self) -> Option<Uuid> {
        (!self.is_public).then_some(self.owner_id)
    }
}

/// What of a document is searched.
#[derive(Default)]
pub(super) struct Content {
    pub(super) vectors: Vectors,
    pub(super) postings: Postings,
}

#[derive(FromRow)]
struct PostingsRow {
    doc_id: Uuid,
    stems: Vec<String>,
    blocks: Vec<i16>,
    postings: Vec<Vec<u8>>,
}

impl Content {
    /// What it takes in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        DOCUMENT_BYTES + self.vectors.len() * Vectors::BYTES_EACH + self.postings.size()
    }
}

/// Whether vectors of this model are those that are searched.
#[tracing::instrument(name = "sql.corpora.is_live", skip_all)]
pub(super) async fn is_live(reader: &mut ReaderTx, model: &str) -> Result<bool, Error> {
    let is_live = sqlx::query_scalar(
        "select exists (select from embedding_models where name = $1 and status = 'live')",
    )
    .bind(model)
    .fetch_one(reader.connection())
    .await?;
    Ok(is_live)
}

/// The documents of these corpora that have passages, as the reader finds them.
#[tracing::instrument(name = "sql.corpora.documents", skip_all)]
pub(super) async fn documents(
    reader: &mut ReaderTx,
    corpora: &[CorpusFacts],
) -> Result<Vec<DocumentRow>, Error> {
    let owners: Vec<Uuid> = corpora.iter().filter_map(|facts| facts.owner).collect();
    let rows = sqlx::query_as(include_str!("documents.sql"))
        .bind(corpora.iter().any(|facts| facts.owner.is_none()))
        .bind(owners)
        .fetch_all(reader.connection())
        .await?;
    Ok(rows)
}

/// What is searched in these documents, with vectors by this model. Of passages that are not numbered from 0 on some
/// are missing.
#[tracing::instrument(name = "sql.corpora.contents", skip_all)]
pub(super) async fn contents(
    reader: &mut ReaderTx,
    model: &str,
    documents: &[Uuid],
) -> Result<HashMap<Uuid, Content>, Error> {
    let mut found: HashMap<Uuid, Content> = HashMap::new();
    let mut rows = sqlx::query_as::<_, (Uuid, i32, Uuid, HalfVector)>(include_str!("vectors.sql"))
        .bind(documents)
        .bind(model)
        .fetch(reader.connection());
    while let Some((document, index, id, vector)) = rows.try_next().await? {
        let vectors = &mut found.entry(document).or_default().vectors;
        if usize::try_from(index) == Ok(vectors.len()) {
            let vector: Vec<f32> = vector.as_slice().iter().map(|it| it.to_f32()).collect();
            vectors.push(ChunkId(id), &vector);
        }
    }
    drop(rows);
    let mut rows = sqlx::query_as::<_, PostingsRow>(include_str!("postings.sql"))
        .bind(found.keys().copied().collect::<Vec<Uuid>>())
        .fetch(reader.connection());
    while let Some(row) = rows.try_next().await? {
        let numbers = row.blocks.into_iter();
        let numbers: Vec<u16> = numbers
            .map(|number| unsigned(number, "block of postings"))
            .collect::<Result<_, Error>>()?;
        let blocks = row.stems.iter().zip(numbers).zip(&row.postings);
        let blocks = blocks.map(|((stem, number), postings)| (&**stem, number, &**postings));
        found.entry(row.doc_id).or_default().postings = Postings::new(blocks);
    }
    drop(rows);
    for content in found.values_mut() {
        content.vectors.shrink_to_fit();
    }
    Ok(found)
}

/// Those of these owners who have answered questions with words of their own; unknown to an admin, who is shown none of
/// those answers.
#[tracing::instrument(name = "sql.corpora.curators", skip_all)]
pub(super) async fn curators(
    reader: &mut ReaderTx,
    owners: &[Uuid],
) -> Result<Option<HashSet<Uuid>>, Error> {
    if reader.role() == Role::Admin {
        return Ok(None);
    }
    let curators: Vec<Uuid> = sqlx::query_scalar(include_str!("curated.sql"))
        .bind(owners)
        .fetch_all(reader.connection())
        .await?;
    Ok(Some(curators.into_iter().collect()))
}
