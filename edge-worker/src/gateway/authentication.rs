//! Who is calling, and whether they call too often.

use crate::{
    gateway::{
        Gateway,
        exchange::{Exchange, IncomingHeaders, read_body},
    },
    ports::{Allowance, AuthCall, Host, PortError},
};
use http::Method;
use rag_core::{
    jwks::Jwks,
    token::{TokenError, TokenPolicy, UnverifiedToken},
};
use shared_types::{
    claims::AccessClaims,
    problem::{Problem, ProblemKind},
};

/// Tolerated difference between clocks.
const LEEWAY_S: i64 = 30;
/// The largest key set that is read.
const MAX_JWKS_BYTES: usize = 64 * 1024;
/// The period of every allowance in `wrangler.toml`.
const ALLOWANCE_PERIOD_S: u32 = 60;

/// The caller of a signed-in endpoint, within the allowance. Somebody whose token is refused is
/// counted by address, so that guessing is slow.
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

async fn authenticate<H: Host>(
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
    let token = UnverifiedToken::parse(token).map_err(refused)?;

    let ring = &gateway.keys;
    let now = exchange.host.now();
    if ring.wants_fetch(&token, now) {
        match fetch_keys(exchange).await {
            Ok(jwks) => ring.replace(jwks, now),
            Err(error) if ring.is_empty() => {
                let message = "no keys to verify access tokens with";
                return Err(exchange.fail(ProblemKind::AuthUnavailable, message, &error));
            }
            Err(error) => exchange.warn("key set not refreshed, the last one stays", &error),
        }
    }
    let key = ring.select(&token).map_err(refused)?;
    match exchange.host.verify(&key, &token).await {
        Ok(true) => {}
        Ok(false) => return Err(refused(TokenError::BadSignature)),
        Err(error) => {
            let message = "a signature could not be checked";
            return Err(exchange.fail(ProblemKind::AuthUnavailable, message, &error));
        }
    }
    let policy = TokenPolicy {
        issuer: exchange.config.jwt_issuer.clone(),
        audience: exchange.config.jwt_audience.clone(),
        leeway_s: LEEWAY_S,
    };
    token.accept(&policy, exchange.host.now()).map_err(refused)
}

/// Which check failed is for the log of whoever forges, not for the forger.
fn refused(error: TokenError) -> Problem {
    Problem::new(error.problem_kind())
}

async fn fetch_keys<H: Host>(exchange: &Exchange<H>) -> Result<Jwks, PortError> {
    let failed = |words: String| PortError::Failed(words);
    exchange
        .within(exchange.config.timeouts.jwks_ms, async {
            let reply = exchange
                .host
                .call_auth(AuthCall {
                    method: Method::GET,
                    path: "/.well-known/jwks.json",
                    authorization: None,
                    body: None,
                })
                .await?;
            if reply.status != 200 {
                return Err(failed(format!("the key set answered {}", reply.status)));
            }
            let body = read_body(reply.body, MAX_JWKS_BYTES)
                .await
                .map_err(|error| failed(error.to_string()))?;
            let jwks: Jwks =
                serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
            if jwks.keys.is_empty() {
                return Err(failed("the key set is empty".to_owned()));
            }
            Ok(jwks)
        })
        .await
}
