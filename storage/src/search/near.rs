use super::{Places, Readable, SearchRequest};
use crate::{Error, ReaderTx};
use pgvector::HalfVector;
use rag_core::{bm25::Place, fusion::Nearness};
use shared_types::{embedding::Embedding, ids::ChunkId};
use uuid::Uuid;

/// What tells how near passages are to a question.
pub(super) struct Near<'a> {
    pub(super) readable: &'a Readable,
    pub(super) request: &'a SearchRequest<'a>,
    pub(super) embedding: &'a Embedding,
    pub(super) places: &'a Places,
}

impl Near<'_> {
    /// How near each candidate's vector is to the question's and to those of the guides, the first so many candidates. A
    /// candidate of another model is not among the result; if no guide is of this one, the result is empty.
    pub(super) async fn among(
        &self,
        reader: &mut ReaderTx,
        candidates: &[ChunkId],
        guides: usize,
    ) -> Result<Vec<Nearness>, Error> {
        let guides = &candidates[..candidates.len().min(guides)];
        if guides.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(in_memory) = self.readable.in_memory(self.request) {
            let (candidates, guides) = (self.places(candidates), self.places(guides));
            return Ok(in_memory.near(self.embedding, &candidates, &guides));
        }
        self.read(reader, candidates, guides).await
    }

    fn places(&self, passages: &[ChunkId]) -> Vec<Place> {
        let places = passages.iter().filter_map(|id| self.places.get(id));
        places.copied().collect()
    }

    #[tracing::instrument(name = "sql.search.near", skip_all, fields(candidates = candidates.len()))]
    async fn read(
        &self,
        reader: &mut ReaderTx,
        candidates: &[ChunkId],
        guides: &[ChunkId],
    ) -> Result<Vec<Nearness>, Error> {
        let ids = |passages: &[ChunkId]| -> Vec<Uuid> { passages.iter().map(|id| id.0).collect() };
        let rows: Vec<(Uuid, f64, f64)> = sqlx::query_as(include_str!("near.sql"))
            .bind(HalfVector::from_f32_slice(self.embedding.as_slice()))
            .bind(self.request.embedding_model)
            .bind(&self.readable.owners)
            .bind(ids(candidates))
            .bind(ids(guides))
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
}
