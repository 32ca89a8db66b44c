//! `POST /token` and `POST /logout`.

use super::{
    AuthError, SupabaseAuth, normalised_email, parse, password,
    store::{self, LogoutScope},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct GrantQuery {
    #[serde(default)]
    grant_type: String,
}

#[derive(Deserialize)]
struct PasswordGrant {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

#[derive(Deserialize)]
struct RefreshGrant {
    #[serde(default)]
    refresh_token: String,
}

#[derive(Deserialize)]
pub(super) struct LogoutQuery {
    #[serde(default)]
    scope: Option<String>,
}

/// `grant_type=password` or `grant_type=refresh_token`.
pub(super) async fn grant(
    State(service): State<Arc<SupabaseAuth>>,
    Query(query): Query<GrantQuery>,
    body: Bytes,
) -> Result<Json<Value>, AuthError> {
    match query.grant_type.as_str() {
        "password" => with_password(&service, parse(&body)?).await.map(Json),
        "refresh_token" => {
            let grant: RefreshGrant = parse(&body)?;
            service
                .refresh_session(&grant.refresh_token)
                .await
                .map(Json)
        }
        _ => Err(AuthError::BAD_GRANT),
    }
}

async fn with_password(service: &SupabaseAuth, grant: PasswordGrant) -> Result<Value, AuthError> {
    let email = normalised_email(&grant.email).ok_or(AuthError::BAD_CREDENTIALS)?;
    let user = store::user_by_email(service.pool()?, &email).await?;
    let hash = user
        .as_ref()
        .and_then(|user| user.encrypted_password.clone());
    let fits = password::verify(grant.password, hash).await?;
    let user = user.filter(|_| fits).ok_or(AuthError::BAD_CREDENTIALS)?;
    service.begin_session(&user).await
}

/// Ends sessions: `scope=global` (the default), `local` or `others`. Access tokens live on until they
/// expire, as they do at Supabase.
pub(super) async fn log_out(
    State(service): State<Arc<SupabaseAuth>>,
    Query(query): Query<LogoutQuery>,
    headers: HeaderMap,
) -> Result<StatusCode, AuthError> {
    let bearer = service.bearer(&headers)?;
    let scope = match query.scope.as_deref() {
        Some("local") => LogoutScope::Local,
        Some("others") => LogoutScope::Others,
        _ => LogoutScope::Global,
    };
    store::log_out(service.pool()?, bearer.user_id, bearer.session_id, scope).await?;
    Ok(StatusCode::NO_CONTENT)
}
