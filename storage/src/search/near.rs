use super::{Readable, SearchRequest};
use crate::{Error, ReaderTx};
use pgvector::HalfVector;
use rag_core::fusion::Nearness;
use shared_types::{embedding::Embedding, ids::ChunkId};
use uuid::Uuid;

/// How near each candidate's vector is to the question's and to those of the guides. A candidate of another
/// model is not among the result; if no guide is of this one, the result is empty.
#[tracing::instrument(name = "sql.search.near", skip_all, fields(candidates = candidates.len()))]
pub(super) async fn near(
    reader: &mut ReaderTx,
    readable: &Readable,
    embedding: &Embedding,
    request: &SearchRequest<'_>,
    candidates: &[Uuid],
    guides: &[Uuid],
) -> Result<Vec<Nearness>, Error> {
    if guides.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Uuid, f64, f64)> = sqlx::query_as(include_str!("near.sql"))
        .bind(HalfVector::from_f32_slice(embedding.as_slice()))
        .bind(request.embedding_model)
        .bind(&readable.owners)
        .bind(candidates)
        .bind(guides)
        .fetch_all(reader.connection())
        .await?;
    let near = rows
        .into_iter()
        .map(|(id, to_question, to_guides)| Nearness {
            chunk_id: ChunkId(id),
            to_question,
            to_guides,
        });
    Ok(near.collect())
}
