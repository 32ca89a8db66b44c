//! Who is calling, and whether they call too often.

use crate::{
    gateway::{
        Gateway,
        exchange::{Exchange, IncomingHeaders},
        keys::key_for,
    },
    ports::{Allowance, Host},
};
use rag_core::token::{TokenError, UnverifiedToken};
use shared_types::{
    claims::AccessClaims,
    problem::{Problem, ProblemKind},
};

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
    let token = headers
        .authorization
        .as_deref()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::new(ProblemKind::TokenMissing))?;
    let token = UnverifiedToken::parse(token).map_err(TokenError::problem)?;
    let key = key_for(&gateway.keys, exchange, &token).await?;
    match exchange.host.verify(&key, &token).await {
        Ok(true) => {}
        Ok(false) => return Err(TokenError::BadSignature.problem()),
        Err(error) => {
            let message = "a signature could not be checked";
            return Err(exchange.fail(ProblemKind::AuthUnavailable, message, &error));
        }
    }
    let accepted = token.accept(&gateway.policy, exchange.host.now());
    accepted.map_err(TokenError::problem)
}
