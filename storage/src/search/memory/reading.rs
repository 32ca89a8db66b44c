//! What is read from the database.

use super::CorpusFacts;
use crate::{Error, ReaderTx};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use pgvector::HalfVector;
use rag_core::flat::Vectors;
use shared_types::ids::ChunkId;
use sqlx::FromRow;
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// A document of a corpus.
#[derive(FromRow)]
pub(super) struct DocumentRow {
    pub(super) id: Uuid,
    pub(super) owner_id: Uuid,
    pub(super) is_public: bool,
    /// Another where it was read anew.
    pub(super) ready_at: DateTime<Utc>,
}

impl DocumentRow {
    /// Whose corpus it is in; none for what is public.
    pub(super) fn corpus(&self) -> Option<Uuid> {
        (!self.is_public).then_some(self.owner_id)
    }
}

/// The documents of these corpora that have passages, as the reader finds them.
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

/// The vectors of these documents by this model. Of passages that are not numbered from 0 on some are missing.
pub(super) async fn vectors(
    reader: &mut ReaderTx,
    model: &str,
    documents: &[Uuid],
) -> Result<HashMap<Uuid, Arc<Vectors>>, Error> {
    let mut found: HashMap<Uuid, Vectors> = HashMap::new();
    let mut rows = sqlx::query_as::<_, (Uuid, i32, Uuid, HalfVector)>(include_str!("vectors.sql"))
        .bind(documents)
        .bind(model)
        .fetch(reader.connection());
    while let Some((document, index, id, vector)) = rows.try_next().await? {
        let vectors = found.entry(document).or_default();
        if usize::try_from(index) == Ok(vectors.len()) {
            let vector: Vec<f32> = vector.as_slice().iter().map(|it| it.to_f32()).collect();
            vectors.push(ChunkId(id), &vector);
        }
    }
    let found = found.into_iter().map(|(document, mut vectors)| {
        vectors.shrink_to_fit();
        (document, Arc::new(vectors))
    });
    Ok(found.collect())
}
