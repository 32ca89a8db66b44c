//! `/api/documents…`: forwarded to the origin, which owns documents.

use crate::{
    gateway::{
        Gateway, authentication,
        exchange::{Exchange, Incoming, JSON, Reply, empty, whole},
        scopes,
        upstream::{call_origin, parse, read_bytes},
    },
    ports::{Host, OriginCall},
    router::Route,
};
use http::{Method, StatusCode};
use shared_types::{
    origin::DocumentChanged,
    problem::{Problem, ProblemKind},
};

/// Checks the caller and passes the call on. Bodies are bounded and not read: what they may say is the origin's matter.
pub async fn forward<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    found: Route,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let (method, path) = match found {
        Route::CreateDocument => (Method::POST, "/v1/documents".to_owned()),
        Route::ListDocuments => (Method::GET, list(&incoming.query)),
        Route::GetDocument(id) => (Method::GET, format!("/v1/documents/{id}")),
        Route::ChangeDocument(id) => (Method::PATCH, format!("/v1/documents/{id}")),
        Route::DeleteDocument(id) => (Method::DELETE, format!("/v1/documents/{id}")),
        Route::ConfirmDocument(id) => (Method::POST, format!("/v1/documents/{id}/confirm")),
        Route::ReprocessDocument(id) => (Method::POST, format!("/v1/documents/{id}/reprocess")),
        _ => return Err(Problem::new(ProblemKind::NotFound)),
    };
    let authorization = incoming.headers.authorization.clone();
    let body = if matches!(found, Route::CreateDocument | Route::ChangeDocument(_)) {
        Some(incoming.bytes(exchange, found.body_limit()).await?.into())
    } else {
        None
    };
    let timeouts = &exchange.config.timeouts;
    let limit_ms = if found.takes_a_whole_document() {
        timeouts.answer_ms
    } else {
        timeouts.documents_ms
    };
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
    if found.takes_a_whole_document() {
        let changed: DocumentChanged = parse(exchange, &path, &body)?;
        return Ok(changed_for_all(exchange, found, changed).await);
    }
    let mut reply = whole(status, JSON, body);
    if let Some(location) = location.and_then(|path| public_path(&path)) {
        reply.headers.set("location", location);
    }
    if let Some(retry_after) = retry_after {
        reply.headers.set("retry-after", retry_after);
    }
    Ok(reply)
}

/// Drops the scopes of those whom a change or a deletion concerns, so that they find it made at once. Everybody else
/// does within the bound on staleness, as they do where that fails.
async fn changed_for_all<H: Host>(
    exchange: &Exchange<H>,
    found: Route,
    changed: DocumentChanged,
) -> Reply {
    let otherwise = "scopes not forgotten, changed within the bound";
    scopes::forget_if_possible(exchange, changed.readers, otherwise).await;
    if matches!(found, Route::DeleteDocument(_)) {
        empty(StatusCode::NO_CONTENT)
    } else {
        whole(StatusCode::OK, JSON, changed.document)
    }
}

/// The list, or the part of it that the query names.
fn list(query: &str) -> String {
    let mut path = "/v1/documents".to_owned();
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    path
}

/// The origin's path as browsers know it.
fn public_path(path: &str) -> Option<String> {
    path.strip_prefix("/v1/").map(|rest| format!("/api/{rest}"))
}
