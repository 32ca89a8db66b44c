//! From a question to the passages that answer it.

use super::{Question, rerank};
use crate::{
    gateway::{
        cached::{Lookup, Slot, look_up},
        exchange::{Exchange, JSON},
        upstream::{ask_for_bytes, ask_origin, parse},
    },
    ports::Host,
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use shared_types::{
    cache::{EmbedKey, ScopeKey, ScopeReading, SearchKey, SearchResults},
    chat::{CacheOutcome, Degradation},
    embedding::Embedding,
    origin::{Candidates, RETRIEVE_LIMIT, RetrieveRequest, Scope},
    problem::Problem,
    purge::Purges,
};
use std::{pin::pin, rc::Rc};

/// Where the origin searches.
const RETRIEVE: &str = "/v1/retrieve";

/// The passages, and how they were come by.
pub struct Found {
    /// Best first, at most [`shared_types::origin::ANSWER_PASSAGES`].
    pub results: Rc<SearchResults>,
    /// The purges that the answer must heed.
    pub purges: Purges,
    /// What the scope cache gave.
    pub scope: CacheOutcome,
    /// What the search cache gave.
    pub search: CacheOutcome,
    /// What the embedding cache gave.
    pub embedding: CacheOutcome,
    /// What failed on the way, caches aside.
    pub degraded: Vec<Degradation>,
}

/// The embedding of a question, where there is one.
struct Embedded {
    embedding: Option<Embedding>,
    outcome: CacheOutcome,
}

/// Finds the passages: remembered ones, or by a search under the caller's own rights.
///
/// The embedding is made while the search cache is asked. A query without a cached embedding hardly ever has
/// a cached search (the former lives 24 times as long), so this costs next to no call of the model for
/// nothing, and a cold question does not wait for one thing after the other. Both keys rest on the scope.
pub async fn find<H: Host>(exchange: &Exchange<H>, question: &Question) -> Result<Found, Problem> {
    let (scope, scope_outcome) = scope_of(exchange, question).await?;
    let models = format!(
        "{} {}",
        exchange.config.embedding_space(),
        exchange.config.rerank_model
    );
    let remembered_key = SearchKey {
        scope: &scope.version,
        models: &models,
        query: &question.normalised,
        filters: &question.filters,
    };
    let remembered = pin!(look_up(exchange, &remembered_key));
    let embedded = pin!(embed(
        exchange,
        &question.normalised,
        scope.purges.everything
    ));
    let (remembered, embedded) = match select(remembered, embedded).await {
        Either::Left((remembered, embedded)) => (remembered, Either::Left(embedded)),
        Either::Right((embedded, remembered)) => (remembered.await, Either::Right(embedded)),
    };
    let outcome = remembered.outcome();
    if let Lookup::Hit(results) = remembered {
        return Ok(Found {
            results,
            purges: scope.purges,
            scope: scope_outcome,
            search: outcome,
            embedding: CacheOutcome::Skipped,
            degraded: Vec::new(),
        });
    }
    let embedded = match embedded {
        Either::Left(unfinished) => unfinished.await,
        Either::Right(finished) => finished,
    };

    let mut degraded = Vec::new();
    if embedded.embedding.is_none() {
        degraded.push(Degradation::EmbeddingUnavailable);
    }
    let reply = retrieve(exchange, question, embedded.embedding).await?;
    let mut retrieved: Candidates<'_> = parse(exchange, RETRIEVE, &reply)?;
    retrieved.passages.truncate(RETRIEVE_LIMIT);
    let ranking = rerank::best(exchange, &question.normalised, retrieved.passages).await;
    if !ranking.is_judged {
        degraded.push(Degradation::RerankerUnavailable);
    }
    let results = SearchResults {
        passages: ranking.passages,
        curated: retrieved.curated,
    };
    // What a failure made worse must not stay for an hour, nor what was found by an embedding from
    // before a purge of everything.
    let purges = retrieved.scope.purges;
    if degraded.is_empty() && purges.everything == scope.purges.everything {
        let key = SearchKey {
            // Not the remembered one: rights that changed in between would file text under a
            // scope that can come back when they change back.
            scope: &retrieved.scope.version,
            models: &models,
            query: &question.normalised,
            filters: &question.filters,
        };
        Slot::of(&key).fill(&exchange.host, &results);
    }
    Ok(Found {
        results: Rc::new(results),
        purges,
        scope: scope_outcome,
        search: outcome,
        embedding: embedded.outcome,
        degraded,
    })
}

async fn scope_of<H: Host>(
    exchange: &Exchange<H>,
    question: &Question,
) -> Result<(Scope, CacheOutcome), Problem> {
    let key = ScopeKey {
        user_id: question.user_id,
    };
    let looked_up = if question.distrusts_scope {
        Lookup::Miss
    } else {
        look_up(exchange, &key).await
    };
    let outcome = match looked_up {
        Lookup::Hit(reading) if reading.is_fresh(exchange.host.now().timestamp()) => {
            return Ok((Rc::unwrap_or_clone(reading).scope, CacheOutcome::Hit));
        }
        Lookup::Hit(_) | Lookup::Miss => CacheOutcome::Miss,
        Lookup::Failed => CacheOutcome::Failed,
    };
    // The reading is as old as the question about it, not as the answer.
    let read_at_s = exchange.host.now().timestamp();
    let limit_ms = exchange.config.timeouts.scope_ms;
    let call = question.call(exchange, "origin_scope", "/v1/scope", JSON, None);
    let scope: Scope = exchange
        .stage("origin_scope", ask_origin(exchange, limit_ms, call))
        .await?;
    let reading = ScopeReading { scope, read_at_s };
    Slot::of(&key).fill(&exchange.host, &reading);
    Ok((reading.scope, outcome))
}

async fn embed<H: Host>(exchange: &Exchange<H>, query: &str, generation: u64) -> Embedded {
    let space = exchange.config.embedding_space();
    let key = EmbedKey {
        embedding_model: &space,
        query,
        generation,
    };
    let looked_up = look_up(exchange, &key).await;
    let outcome = looked_up.outcome();
    if let Lookup::Hit(embedding) = looked_up {
        return Embedded {
            embedding: Some(Rc::unwrap_or_clone(embedding)),
            outcome,
        };
    }
    let model = exchange.within(
        exchange.config.timeouts.embed_ms,
        exchange.host.embed(query),
    );
    let embedding = match exchange.stage("embed_model", model).await {
        Ok(embedding) => {
            Slot::of(&key).fill(&exchange.host, &embedding);
            Some(embedding)
        }
        Err(error) => {
            exchange.warn("embedding service failed, search by words alone", &error);
            None
        }
    };
    Embedded { embedding, outcome }
}

async fn retrieve<H: Host>(
    exchange: &Exchange<H>,
    question: &Question,
    embedding: Option<Embedding>,
) -> Result<Bytes, Problem> {
    let request = RetrieveRequest {
        query: question.normalised.clone(),
        embedding,
        embedding_model: exchange.config.embedding_space(),
        filters: question.filters.clone(),
    };
    let limit_ms = exchange.config.timeouts.retrieve_ms;
    // Strings, ids and finite numbers always serialise.
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let call = question.call(exchange, "retrieve", RETRIEVE, JSON, Some(body));
    let asked = ask_for_bytes(exchange, limit_ms, call);
    exchange.stage("retrieve", asked).await
}
