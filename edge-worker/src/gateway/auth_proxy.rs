//! `/api/auth/…`: Supabase Auth behind our own paths and our own problems.

use crate::{
    gateway::{
        Gateway, authentication, cookie_session, csrf,
        exchange::{Exchange, Incoming, JSON, Reply, empty, whole},
        upstream::read_bytes,
    },
    ports::{AuthCall, Host, PortError, Upstream},
    router::Route,
};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use shared_types::{
    headers::CSRF_TOKEN,
    people::ChosenRole,
    problem::{Problem, ProblemKind},
    session::SessionForm,
};

/// Body of register and login. No `Debug`: it holds a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    email: String,
    password: String,
    #[serde(default)]
    session: SessionForm,
    /// Who registers chooses; a student, where nothing is said.
    #[serde(default)]
    role: Option<ChosenRole>,
    /// Who registers gives a name.
    #[serde(default)]
    full_name: Option<String>,
}

/// What Supabase is told of it: nothing else that a caller sends.
#[derive(Serialize)]
struct Credentials<'a> {
    email: &'a str,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<About<'a>>,
}

/// What somebody says of herself. The database makes a role of it, once.
#[derive(Serialize)]
struct About<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<ChosenRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<&'a str>,
}

/// Body of refresh; empty where the token is a cookie. No `Debug`: it holds a token.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    #[serde(default)]
    refresh_token: Option<String>,
}

/// What Supabase is told of it.
#[derive(Serialize)]
pub(super) struct RefreshGrant<'a> {
    pub(super) refresh_token: &'a str,
}

/// A reply that is no refusal.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
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

/// Register and login: the reply is Supabase's session, or its tokens become cookies. Counted by
/// address.
pub async fn sign_in<H: Host>(
    exchange: &Exchange<H>,
    found: Route,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::count_address(exchange, &incoming.headers).await?;
    let may_keep_cookies = csrf::check_origin(&incoming.headers, &exchange.config.allowed_origins);
    let wanted: SignIn = incoming.json(exchange, found.body_limit()).await?;
    if wanted.session == SessionForm::Cookie {
        may_keep_cookies?;
    }
    let about = About {
        role: wanted.role,
        full_name: wanted.full_name.as_deref(),
    };
    let says_something = about.role.is_some() || about.full_name.is_some();
    let path = match found {
        Route::Register => "/signup",
        _ if says_something => {
            let detail = "Role and name are given once, at registration.";
            return Err(Problem::new(ProblemKind::BodyInvalid).with_detail(detail));
        }
        _ => "/token?grant_type=password",
    };
    let credentials = Credentials {
        email: &wanted.email,
        password: &wanted.password,
        data: says_something.then_some(about),
    };
    let answered = ask(exchange, found, post(path, &credentials)).await?;
    match wanted.session {
        SessionForm::Bearer => Ok(answered.into_reply()),
        SessionForm::Cookie => cookie_session::begin(exchange, answered),
    }
}

/// Refresh: with the token in the body, the reply is Supabase's session; with the cookie, both cookies
/// are new. Counted by address.
pub async fn refresh<H: Host>(
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::count_address(exchange, &incoming.headers).await?;
    let limit = Route::Refresh.body_limit();
    let wanted: Refresh = incoming.json_or_default(exchange, limit).await?;
    match &wanted.refresh_token {
        Some(refresh_token) => {
            let grant = RefreshGrant { refresh_token };
            let answered = ask(exchange, Route::Refresh, grant.call()).await?;
            Ok(answered.into_reply())
        }
        None => cookie_session::refresh(exchange).await,
    }
}

/// Logout: ends the sessions of the bearer, or of the browser.
pub async fn log_out<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    if exchange.cookies.is_some() {
        return cookie_session::end(gateway, exchange, &incoming.headers).await;
    }
    authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let authorization = incoming.headers.authorization.as_deref();
    let answered = ask(exchange, Route::Logout, log_out_call(authorization)).await?;
    Ok(answered.into_reply())
}

/// Me: the account of the bearer, and a browser's CSRF token.
pub async fn me<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    let claims = authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let call = AuthCall {
        method: Method::GET,
        path: "/user",
        authorization: incoming.headers.authorization.as_deref(),
        body: None,
    };
    let mut reply = ask(exchange, Route::Me, call).await?.into_reply();
    if let (Some(_), Some(session)) = (&exchange.cookies, claims.session_id) {
        let token = csrf::token(&exchange.config.edge_token, session);
        reply.headers.set(CSRF_TOKEN, token);
    }
    Ok(reply)
}

impl RefreshGrant<'_> {
    pub(super) fn call(&self) -> AuthCall<'static> {
        post("/token?grant_type=refresh_token", self)
    }
}

impl Answered {
    /// The reply as it is.
    pub(super) fn into_reply(self) -> Reply {
        if self.status == StatusCode::NO_CONTENT {
            empty(self.status)
        } else {
            whole(self.status, JSON, self.body)
        }
    }
}

pub(super) fn log_out_call(authorization: Option<&str>) -> AuthCall<'_> {
    AuthCall {
        method: Method::POST,
        path: "/logout",
        authorization,
        body: None,
    }
}

fn post(path: &'static str, body: &impl Serialize) -> AuthCall<'static> {
    AuthCall {
        method: Method::POST,
        path,
        authorization: None,
        // Strings always serialise.
        body: Some(serde_json::to_vec(body).unwrap_or_default()),
    }
}

/// Calls the sign-in service for an endpoint.
pub(super) async fn ask<H: Host>(
    exchange: &Exchange<H>,
    found: Route,
    call: AuthCall<'_>,
) -> Result<Answered, Problem> {
    let limit_ms = exchange.config.timeouts.auth_ms;
    let called = exchange.within(limit_ms, exchange.host.call_auth(call));
    let upstream = exchange.stage("auth_service", called).await;
    let upstream = upstream.map_err(|error| unavailable(exchange, &error))?;
    let (status, retry_after) = (upstream.status, upstream.retry_after.clone());
    let body = read(exchange, upstream).await?;
    match status {
        200..300 => Ok(Answered {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            body,
        }),
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

async fn read<H: Host>(exchange: &Exchange<H>, upstream: Upstream) -> Result<Bytes, Problem> {
    read_bytes(exchange, exchange.config.timeouts.auth_ms, upstream)
        .await
        .map_err(|error| unavailable(exchange, &error))
}

pub(super) fn unavailable<H: Host>(exchange: &Exchange<H>, error: &PortError) -> Problem {
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
        (Route::Refresh, "refresh_token_already_used") => {
            Problem::new(ProblemKind::RefreshTokenReused)
                .with_detail("The session has ended for safety's sake. Sign in again.")
        }
        (Route::Refresh, _) => {
            Problem::new(ProblemKind::RefreshTokenRefused).with_detail("Sign in again.")
        }
        (Route::Logout | Route::Me, _) if matches!(status, 401 | 403) => {
            Problem::new(ProblemKind::TokenSessionEnded).with_detail("Sign in again.")
        }
        (Route::Logout | Route::Me, _) => Problem::new(ProblemKind::NotFound),
        _ => Problem::new(ProblemKind::SignInRefused),
    }
}
