//! `POST /signup` and `GET /user`.

use super::{
    AuthError, SupabaseAuth, acceptable, normalised_email, parse, password,
    store::{self, NewUser},
};
use crate::host;
use axum::{Json, body::Bytes, extract::State, http::HeaderMap};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
struct SignUp {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    /// The person's own words about herself: `user_metadata`, never `app_metadata`.
    #[serde(default)]
    data: Option<Value>,
}

/// Makes an account and begins a session. A role can't be had this way: it is for a trigger of the project's to give.
pub(super) async fn sign_up(
    State(service): State<Arc<SupabaseAuth>>,
    body: Bytes,
) -> Result<Json<Value>, AuthError> {
    let request: SignUp = parse(&body)?;
    let email = normalised_email(&request.email).ok_or(AuthError::BAD_EMAIL)?;
    acceptable(&request.password)?;
    let hash = password::hash(request.password).await?;
    let user = store::create_user(
        service.pool()?,
        &NewUser {
            id: host::new_id(),
            email: &email,
            encrypted_password: Some(&hash),
            role: None,
            user_metadata: &request.data.unwrap_or_else(|| json!({})),
            now: host::now(),
        },
    )
    .await?
    .ok_or(AuthError::USER_EXISTS)?;
    service.begin_session(&user).await.map(Json)
}

/// The bearer's account.
pub(super) async fn user(
    State(service): State<Arc<SupabaseAuth>>,
    headers: HeaderMap,
) -> Result<Json<Value>, AuthError> {
    let bearer = service.bearer(&headers)?;
    if !store::session_lives(service.pool()?, bearer.session_id).await? {
        return Err(AuthError::SESSION_NOT_FOUND);
    }
    let user = store::user_by_id(service.pool()?, bearer.user_id).await?;
    Ok(Json(user.ok_or(AuthError::USER_NOT_FOUND)?.as_json()))
}
