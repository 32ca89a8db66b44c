//! `POST /v1/edge-lines`: what the edge tells of the requests that it has answered.

use crate::{edge_report, extract::json::Json, state::AppState};
use axum::{extract::State, http::StatusCode};
use shared_types::edge_lines::EdgeLines;

/// Takes the lines. For the edge alone, on nobody's behalf; also while there is no room for anything else.
pub async fn handler(State(state): State<AppState>, Json(lines): Json<EdgeLines>) -> StatusCode {
    edge_report::take(lines, state.edge_spans.as_deref());
    StatusCode::NO_CONTENT
}
