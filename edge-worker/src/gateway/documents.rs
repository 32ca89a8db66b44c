//! `/api/documents…`: forwarded to the origin, which owns documents.

use crate::{
    gateway::{
        Gateway, authentication,
        exchange::{Exchange, Incoming, JSON, Reply, whole},
        upstream::{call_origin, read_bytes},
    },
    ports::{Host, OriginCall},
    router::Route,
};
use http::{Method, StatusCode};
use shared_types::{
    documents::CreateDocument,
    problem::{Problem, ProblemKind},
};

/// Checks the caller and passes the call on.
pub async fn forward<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    found: Route,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let (method, path) = match found {
        Route::CreateDocument => (Method::POST, "/v1/documents".to_owned()),
        Route::ListDocuments => (Method::GET, "/v1/documents".to_owned()),
        Route::GetDocument(id) => (Method::GET, format!("/v1/documents/{id}")),
        Route::ConfirmDocument(id) => (Method::POST, format!("/v1/documents/{id}/confirm")),
        _ => return Err(Problem::new(ProblemKind::NotFound)),
    };
    let authorization = incoming.headers.authorization.clone();
    let body = if matches!(found, Route::CreateDocument) {
        let announced: CreateDocument = incoming.json(exchange, found.body_limit()).await?;
        // Strings and integers always serialise.
        Some(serde_json::to_vec(&announced).unwrap_or_default())
    } else {
        None
    };
    let limit_ms = exchange.config.timeouts.documents_ms;
    let call = OriginCall {
        method,
        path: &path,
        authorization: authorization.as_deref(),
        request_id: exchange.request_id,
        trace: exchange.trace,
        accept: JSON,
        body,
    };
    let called = exchange.stage("origin", call_origin(exchange, limit_ms, call));
    let upstream = called.await?;
    let status = StatusCode::from_u16(upstream.status).unwrap_or(StatusCode::OK);
    let (location, retry_after) = (upstream.location.clone(), upstream.retry_after.clone());
    let body = read_bytes(exchange, limit_ms, upstream)
        .await
        .map_err(|error| {
            let message = "origin's reply about documents broke off";
            exchange.fail(ProblemKind::OriginUnavailable, message, &error)
        })?;
    let mut reply = whole(status, JSON, body);
    if let Some(location) = location.and_then(|path| public_path(&path)) {
        reply.headers.set("location", location);
    }
    if let Some(retry_after) = retry_after {
        reply.headers.set("retry-after", retry_after);
    }
    Ok(reply)
}

/// The origin's path as browsers know it.
fn public_path(path: &str) -> Option<String> {
    path.strip_prefix("/v1/").map(|rest| format!("/api/{rest}"))
}
