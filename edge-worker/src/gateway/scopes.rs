//! `POST /internal/scope/invalidate`

use crate::{
    gateway::exchange::{Exchange, Incoming, Reply, empty},
    ports::{Host, Layer, PortError},
    router::Route,
};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use shared_types::{
    cache::{CacheKey, ScopeKey},
    ids::UserId,
    origin::InvalidateScopes,
    problem::{Problem, ProblemKind},
};

/// The most people in one call: Workers KV allows 1,000 operations an invocation.
const MAX_PEOPLE: usize = 1_000;
/// Deletions at a time; more than six connections would wait for each other anyway.
const AT_ONCE: usize = 6;

/// Forgets what people may read, so that the next question of each asks the origin anew.
/// 204 when all are forgotten; a failure asks the caller to come again.
pub async fn invalidate<H: Host>(
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    let expected = exchange.config.edge_token.expose_secret();
    if !is_same(incoming.headers.edge_token.as_deref(), expected) {
        return Err(Problem::new(ProblemKind::Forbidden));
    }
    let limit = Route::InvalidateScopes.body_limit();
    let request: InvalidateScopes = incoming.json(exchange, limit).await?;
    if request.user_ids.len() > MAX_PEOPLE {
        return Err(Problem::new(ProblemKind::BodyInvalid)
            .with_detail(format!("At most {MAX_PEOPLE} people.")));
    }
    let failures = forget(exchange, request.user_ids).await;
    match failures.first() {
        None => Ok(empty(StatusCode::NO_CONTENT)),
        Some(error) => {
            let message = "scopes not forgotten";
            Err(exchange.fail(ProblemKind::StorageUnavailable, message, error))
        }
    }
}

/// Forgets what people may read, and returns how many were forgotten. Where that fails the bound on staleness holds,
/// and `otherwise` is logged.
pub async fn forget_if_possible<H: Host>(
    exchange: &Exchange<H>,
    people: Vec<UserId>,
    otherwise: &str,
) -> usize {
    let all = people.len();
    let failures = forget(exchange, people).await;
    if let Some(error) = failures.first() {
        exchange.warn(otherwise, error);
    }
    all - failures.len()
}

/// Forgets what people may read; one error for each who was not forgotten.
async fn forget<H: Host>(exchange: &Exchange<H>, people: Vec<UserId>) -> Vec<PortError> {
    stream::iter(people)
        .map(|user_id| async move {
            let key = ScopeKey { user_id }.text();
            let delete = exchange.host.delete(Layer::Scope, &key);
            let limit_ms = exchange.config.timeouts.cache_ms;
            exchange.within(limit_ms, delete).await.err()
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(|failure| async { failure })
        .collect()
        .await
}

/// Compares digests, so that the time taken says nothing about where two secrets differ.
fn is_same(given: Option<&str>, expected: &str) -> bool {
    given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(expected))
}
