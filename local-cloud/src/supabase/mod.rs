//! Stands for Supabase Auth: accounts with passwords, sessions with rotating refresh tokens, and the
//! keys to check access tokens with. It owns the schema `auth`, as the real one does.
//!
//! Not here: e-mail (every address counts as confirmed), other providers, second factors, anonymous
//! users, and the real service's ten seconds of grace for a refresh token that was used twice.

mod accounts;
mod admin;
mod error;
mod keys;
mod password;
mod session;
mod signing_in;
mod store;

pub use keys::KeyError;
pub(crate) use keys::SigningKeys;

use crate::{
    config::ServeConfig,
    faults::{Faults, Target, Verdict, broken_reply},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use error::AuthError;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{sync::Arc, time::Duration};
use thiserror::Error;

const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_CONNECTIONS: u32 = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the sign-in service can't be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// There are no keys.
    #[error("no signing keys")]
    Keys(#[from] KeyError),
    /// `--database-url` is no address of a database.
    #[error("--database-url is not valid")]
    DatabaseUrl(#[from] sqlx::Error),
}

/// The sign-in service.
pub(crate) struct SupabaseAuth {
    keys: SigningKeys,
    pool: Option<PgPool>,
    issuer: String,
    anon_key: SecretString,
    service_role_key: SecretString,
    faults: Arc<Faults>,
}

impl SupabaseAuth {
    /// `url` is what others call `SUPABASE_URL`. Connects to the database only when somebody signs in.
    pub(crate) async fn set_up(
        config: &ServeConfig,
        url: &str,
        faults: Arc<Faults>,
    ) -> Result<Self, SetupError> {
        let (folder, choice) = (config.state_dir.clone(), config.jwt_alg);
        // An RSA key takes a second to make.
        let keys = tokio::task::spawn_blocking(move || SigningKeys::load_or_make(&folder, choice));
        let keys = keys
            .await
            .map_err(|_| ring::error::Unspecified)
            .map_err(KeyError::from)??;
        let connect = |url: &SecretString| {
            PgPoolOptions::new()
                .max_connections(MAX_CONNECTIONS)
                .acquire_timeout(CONNECT_TIMEOUT)
                .connect_lazy(url.expose_secret())
        };
        Ok(Self {
            keys,
            pool: config.database_url.as_ref().map(connect).transpose()?,
            issuer: format!("{url}/auth/v1"),
            anon_key: config.anon_key.clone(),
            service_role_key: config.service_role_key.clone(),
            faults,
        })
    }

    fn pool(&self) -> Result<&PgPool, AuthError> {
        self.pool.as_ref().ok_or(AuthError::NoDatabase)
    }

    fn is_service_role(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| key == self.service_role_key.expose_secret())
    }
}

pub(crate) fn router(service: Arc<SupabaseAuth>) -> Router {
    let routes = Router::new()
        .route("/signup", post(accounts::sign_up))
        .route("/token", post(signing_in::grant))
        .route("/logout", post(signing_in::log_out))
        .route("/user", get(accounts::user))
        .route(
            "/admin/users",
            post(admin::create_user).get(admin::list_users),
        )
        .route("/health", get(health))
        .layer(middleware::from_fn_with_state(service.clone(), gateway))
        // The keys are public: no API key, and faults of their own.
        .route("/.well-known/jwks.json", get(jwks))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service);
    Router::new().nest("/supabase/auth/v1", routes)
}

/// What Supabase's API gateway does before the service is reached: the `apikey` header. Then faults.
async fn gateway(
    State(service): State<Arc<SupabaseAuth>>,
    request: Request,
    next: Next,
) -> Response {
    let key = request
        .headers()
        .get("apikey")
        .and_then(|key| key.to_str().ok());
    let refusal = match key {
        None => Some((
            "No API key found in request",
            "No `apikey` request header or url param was found.",
        )),
        Some(key) if key == service.anon_key.expose_secret() => None,
        key if service.is_service_role(key) => None,
        Some(_) => Some((
            "Invalid API key",
            "Double check your Supabase `anon` or `service_role` API key.",
        )),
    };
    if let Some((message, hint)) = refusal {
        let body = json!({ "message": message, "hint": hint });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    match service.faults.call(Target::Auth).await {
        Verdict::Proceed => next.run(request).await,
        Verdict::Break(_) => broken_reply(),
        Verdict::Refuse {
            status,
            retry_after_s,
        } => AuthError::Demanded {
            status,
            retry_after_s,
        }
        .into_response(),
    }
}

async fn jwks(State(service): State<Arc<SupabaseAuth>>) -> Response {
    match service.faults.call(Target::Jwks).await {
        Verdict::Proceed => {
            let headers = [(header::CACHE_CONTROL, "public, max-age=600")];
            (headers, Json(service.keys.jwks())).into_response()
        }
        Verdict::Break(_) => broken_reply(),
        Verdict::Refuse {
            status,
            retry_after_s,
        } => AuthError::Demanded {
            status,
            retry_after_s,
        }
        .into_response(),
    }
}

async fn health() -> Json<Value> {
    let description = "Stands for Supabase Auth";
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"), "name": "GoTrue", "description": description,
    }))
}

/// An e-mail address in the form in which it is kept; good enough to tell a typing error.
fn normalised_email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.split_once('@')?;
    let fine = !local.is_empty()
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !domain.contains('@')
        && email.len() <= 255
        && !email.chars().any(char::is_whitespace);
    fine.then_some(email)
}

/// A password that may be set.
fn acceptable(password: &str) -> Result<(), AuthError> {
    match password.chars().count() {
        0 => Err(AuthError::NO_PASSWORD),
        1..6 => Err(AuthError::WEAK_PASSWORD),
        _ if password.len() > 72 => Err(AuthError::LONG_PASSWORD),
        _ => Ok(()),
    }
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, AuthError> {
    serde_json::from_slice(body).map_err(|_| AuthError::BAD_JSON)
}

#[cfg(test)]
mod tests {
    use super::normalised_email;

    #[test]
    fn an_address_is_folded_and_a_typing_error_is_noticed() {
        assert_eq!(
            normalised_email(" Student@Example.COM "),
            Some("student@example.com".into())
        );
        for wrong in [
            "",
            "student",
            "@example.com",
            "student@",
            "student@com",
            "a b@example.com",
            "a@b@c.d",
        ] {
            assert_eq!(normalised_email(wrong), None, "{wrong}");
        }
    }
}
