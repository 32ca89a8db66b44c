//! The two ranked lists of hybrid search. `rag_core::fusion` makes one of them.

use crate::{Error, ReaderTx};
use pgvector::HalfVector;
use shared_types::{
    embedding::Embedding,
    ids::{ChunkId, DocumentId},
};
use uuid::Uuid;

/// How deep each list goes.
pub const LIST_DEPTH: i64 = 100;

/// Up to this many visible passages the vector list is exact; above, the vector index serves the
/// public ones.
pub const EXACT_UP_TO: i64 = 2_000;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest<'a> {
    /// The normalised question.
    pub query: &'a str,
    /// Its embedding; without one the vector list is empty.
    pub embedding: Option<&'a Embedding>,
    /// Model and pooling of the embedding. Passages embedded otherwise can't be compared with it
    /// and stay out of the vector list.
    pub embedding_model: &'a str,
    /// Only these documents; empty means all.
    pub document_ids: &'a [DocumentId],
}

/// A passage and what its list ranked it by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Cosine distance, 0 to 2, in the vector list; BM25 score in the list by words.
    pub score: f64,
}

/// Both lists, best first, at most [`LIST_DEPTH`] each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankedLists {
    /// By vector distance, ascending.
    pub vector: Vec<Ranked>,
    /// By BM25 score, descending.
    pub lexical: Vec<Ranked>,
}

/// Searches everything that the reader may read, by meaning and by words.
pub async fn hybrid(
    reader: &mut ReaderTx,
    request: &SearchRequest<'_>,
) -> Result<RankedLists, Error> {
    let vector = match request.embedding {
        Some(embedding) => {
            by_vector(
                reader,
                embedding,
                request.embedding_model,
                request.document_ids,
            )
            .await?
        }
        None => Vec::new(),
    };
    let lexical = by_words(reader, request.query, request.document_ids).await?;
    Ok(RankedLists { vector, lexical })
}

/// The passages nearest to a vector, by cosine distance.
///
/// Exact for a reader of up to [`EXACT_UP_TO`] passages and inside chosen documents. Otherwise the
/// vector index answers for public passages and an exact scan for the private ones: one index over
/// both loses most of its answers to the access filter where little is visible.
#[tracing::instrument(name = "sql.search.by_vector", skip_all)]
pub async fn by_vector(
    reader: &mut ReaderTx,
    embedding: &Embedding,
    embedding_model: &str,
    document_ids: &[DocumentId],
) -> Result<Vec<Ranked>, Error> {
    let statement = if document_ids.is_empty() {
        sqlx::query_as(include_str!("search/vector_in_library.sql"))
    } else {
        sqlx::query_as(include_str!("search/vector_in_documents.sql"))
    };
    let (user_id, role) = (reader.user_id(), reader.role());
    let statement = statement
        .bind(HalfVector::from_f32_slice(embedding.as_slice()))
        .bind(embedding_model)
        .bind(user_id.0)
        .bind(role.as_str())
        .bind(LIST_DEPTH);
    let statement = if document_ids.is_empty() {
        statement.bind(EXACT_UP_TO)
    } else {
        statement.bind(uuids(document_ids))
    };
    Ok(ranked(statement.fetch_all(reader.connection()).await?))
}

/// The passages that hold any word of the query, by BM25 (k1 = 1.2, b = 0.75) over English stems.
///
/// Document frequencies, the number of passages and their mean length are those of what the reader
/// may read (inside the chosen documents): a score tells nothing of anybody else's text. A query
/// of stop words alone finds nothing.
#[tracing::instrument(name = "sql.search.by_words", skip_all)]
pub async fn by_words(
    reader: &mut ReaderTx,
    query: &str,
    document_ids: &[DocumentId],
) -> Result<Vec<Ranked>, Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let documents = (!document_ids.is_empty()).then(|| uuids(document_ids));
    let statement = sqlx::query_as(include_str!("search/words.sql"))
        .bind(query)
        .bind(user_id.0)
        .bind(role.as_str())
        .bind(LIST_DEPTH)
        .bind(documents);
    Ok(ranked(statement.fetch_all(reader.connection()).await?))
}

fn uuids(ids: &[DocumentId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

fn ranked(rows: Vec<(Uuid, f64)>) -> Vec<Ranked> {
    rows.into_iter()
        .map(|(id, score)| Ranked {
            chunk_id: ChunkId(id),
            score,
        })
        .collect()
}
