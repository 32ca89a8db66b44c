//! Hybrid search: two ranked lists, of which `rag_core::fusion` makes one.

mod memory;
mod narrowed;
mod near;
mod plan;
mod readable;
mod vector;
mod words;

pub use memory::{CorpusFacts, CorpusMemory, Kept, Loaded};
pub use plan::{ReadablePassages, VectorPlan, VectorSettings, patience};
pub use readable::{Readable, readable};
pub use vector::{VectorList, by_vector, exactly, explain_vector};
pub use words::{WordList, by_words};

use crate::{Error, ReaderTx};
use near::Near;
use rag_core::{
    bm25::{Bm25, Place},
    fusion::{self, Fused, Fusion, Lists, Scored, Weights},
};
use shared_types::{chat::SearchFilters, embedding::Embedding, ids::ChunkId};
use std::collections::HashMap;
use uuid::Uuid;

/// How deep each list goes.
pub const LIST_DEPTH: u32 = 100;
/// How many of the first passages are ranked once more when the guides are known: three times as many as are shown.
/// Each costs a look at its vector.
const FOLLOWING: usize = 60;

/// What is set for all searches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchSettings {
    /// How the words of a passage count.
    pub bm25: Bm25,
    /// How the vector list is found.
    pub vector: VectorSettings,
    /// How the lists become one.
    pub fusion: Fusion,
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
    /// What no BM25 score for this question can exceed.
    pub lexical_ceiling: f64,
    /// How the vector list was found.
    pub vector_plan: VectorPlan,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The two lists.
    pub lists: RankedLists,
    /// Their passages, best first: up to twice [`LIST_DEPTH`]. Scores descend.
    pub fused: Vec<Fused>,
}

/// Searches the part of what the reader may read that the filters let through, by meaning and by words, and fuses
/// what it finds.
pub async fn fused(
    reader: &mut ReaderTx,
    readable: Readable,
    request: &SearchRequest<'_>,
    filters: &SearchFilters,
    settings: &SearchSettings,
) -> Result<Found, Error> {
    let readable = readable.narrow(reader, filters).await?;
    let (lists, places) = lists(reader, &readable, request, settings).await?;
    let fused = lists.fuse(&settings.fusion);
    let fused = match (&settings.fusion, request.embedding) {
        (Fusion::Weighted(weights), Some(embedding)) => {
            let near = Near {
                readable: &readable,
                request,
                embedding,
                places: &places,
            };
            follow_guides(reader, &near, weights, fused).await?
        }
        _ => fused,
    };
    Ok(Found { lists, fused })
}

/// The two lists by themselves.
pub async fn hybrid(
    reader: &mut ReaderTx,
    request: &SearchRequest<'_>,
    filters: &SearchFilters,
    settings: &SearchSettings,
) -> Result<RankedLists, Error> {
    let readable = readable(reader).await?.narrow(reader, filters).await?;
    let (lists, _) = lists(reader, &readable, request, settings).await?;
    Ok(lists)
}

/// Where passages stand, as far as that is known.
type Places = HashMap<ChunkId, Place>;

async fn lists(
    reader: &mut ReaderTx,
    readable: &Readable,
    request: &SearchRequest<'_>,
    settings: &SearchSettings,
) -> Result<(RankedLists, Places), Error> {
    let vector = match request.embedding {
        Some(embedding) => {
            by_vector(reader, readable, embedding, request, &settings.vector).await?
        }
        None => VectorList {
            ranked: Vec::new(),
            places: Vec::new(),
            plan: VectorPlan::Nothing,
        },
    };
    let lexical = by_words(reader, readable, request, settings.bm25).await?;
    let by_vector = vector.ranked.iter().zip(vector.places);
    let by_words = lexical.ranked.iter().zip(lexical.places);
    let known = by_vector.chain(by_words);
    let places = known
        .map(|(found, place)| (found.chunk_id, place))
        .collect();
    let lists = RankedLists {
        vector: vector.ranked,
        lexical: lexical.ranked,
        lexical_ceiling: lexical.ceiling,
        vector_plan: vector.plan,
    };
    Ok((lists, places))
}

/// Ranks the first passages once more, now that the guides among them are known. The others stay behind them.
async fn follow_guides(
    reader: &mut ReaderTx,
    near: &Near<'_>,
    weights: &Weights,
    mut fused: Vec<Fused>,
) -> Result<Vec<Fused>, Error> {
    let Some(feedback) = &weights.feedback else {
        return Ok(fused);
    };
    let rest = fused.split_off(fused.len().min(FOLLOWING));
    let candidates: Vec<ChunkId> = fused.iter().map(|passage| passage.chunk_id).collect();
    let near = near.among(reader, &candidates, feedback.guides).await?;
    let mut followed = fusion::follow(weights, feedback, fused, &near);
    let last = followed.last().map_or(0.0, |passage| passage.score);
    followed.extend(rest.into_iter().map(|mut passage| {
        passage.score = passage.score.min(last);
        passage
    }));
    Ok(followed)
}

impl RankedLists {
    /// Makes one list of the two, without guides.
    #[must_use]
    pub fn fuse(&self, fusion: &Fusion) -> Vec<Fused> {
        let scored = |list: &[Ranked], score: fn(f64) -> f64| -> Vec<Scored> {
            list.iter()
                .map(|hit| Scored {
                    chunk_id: hit.chunk_id,
                    score: score(hit.score),
                })
                .collect()
        };
        let lists = Lists {
            vector: &scored(&self.vector, |distance| 1.0 - distance),
            lexical: &scored(&self.lexical, |score| score),
            lexical_ceiling: self.lexical_ceiling,
            depth: LIST_DEPTH as usize,
        };
        fusion::fuse(fusion, &lists)
    }
}

fn ranked(rows: Vec<(Uuid, f64)>) -> Vec<Ranked> {
    rows.into_iter()
        .map(|(id, score)| Ranked {
            chunk_id: ChunkId(id),
            score,
        })
        .collect()
}
