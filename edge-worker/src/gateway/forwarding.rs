//! What the origin owns: documents, people, accounts. Passed on at `/v1/…` in place of `/api/…`.

use crate::{
    gateway::{
        Gateway, authentication, cookies,
        exchange::{Exchange, Incoming, JSON, Reply, ReplyBody, empty, whole},
        scopes,
        upstream::{call_origin, parse, pass_from_origin, read_bytes},
    },
    ports::{FileBody, Host, OriginCall},
    router::{Forward, Relaying, Route},
};
use http::StatusCode;
use shared_types::{
    origin::Changed,
    problem::{Problem, ProblemKind},
};

const ARCHIVE: &str = "application/zip";

/// Checks the caller and passes the call on. Bodies are bounded and not read: what they may say is the origin's matter,
/// as is what the caller may do.
pub async fn forward<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    forward: Forward,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let path = origin_path(&incoming.path, &incoming.query);
    let method = incoming.method.clone();
    let authorization = incoming.headers.authorization.clone();
    let body = if forward.has_body {
        let limit = Route::Forwarded(forward).body_limit();
        Some(incoming.bytes(exchange, limit).await?.into())
    } else {
        None
    };
    let timeouts = &exchange.config.timeouts;
    let limit_ms = if forward.is_slow {
        timeouts.answer_ms
    } else {
        timeouts.documents_ms
    };
    let call = OriginCall {
        method,
        path: &path,
        authorization: authorization.as_deref(),
        request_id: exchange.request_id,
        trace: exchange.trace.within("origin"),
        accept: JSON,
        body,
    };
    if forward.reply == Relaying::AsItComes {
        let passing = pass_from_origin(exchange, limit_ms, call);
        let (content_type, body) = exchange.stage("origin", passing).await?;
        return Ok(as_it_comes(content_type, body));
    }
    let called = exchange.stage("origin", call_origin(exchange, limit_ms, call));
    let upstream = called.await?;
    let status = StatusCode::from_u16(upstream.status).unwrap_or(StatusCode::OK);
    let (location, retry_after) = (upstream.location.clone(), upstream.retry_after.clone());
    let body = read_bytes(exchange, limit_ms, upstream)
        .await
        .map_err(|error| {
            let message = "origin's reply broke off";
            exchange.fail(ProblemKind::OriginUnavailable, message, &error)
        })?;
    if forward.reply != Relaying::Whole {
        let changed: Changed = parse(exchange, &path, &body)?;
        let mut reply = changed_for_all(exchange, changed).await;
        if forward.reply == Relaying::Farewell && exchange.cookies.is_some() {
            cookies::clear(&mut reply.headers);
        }
        return Ok(reply);
    }
    if status == StatusCode::NO_CONTENT {
        return Ok(empty(status));
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

/// A reply that the host itself passes on. Events are read; an archive is saved.
fn as_it_comes(content_type: Option<String>, body: FileBody) -> Reply {
    let mut reply = empty(StatusCode::OK);
    let headers = &mut reply.headers;
    if content_type.as_deref() == Some(ARCHIVE) {
        headers.set("content-disposition", "attachment; filename=\"etude.zip\"");
    }
    headers.set("content-type", content_type.unwrap_or_default());
    reply.body = ReplyBody::File(body);
    reply
}

/// Drops the scopes of those whom a change concerns, so that they find it made at once. Everybody else does within the
/// bound on staleness, as they do where that fails.
async fn changed_for_all<H: Host>(exchange: &Exchange<H>, changed: Changed) -> Reply {
    let otherwise = "scopes not forgotten, changed within the bound";
    scopes::forget_if_possible(exchange, changed.readers, otherwise).await;
    if changed.reply.is_empty() {
        empty(StatusCode::NO_CONTENT)
    } else {
        whole(StatusCode::OK, JSON, changed.reply)
    }
}

/// Where the origin has what browsers know by this path.
fn origin_path(path: &str, query: &str) -> String {
    let mut there = String::from("/v1");
    there.push_str(path.strip_prefix("/api").unwrap_or(path));
    if !query.is_empty() {
        there.push('?');
        there.push_str(query);
    }
    there
}

/// The origin's path as browsers know it.
fn public_path(path: &str) -> Option<String> {
    path.strip_prefix("/v1/").map(|rest| format!("/api/{rest}"))
}
