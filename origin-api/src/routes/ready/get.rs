//! `GET /api/ready`: whether requests may be sent here. For load balancers; needs no token, and says nothing that one would
//! have to hide.

use crate::{extract::json::Json, readiness::Report, state::AppState};
use axum::{extract::State, http::StatusCode};

/// 200 where database and schema are there, also where it says that object storage or the model's credentials are not; else
/// 503, as once the process was asked to end.
pub async fn handler(State(state): State<AppState>) -> (StatusCode, Json<Report>) {
    let report = state.readiness.report().await;
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}
