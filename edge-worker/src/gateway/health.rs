//! `GET /api/health`

use crate::{
    gateway::exchange::{Exchange, JSON, Reply, json},
    ports::{Host, OriginCall},
};
use http::{Method, StatusCode};
use shared_types::origin::Health;

/// Whether the edge works, and whether it reaches the origin. Without the origin the edge still
/// answers what it has cached, so the status is 200 either way.
pub async fn report<H: Host>(exchange: &Exchange<H>) -> Reply {
    let call = exchange.host.call(OriginCall {
        method: Method::GET,
        path: "/api/health",
        authorization: None,
        request_id: exchange.request_id,
        trace: exchange.trace.within("origin"),
        accept: JSON,
        body: None,
    });
    let call = exchange.within(exchange.config.timeouts.health_ms, call);
    let status = match exchange.stage("origin", call).await {
        Ok(reply) if reply.status == 200 => "ok",
        _ => "degraded",
    };
    let health = Health {
        status: status.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    json(StatusCode::OK, &health)
}
