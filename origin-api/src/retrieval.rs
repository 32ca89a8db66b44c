//! Searching, and reading chosen passages again: always under the caller's own rights.

use crate::{
    config::QuotaConfig,
    error::ApiError,
    flight::Flights,
    metrics::metrics,
    recall::{Picked, RecallSample},
    requests::RequestContext,
    state::AppState,
    usage::quota::{self, UsedUp},
};
use rag_core::{
    distinct::Distinct,
    excerpt::CitablePassage,
    query::{QueryError, normalise},
    scope::scope_version,
};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    embedding::Embedding,
    feedback::CuratedBy,
    ids::{ChunkId, CuratedAnswerId},
    origin::{
        ANSWER_PASSAGES, AnswerRequest, Passage, RETRIEVE_LIMIT, RetrieveRequest, RetrieveResponse,
        Scope, ScopeVersion, Scoring,
    },
    problem::ProblemKind,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use storage::{
    PgPool, ReaderTx,
    curated::{self, Asked},
    passages,
    search::{
        self, Found as FoundPassages, Ranked, RankedLists, Readable, SearchRequest, SearchSettings,
        VectorPlan,
    },
};
use tokio::time::Instant;

/// The longest name of an embedding model, in bytes.
const MAX_MODEL_NAME_BYTES: usize = 200;

/// Searches that can be joined.
const MAX_SHARED: usize = 256;

/// The searches under way.
///
/// A caller joins a search of the caller's own scope version alone, computed from the facts of the caller's
/// own snapshot. Nobody is shown a word too many by that: equal scope versions mean equal roles, the same
/// owners and the same version of each corpus, and a corpus gets its version in the transaction that changes
/// it. So the snapshot that is being searched shows its reader exactly what the caller's own would show the
/// caller, and the same question finds the same there.
pub struct Searches(Flights<Search, Outcome>);

/// What a search ended with.
type Outcome = Result<Arc<Matches>, Arc<storage::Error>>;

/// What was found.
#[derive(Clone, Debug)]
struct Matches {
    passages: Vec<Passage>,
    /// The answer that a teacher wrote.
    curated: Option<CuratedAnswerId>,
}

impl Default for Searches {
    fn default() -> Self {
        // The outcome is the only entry of a log, and there is always room for it.
        Self(Flights::new(MAX_SHARED, 0, Duration::ZERO))
    }
}

/// Everything that decides what a search finds.
#[derive(PartialEq, Eq, Hash)]
struct Search {
    scope: ScopeVersion,
    query: String,
    /// Canonical.
    filters: SearchFilters,
    /// The bytes of the embedding.
    embedding: Option<Vec<u8>>,
    embedding_model: String,
}

/// The outcome of a search.
pub struct Found {
    /// The passages.
    pub response: RetrieveResponse,
    /// How long the database took.
    pub sql: Duration,
}

/// The passages nearest to a question, by meaning and by words, fused; at most [`RETRIEVE_LIMIT`].
///
/// The scope is read and searched in one snapshot. Between the two, a search for the very same thing is
/// joined where one is under way, and the snapshot is let go.
pub async fn retrieve(
    state: &AppState,
    context: &RequestContext,
    claims: &AccessClaims,
    request: RetrieveRequest,
) -> Result<Found, ApiError> {
    let query = normalise(&request.query)?;
    accept(&request).map_err(|detail| ApiError::refused(ProblemKind::BodyInvalid, detail))?;
    let start = Instant::now();
    let mut reader = storage::reader::begin_snapshot(&state.pool, claims).await?;
    let (facts, readable) = storage::scope::survey_for(&mut reader, &query).await?;
    let readable = if request.filters == SearchFilters::default() {
        let model = &request.embedding_model;
        state.corpora.attach(readable, claims, model)
    } else {
        // It is going to be narrowed, and read by SQL.
        readable
    };
    let scope = Scope {
        version: scope_version(&facts),
        purges: facts.purges,
    };
    let search = Arc::new(Search::new(scope.version.clone(), query, &request));
    let (settings, min_similarity) = (state.search_settings, state.curated_similarity);
    let (sample, claims) = (state.recall_sample.clone(), claims.clone());
    let (mut outcome, part) = state.searches.0.board(search.clone(), |log| async move {
        let mut reader = reader;
        let embedding = request.embedding.as_ref();
        let matches = async {
            let curated = if readable.is_without_curated_answers() {
                None
            } else {
                curated(&mut reader, &search, embedding, min_similarity).await?
            };
            let (passages, lists) =
                passages_of(reader, readable, &search, embedding, &settings).await?;
            metrics().searched(lists.vector_plan.name());
            if let Some(picked) = picked(&sample, claims, &search, &lists, &request) {
                sample.measure(picked);
            }
            Ok(Matches { passages, curated })
        };
        log.end(matches.await.map(Arc::new).map_err(Arc::new));
    });
    context.boarded(part);
    let matches = outcome.next().await.ok_or_else(|| {
        ApiError::caused(ProblemKind::Internal, "the search died before its end")
    })??;
    let Matches { passages, curated } = Arc::unwrap_or_clone(matches);
    Ok(Found {
        response: RetrieveResponse {
            passages,
            curated,
            scope,
        },
        sql: start.elapsed(),
    })
}

/// The search as it is measured, where it is one of those.
fn picked(
    sample: &RecallSample,
    claims: AccessClaims,
    search: &Search,
    lists: &RankedLists,
    request: &RetrieveRequest,
) -> Option<Picked> {
    let embedding = request.embedding.as_ref()?;
    // Any other plan compares all there is.
    let may_miss = matches!(
        lists.vector_plan,
        VectorPlan::Memory { .. } | VectorPlan::Signs { .. } | VectorPlan::Graph { .. }
    );
    (may_miss && sample.picks()).then(|| Picked {
        claims,
        embedding: embedding.clone(),
        embedding_model: search.embedding_model.clone(),
        plan: lists.vector_plan.name(),
        found: lists.vector.iter().map(|found| found.chunk_id).collect(),
    })
}

/// What is wrong with the request, the query apart.
fn accept(request: &RetrieveRequest) -> Result<(), String> {
    request.filters.check().map_err(|error| error.to_string())?;
    if request.embedding_model.len() > MAX_MODEL_NAME_BYTES {
        return Err(format!(
            "The name of an embedding model has at most {MAX_MODEL_NAME_BYTES} bytes."
        ));
    }
    Ok(())
}

impl Search {
    fn new(scope: ScopeVersion, query: String, request: &RetrieveRequest) -> Self {
        Self {
            scope,
            query,
            filters: request.filters.canonical(),
            embedding: request.embedding.as_ref().map(Embedding::to_bytes),
            embedding_model: request.embedding_model.clone(),
        }
    }
}

/// The answer that a teacher wrote to this question or one close to it. A search that is narrowed is for what documents
/// say.
async fn curated(
    reader: &mut ReaderTx,
    search: &Search,
    embedding: Option<&Embedding>,
    min_similarity: f64,
) -> Result<Option<CuratedAnswerId>, storage::Error> {
    if search.filters != SearchFilters::default() || reader.role() == Role::Admin {
        return Ok(None);
    }
    let asked = Asked {
        question: &search.query,
        embedding,
        embedding_model: &search.embedding_model,
        min_similarity,
    };
    curated::nearest(reader, &asked).await
}

/// Searches in the reader's snapshot, which must be the one that `search.scope` was read in.
async fn passages_of(
    mut reader: ReaderTx,
    readable: Readable,
    search: &Search,
    embedding: Option<&Embedding>,
    settings: &SearchSettings,
) -> Result<(Vec<Passage>, RankedLists), storage::Error> {
    let request = SearchRequest {
        query: &search.query,
        embedding,
        embedding_model: &search.embedding_model,
    };
    let found = search::fused(&mut reader, readable, &request, &search.filters, settings).await?;
    let passages = distinct(&mut reader, &scored(&found)).await?;
    reader.end_reading();
    Ok((passages, found.lists))
}

/// The best passages that say something new, best first, at most [`RETRIEVE_LIMIT`]. The places of those
/// that only say again what a better one says go to the ones behind.
///
/// Texts are read in rounds, as many as places are empty, but a quarter of what was read before at least:
/// a library full of copies takes a few rounds, and any other hardly more than one.
async fn distinct(
    reader: &mut ReaderTx,
    ranked: &[(ChunkId, Scoring)],
) -> Result<Vec<Passage>, storage::Error> {
    let mut distinct = Distinct::new();
    let mut found: Vec<Passage> = Vec::with_capacity(RETRIEVE_LIMIT);
    let mut unread = ranked;
    while found.len() < RETRIEVE_LIMIT && !unread.is_empty() {
        let read = ranked.len() - unread.len();
        let wanted = (RETRIEVE_LIMIT - found.len()).max(read / 4);
        let (round, rest) = unread.split_at(wanted.min(unread.len()));
        unread = rest;
        let ids: Vec<ChunkId> = round.iter().map(|(id, _)| *id).collect();
        let scoring: HashMap<ChunkId, Scoring> = round.iter().copied().collect();
        for mut passage in passages::by_ids(reader, &ids).await? {
            if distinct.admit(&passage.content) {
                passage.scoring = scoring.get(&passage.chunk_id).copied().unwrap_or_default();
                found.push(passage);
            }
        }
    }
    found.truncate(RETRIEVE_LIMIT);
    Ok(found)
}

/// What an answer is to be made from.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The passages, in the order of the request.
    pub passages: Vec<CitablePassage>,
    /// The number of the last purge that concerned the caller when they were read; zero for none.
    pub generation: u64,
    /// Whether the caller had used up the day's share of the model by then.
    pub used_up: Option<UsedUp>,
}

/// The answer that a teacher wrote, and whose it is. A conflict where there is none (any more) that the caller may be told.
pub async fn curated_answer(
    pool: &PgPool,
    claims: &AccessClaims,
    id: CuratedAnswerId,
) -> Result<(String, CuratedBy), ApiError> {
    let mut reader = storage::reader::begin(pool, claims).await?;
    match curated::text(&mut reader, id).await {
        Err(storage::Error::NotFound) => Err(ApiError::refused(
            ProblemKind::Conflict,
            "The answer is gone or not yours to read any more. Search again.",
        )),
        found => Ok(found?),
    }
}

/// The chosen passages, in their order. Where the caller may not read one of them any more, this is
/// a conflict: an answer from the rest would be kept for everybody under all of them.
pub async fn chosen_passages(
    pool: &PgPool,
    claims: &AccessClaims,
    quota: &QuotaConfig,
    request: &AnswerRequest,
) -> Result<Chosen, ApiError> {
    normalise(&request.query)?;
    if request.passages.len() > ANSWER_PASSAGES {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("An answer is made from at most {ANSWER_PASSAGES} passages."),
        ));
    }
    if request.passages.is_empty() {
        return Ok(Chosen::default());
    }
    let mut ids: Vec<ChunkId> = Vec::with_capacity(request.passages.len());
    for passage in &request.passages {
        if !ids.contains(&passage.chunk_id) {
            ids.push(passage.chunk_id);
        }
    }
    let mut reader = storage::reader::begin(pool, claims).await?;
    let generation = storage::purges::latest(&mut reader).await?;
    let passages = passages::citable(&mut reader, &ids).await?;
    let used_up = quota::used_up(&mut reader, quota).await?;
    reader.commit().await?;
    if passages.len() != ids.len() {
        return Err(ApiError::refused(
            ProblemKind::Conflict,
            "A passage is gone or not yours to read any more. Search again.",
        ));
    }
    Ok(Chosen {
        passages,
        generation,
        used_up,
    })
}

/// All that was found with how each came to its place, best first.
fn scored(found: &FoundPassages) -> Vec<(ChunkId, Scoring)> {
    let score_at = |list: &[Ranked], rank: Option<u32>| {
        rank.and_then(|rank| list.get(rank as usize - 1))
            .map(|ranked| ranked.score)
    };
    let lists = &found.lists;
    found
        .fused
        .iter()
        .map(|fused| {
            let scoring = Scoring {
                vector_rank: fused.vector_rank,
                vector_distance: score_at(&lists.vector, fused.vector_rank),
                lexical_rank: fused.lexical_rank,
                lexical_score: score_at(&lists.lexical, fused.lexical_rank),
                fused_score: fused.score,
            };
            (fused.chunk_id, scoring)
        })
        .collect()
}

impl From<Arc<storage::Error>> for ApiError {
    fn from(error: Arc<storage::Error>) -> Self {
        Self::caused(error.problem_kind(), error)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::refused(ProblemKind::QueryInvalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rag_core::fusion::{Fusion, RRF_K};
    use storage::search::{RankedLists, VectorPlan};
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

    fn found(vector: &[(u128, f64)], lexical: &[(u128, f64)]) -> FoundPassages {
        let lists = RankedLists {
            vector: list(vector),
            lexical: list(lexical),
            lexical_ceiling: 10.0,
            vector_plan: VectorPlan::Documents,
        };
        let fused = lists.fuse(&Fusion::ReciprocalRank { k: RRF_K });
        FoundPassages { lists, fused }
    }

    #[test]
    fn each_passage_tells_how_it_came_to_its_place() {
        let scored = scored(&found(&[(1, 0.2), (2, 0.3)], &[(2, 7.5)]));
        assert_eq!(scored[0].0.0.as_u128(), 2);
        assert_eq!(
            scored[0].1,
            Scoring {
                vector_rank: Some(2),
                vector_distance: Some(0.3),
                lexical_rank: Some(1),
                lexical_score: Some(7.5),
                fused_score: 1.0 / 62.0 + 1.0 / 61.0,
            }
        );
        assert_eq!(scored[1].1.lexical_rank, None);
        assert_eq!(scored[1].1.lexical_score, None);
    }
}
