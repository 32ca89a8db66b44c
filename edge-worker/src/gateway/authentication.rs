//! Who is calling, and whether they call too often.

use crate::{
    gateway::{
        Gateway,
        exchange::{Exchange, IncomingHeaders},
        keys::key_for,
    },
    ports::{Allowance, Host},
};
use chrono::{DateTime, Utc};
use rag_core::{
    jwks::Jwk,
    token::{AcceptedToken, TokenError, UnverifiedToken},
};
use sha2::{Digest, Sha256};
use shared_types::{
    claims::AccessClaims,
    problem::{Problem, ProblemKind},
};
use std::{rc::Rc, sync::Arc};

/// The period of every allowance in `wrangler.toml`.
const ALLOWANCE_PERIOD_S: u32 = 60;

/// The caller of a signed-in endpoint, within the allowance; where a cookie says so, one whose request
/// a page of ours sent. Somebody whose token is refused is counted by address, so that guessing is
/// slow.
pub async fn signed_in<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    headers: &IncomingHeaders,
) -> Result<AccessClaims, Problem> {
    match exchange
        .stage("auth", authenticate(gateway, exchange, headers))
        .await
    {
        Ok(claims) => {
            count(exchange, Allowance::User, &claims.sub.to_string()).await?;
            if let Some(cookies) = &exchange.cookies {
                cookies.check(&exchange.config.edge_token, claims.session_id)?;
            }
            Ok(claims)
        }
        Err(problem) => {
            count_address(exchange, headers).await?;
            Err(problem)
        }
    }
}

/// Counts a request against the caller's address.
pub async fn count_address<H: Host>(
    exchange: &Exchange<H>,
    headers: &IncomingHeaders,
) -> Result<(), Problem> {
    let address = headers.client_address.as_deref().unwrap_or("unknown");
    count(exchange, Allowance::Address, address).await
}

async fn count<H: Host>(
    exchange: &Exchange<H>,
    allowance: Allowance,
    key: &str,
) -> Result<(), Problem> {
    let counted = exchange.host.allow(allowance, key);
    match exchange
        .within(exchange.config.timeouts.cache_ms, counted)
        .await
    {
        Ok(true) => Ok(()),
        Ok(false) => {
            let mut problem = Problem::new(ProblemKind::RateLimited);
            problem.retry_after_s = Some(ALLOWANCE_PERIOD_S);
            Err(problem)
        }
        Err(error) => {
            // Refusing everybody because a counter is broken would be the worse failure.
            exchange.warn("rate limiter unavailable, request let through", &error);
            Ok(())
        }
    }
}

/// Who the bearer token says is calling, once it is verified.
pub async fn authenticate<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    headers: &IncomingHeaders,
) -> Result<AccessClaims, Problem> {
    let text = headers
        .authorization
        .as_deref()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::new(ProblemKind::TokenMissing))?;
    // By its digest: of that nobody can make a token.
    let has_memory = gateway.accepted.has_room();
    let digest = has_memory.then(|| hex::encode(Sha256::digest(text)));
    let now = exchange.host.now();
    let known = digest.as_deref();
    if let Some(claims) = known.and_then(|digest| recall(gateway, digest, now)) {
        return Ok(claims);
    }
    let token = UnverifiedToken::parse(text).map_err(TokenError::problem)?;
    let key = key_for(&gateway.keys, exchange, &token).await?;
    match exchange.host.verify(&key, &token).await {
        Ok(true) => {}
        Ok(false) => return Err(TokenError::BadSignature.problem()),
        Err(error) => {
            let message = "a signature could not be checked";
            return Err(exchange.fail(ProblemKind::AuthUnavailable, message, &error));
        }
    }
    let now = exchange.host.now();
    let token = token.accept(&gateway.policy, now);
    let token = token.map_err(TokenError::problem)?;
    let claims = token.claims.clone();
    // Accepted ones alone: refusing a token takes the same time whenever it comes.
    if let Some(digest) = digest {
        let accepted = Rc::new(Accepted { token, key });
        gateway.accepted.keep(digest, accepted, now.timestamp());
    }
    Ok(claims)
}

/// What was found out about a token when it was accepted.
struct Accepted {
    token: AcceptedToken,
    key: Arc<Jwk>,
}

/// The claims of a token that was accepted a moment ago and would be again: whether a key signed a text, and whom it
/// names, no time changes.
fn recall(gateway: &Gateway, digest: &str, now: DateTime<Utc>) -> Option<AccessClaims> {
    let accepted: Rc<Accepted> = gateway.accepted.recall(digest, now.timestamp())?;
    let is_valid = !accepted.token.is_expired(now) && gateway.keys.still_has(&accepted.key, now);
    is_valid.then(|| accepted.token.claims.clone())
}
