//! Searching, and reading chosen passages again: always under the caller's own rights.

use crate::error::ApiError;
use rag_core::{
    citation::CitablePassage,
    fusion::{RRF_K, reciprocal_rank_fusion},
    query::{QueryError, normalise},
    scope::scope_version,
};
use shared_types::{
    claims::AccessClaims,
    ids::ChunkId,
    origin::{
        ANSWER_PASSAGES, AnswerRequest, RETRIEVE_LIMIT, RetrieveRequest, RetrieveResponse, Scoring,
    },
    problem::ProblemKind,
};
use std::{collections::HashMap, time::Duration};
use storage::{
    PgPool,
    passages::{self, StoredPassage},
    search::{self, Ranked, RankedLists, SearchRequest},
};
use tokio::time::Instant;

/// Documents that a search may be narrowed to.
const MAX_FILTERED_DOCUMENTS: usize = 50;
/// The longest name of an embedding model, in bytes.
const MAX_MODEL_NAME_BYTES: usize = 200;

/// The outcome of a search.
pub struct Found {
    /// The passages.
    pub response: RetrieveResponse,
    /// How long the database took.
    pub sql: Duration,
}

/// The passages nearest to a question, by meaning and by words, fused; at most [`RETRIEVE_LIMIT`].
pub async fn retrieve(
    pool: &PgPool,
    claims: &AccessClaims,
    request: &RetrieveRequest,
) -> Result<Found, ApiError> {
    let query = normalise(&request.query)?;
    let document_ids = &request.filters.document_ids;
    if document_ids.len() > MAX_FILTERED_DOCUMENTS {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("A search takes at most {MAX_FILTERED_DOCUMENTS} documents."),
        ));
    }
    if request.embedding_model.len() > MAX_MODEL_NAME_BYTES {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("The name of an embedding model has at most {MAX_MODEL_NAME_BYTES} bytes."),
        ));
    }
    let start = Instant::now();
    let mut reader = storage::reader::begin_snapshot(pool, claims).await?;
    let scope = scope_version(&storage::scope::facts(&mut reader).await?);
    let search = SearchRequest {
        query: &query,
        embedding: request.embedding.as_ref(),
        embedding_model: &request.embedding_model,
        document_ids,
    };
    let lists = search::hybrid(&mut reader, &search).await?;
    let best = fuse(&lists);
    let ids: Vec<ChunkId> = best.iter().map(|(id, _)| *id).collect();
    let passages = passages::by_ids(&mut reader, &ids).await?;
    reader.commit().await?;
    let sql = start.elapsed();

    let scoring: HashMap<ChunkId, Scoring> = best.into_iter().collect();
    let passages = passages.into_iter().map(|passage| {
        let scoring = scoring.get(&passage.chunk_id).copied().unwrap_or_default();
        passage.into_passage(scoring)
    });
    Ok(Found {
        response: RetrieveResponse {
            passages: passages.collect(),
            scope,
        },
        sql,
    })
}

/// The chosen passages, in their order. Where the caller may not read one of them any more, this is
/// a conflict: an answer from the rest would be kept for everybody under all of them.
pub async fn chosen_passages(
    pool: &PgPool,
    claims: &AccessClaims,
    request: &AnswerRequest,
) -> Result<Vec<CitablePassage>, ApiError> {
    normalise(&request.query)?;
    if request.passages.len() > ANSWER_PASSAGES {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("An answer is made from at most {ANSWER_PASSAGES} passages."),
        ));
    }
    if request.passages.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids: Vec<ChunkId> = Vec::with_capacity(request.passages.len());
    for passage in &request.passages {
        if !ids.contains(&passage.chunk_id) {
            ids.push(passage.chunk_id);
        }
    }
    let mut reader = storage::reader::begin(pool, claims).await?;
    let passages = passages::by_ids(&mut reader, &ids).await?;
    reader.commit().await?;
    if passages.len() != ids.len() {
        return Err(ApiError::refused(
            ProblemKind::Conflict,
            "A passage is gone or not yours to read any more. Search again.",
        ));
    }
    Ok(passages
        .into_iter()
        .map(StoredPassage::into_citable)
        .collect())
}

/// The best of both lists with how each came there, best first.
fn fuse(lists: &RankedLists) -> Vec<(ChunkId, Scoring)> {
    let ids = |list: &[Ranked]| list.iter().map(|r| r.chunk_id).collect::<Vec<_>>();
    let score_at = |list: &[Ranked], rank: Option<u32>| {
        rank.and_then(|rank| list.get(rank as usize - 1))
            .map(|ranked| ranked.score)
    };
    reciprocal_rank_fusion(&ids(&lists.vector), &ids(&lists.lexical), RRF_K)
        .into_iter()
        .take(RETRIEVE_LIMIT)
        .map(|fused| {
            let scoring = Scoring {
                vector_rank: fused.vector_rank,
                vector_distance: score_at(&lists.vector, fused.vector_rank),
                lexical_rank: fused.lexical_rank,
                lexical_score: score_at(&lists.lexical, fused.lexical_rank),
                fused_score: fused.score,
                rerank_score: None,
            };
            (fused.chunk_id, scoring)
        })
        .collect()
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::refused(ProblemKind::QueryInvalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn list(entries: &[(u128, f64)]) -> Vec<Ranked> {
        entries
            .iter()
            .map(|(id, score)| Ranked {
                chunk_id: ChunkId(Uuid::from_u128(*id)),
                score: *score,
            })
            .collect()
    }

    #[test]
    fn each_passage_tells_how_it_came_to_its_place() {
        let lists = RankedLists {
            vector: list(&[(1, 0.2), (2, 0.3)]),
            lexical: list(&[(2, 7.5)]),
        };
        let fused = fuse(&lists);
        assert_eq!(fused[0].0.0.as_u128(), 2);
        assert_eq!(
            fused[0].1,
            Scoring {
                vector_rank: Some(2),
                vector_distance: Some(0.3),
                lexical_rank: Some(1),
                lexical_score: Some(7.5),
                fused_score: 1.0 / 62.0 + 1.0 / 61.0,
                rerank_score: None,
            }
        );
        assert_eq!(fused[1].1.lexical_rank, None);
        assert_eq!(fused[1].1.lexical_score, None);
    }

    #[test]
    fn no_more_passages_come_than_the_edge_asks_for() {
        let entries: Vec<_> = (0..50).map(|id| (id, 0.5)).collect();
        let lists = RankedLists {
            vector: list(&entries),
            lexical: vec![],
        };
        assert_eq!(fuse(&lists).len(), RETRIEVE_LIMIT);
    }
}
