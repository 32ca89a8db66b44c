//! `GET /api/health`: whether the origin can serve. For load balancers and the edge; needs no token.

use crate::{extract::json::Json, state::AppState};
use axum::{extract::State, http::StatusCode};
use shared_types::origin::Health;
use std::time::Duration;
use tokio::time::timeout;

const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

/// 200 and `ok`, or 503 and `degraded` where the database does not answer within a second.
pub async fn handler(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    // The pool tries a connection before it hands it out.
    let answers = timeout(DATABASE_TIMEOUT, state.pool.acquire()).await;
    let (status, word) = match answers {
        Ok(Ok(_)) => (StatusCode::OK, "ok"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "degraded"),
    };
    let health = Health {
        status: word.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    (status, Json(health))
}
