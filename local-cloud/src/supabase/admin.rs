//! `POST /admin/users` and `GET /admin/users`: the only way to an account that is not a student's.

use super::{
    AuthError, SupabaseAuth, acceptable, normalised_email, parse, password,
    session::bearer_text,
    store::{self, NewUser},
};
use crate::host;
use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    http::HeaderMap,
};
use serde::Deserialize;
use serde_json::{Value, json};
use shared_types::claims::Role;
use std::sync::Arc;
use uuid::Uuid;

const DEFAULT_PAGE_SIZE: i64 = 50;
const MAX_PAGE_SIZE: i64 = 1000;

#[derive(Deserialize)]
struct CreateUser {
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    user_metadata: Option<Value>,
    #[serde(default)]
    app_metadata: AppMetadata,
}

/// Other members, which the real service would keep, are dropped.
#[derive(Default, Deserialize)]
struct AppMetadata {
    #[serde(default)]
    role: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    page: Option<i64>,
    #[serde(default)]
    per_page: Option<i64>,
}

/// Makes an account with the role in `app_metadata`, if it names one.
pub(super) async fn create_user(
    State(service): State<Arc<SupabaseAuth>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, AuthError> {
    authorise(&service, &headers)?;
    let request: CreateUser = parse(&body)?;
    let email = normalised_email(&request.email).ok_or(AuthError::BAD_EMAIL)?;
    let role = match request.app_metadata.role {
        None => None,
        Some(role) => Some(serde_json::from_value::<Role>(role).map_err(|_| AuthError::BAD_ROLE)?),
    };
    let hash = match request.password {
        None => None,
        Some(password) => {
            acceptable(&password)?;
            Some(password::hash(password).await?)
        }
    };
    let user = store::create_user(
        service.pool()?,
        &NewUser {
            id: request.id.unwrap_or_else(host::new_id),
            email: &email,
            encrypted_password: hash.as_deref(),
            role,
            user_metadata: &request.user_metadata.unwrap_or_else(|| json!({})),
            now: host::now(),
        },
    )
    .await?;
    Ok(Json(user.ok_or(AuthError::EMAIL_EXISTS)?.as_json()))
}

/// Lists accounts, newest first, `page` from 1.
pub(super) async fn list_users(
    State(service): State<Arc<SupabaseAuth>>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<([(&'static str, String); 1], Json<Value>), AuthError> {
    authorise(&service, &headers)?;
    let size = page
        .per_page
        .unwrap_or(DEFAULT_PAGE_SIZE)
        .clamp(1, MAX_PAGE_SIZE);
    let offset = (page.page.unwrap_or(1).max(1) - 1).saturating_mul(size);
    let (users, total) = store::users(service.pool()?, offset, size).await?;
    let users: Vec<Value> = users.iter().map(store::User::as_json).collect();
    let body = json!({ "users": users, "aud": "authenticated" });
    Ok(([("x-total-count", total.to_string())], Json(body)))
}

fn authorise(service: &SupabaseAuth, headers: &HeaderMap) -> Result<(), AuthError> {
    let bearer = bearer_text(headers).ok_or(AuthError::NO_BEARER)?;
    if service.is_service_role(Some(bearer)) {
        Ok(())
    } else {
        Err(AuthError::NOT_ADMIN)
    }
}
