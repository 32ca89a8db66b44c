//! The two ranked lists of hybrid search. `rag_core::fusion` makes one of them.

mod narrowed;
mod plan;
mod readable;
mod vector;
mod words;

pub use plan::{FIRST_LOOK, ReadablePassages, VectorPlan, VectorSettings};
pub use readable::{Readable, readable};
pub use vector::{VectorList, by_vector, explain_vector};
pub use words::by_words;

use crate::{Error, ReaderTx};
use rag_core::bm25::Bm25;
use shared_types::{chat::SearchFilters, embedding::Embedding, ids::ChunkId};
use uuid::Uuid;

/// How deep each list goes.
pub const LIST_DEPTH: u32 = 100;

/// What is set for all searches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchSettings {
    /// How the words of a passage count.
    pub bm25: Bm25,
    /// How the vector list is found.
    pub vector: VectorSettings,
}

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
#[derive(Clone, Debug, PartialEq)]
pub struct RankedLists {
    /// By vector distance, ascending.
    pub vector: Vec<Ranked>,
    /// By BM25 score, descending.
    pub lexical: Vec<Ranked>,
    /// How the vector list was found.
    pub vector_plan: VectorPlan,
}

/// Searches what the reader may read and the filters let through, by meaning and by words.
pub async fn hybrid(
    reader: &mut ReaderTx,
    request: &SearchRequest<'_>,
    filters: &SearchFilters,
    settings: &SearchSettings,
) -> Result<RankedLists, Error> {
    let readable = readable(reader).await?.narrow(reader, filters).await?;
    let vector = match request.embedding {
        Some(embedding) => {
            by_vector(reader, &readable, embedding, request, &settings.vector).await?
        }
        None => VectorList {
            ranked: Vec::new(),
            plan: VectorPlan::Nothing,
        },
    };
    let lexical = by_words(reader, &readable, request, settings.bm25).await?;
    Ok(RankedLists {
        vector: vector.ranked,
        lexical,
        vector_plan: vector.plan,
    })
}

fn ranked(rows: Vec<(Uuid, f64)>) -> Vec<Ranked> {
    rows.into_iter()
        .map(|(id, score)| Ranked {
            chunk_id: ChunkId(id),
            score,
        })
        .collect()
}
