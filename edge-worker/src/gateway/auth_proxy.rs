//! `/api/auth/…`: Supabase Auth behind our own paths and our own problems.

use crate::{
    gateway::{
        Gateway, authentication,
        exchange::{Exchange, Incoming, JSON, Reply, empty, whole},
        upstream::read_bytes,
    },
    ports::{AuthCall, Host, PortError, Upstream},
    router::Route,
};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use shared_types::problem::{Problem, ProblemKind};

/// Body of register and login. No `Debug`: it holds a password.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

/// Body of refresh. No `Debug`: it holds a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshGrant {
    refresh_token: String,
}

/// The part of a Supabase Auth error that tells errors apart.
#[derive(Default, Deserialize)]
struct AuthError {
    /// The stable code since API version 2024-01-01.
    #[serde(default)]
    error_code: Option<String>,
    /// The code of older versions.
    #[serde(default)]
    error: Option<String>,
}

/// Register, login and refresh: the reply is Supabase's session. Counted by address.
pub async fn session<H: Host>(
    exchange: &Exchange<H>,
    found: Route,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::count_address(exchange, &incoming.headers).await?;
    let limit = found.body_limit();
    let (path, body) = match found {
        Route::Register => (
            "/signup",
            encode(&incoming.json::<Credentials>(limit).await?),
        ),
        Route::Login => (
            "/token?grant_type=password",
            encode(&incoming.json::<Credentials>(limit).await?),
        ),
        Route::Refresh => (
            "/token?grant_type=refresh_token",
            encode(&incoming.json::<RefreshGrant>(limit).await?),
        ),
        _ => return Err(Problem::new(ProblemKind::NotFound)),
    };
    let call = AuthCall {
        method: Method::POST,
        path,
        authorization: None,
        body: Some(body),
    };
    relay(exchange, found, call).await
}

/// Logout and me: for the bearer of a valid token.
pub async fn account<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    found: Route,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let (method, path) = match found {
        Route::Logout => (Method::POST, "/logout"),
        Route::Me => (Method::GET, "/user"),
        _ => return Err(Problem::new(ProblemKind::NotFound)),
    };
    let call = AuthCall {
        method,
        path,
        authorization: incoming.headers.authorization.as_deref(),
        body: None,
    };
    relay(exchange, found, call).await
}

fn encode(body: &impl Serialize) -> Vec<u8> {
    // Two strings always serialise.
    serde_json::to_vec(body).unwrap_or_default()
}

async fn relay<H: Host>(
    exchange: &Exchange<H>,
    found: Route,
    call: AuthCall<'_>,
) -> Result<Reply, Problem> {
    let limit_ms = exchange.config.timeouts.auth_ms;
    let called = exchange.within(limit_ms, exchange.host.call_auth(call));
    let upstream = exchange.stage("auth_service", called).await;
    let upstream = upstream.map_err(|error| unavailable(exchange, &error))?;
    let (status, retry_after) = (upstream.status, upstream.retry_after.clone());
    let body = read(exchange, upstream).await?;
    match status {
        204 => Ok(empty(StatusCode::NO_CONTENT)),
        200..300 => Ok(whole(
            StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            JSON,
            body,
        )),
        429 => {
            let mut problem = Problem::new(ProblemKind::RateLimited);
            problem.retry_after_s = retry_after.and_then(|s| s.parse().ok()).or(Some(60));
            Err(problem)
        }
        400..500 => Err(refused(found, status, &body)),
        _ => {
            let error = PortError::Failed(format!("status {status}"));
            Err(unavailable(exchange, &error))
        }
    }
}

async fn read<H: Host>(exchange: &Exchange<H>, upstream: Upstream) -> Result<Vec<u8>, Problem> {
    read_bytes(exchange, exchange.config.timeouts.auth_ms, upstream)
        .await
        .map_err(|error| unavailable(exchange, &error))
}

fn unavailable<H: Host>(exchange: &Exchange<H>, error: &PortError) -> Problem {
    exchange.fail(
        ProblemKind::AuthUnavailable,
        "sign-in service failed",
        error,
    )
}

fn refused(found: Route, status: u16, body: &[u8]) -> Problem {
    let error: AuthError = serde_json::from_slice(body).unwrap_or_default();
    let code = error.error_code.or(error.error).unwrap_or_default();
    match (found, code.as_str()) {
        (_, "over_request_rate_limit" | "over_email_send_rate_limit") => {
            Problem::new(ProblemKind::RateLimited)
        }
        (_, "email_not_confirmed") => Problem::new(ProblemKind::SignInRefused)
            .with_detail("Confirm your e-mail address first."),
        (Route::Register, "user_already_exists" | "email_exists") => {
            Problem::new(ProblemKind::Conflict).with_detail("This e-mail address has an account.")
        }
        (Route::Register, "weak_password") => {
            Problem::new(ProblemKind::BodyInvalid).with_detail("The password is too weak.")
        }
        (Route::Register, "signup_disabled") => {
            Problem::new(ProblemKind::Forbidden).with_detail("Registration is closed.")
        }
        (Route::Register, _) => Problem::new(ProblemKind::BodyInvalid)
            .with_detail("The e-mail address or password is not acceptable."),
        (Route::Logout | Route::Me, _) if matches!(status, 401 | 403) => {
            Problem::new(ProblemKind::TokenInvalid)
        }
        (Route::Logout | Route::Me, _) => Problem::new(ProblemKind::NotFound),
        _ => Problem::new(ProblemKind::SignInRefused),
    }
}
