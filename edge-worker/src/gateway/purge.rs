//! `POST /api/admin/cache/purge`: has something never served again from a cache.

use crate::{
    gateway::{
        Gateway, authentication,
        exchange::{Exchange, Incoming, JSON, Reply, json},
        scopes,
        upstream::ask_origin,
    },
    ports::{Host, Layer, OriginCall},
    router::Route,
};
use http::{Method, StatusCode};
use shared_types::{
    cache::{AnswerId, answer_key_text},
    claims::Role,
    problem::{Problem, ProblemKind},
    purge::{PurgeRecord, PurgeRequest, PurgeTarget, Purged},
};

/// Has the origin put a purge on record, which brings it into force everywhere within the bound on staleness.
/// The scopes of those whom it concerns are forgotten, so that for them it is in force at once; where that
/// fails, the bound holds. For admins.
///
/// The text of a single answer is deleted as well. Where that fails, the caller is asked to come again: the
/// answer is not served any more, and still kept.
pub async fn purge<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    let claims = authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    if claims.app_metadata.role != Role::Admin {
        return Err(Problem::new(ProblemKind::Forbidden).with_detail("Only admins purge caches."));
    }
    let authorization = incoming.headers.authorization.clone();
    let request: PurgeRequest = incoming
        .json(exchange, Route::PurgeCache.body_limit())
        .await?;
    let record = record(exchange, authorization.as_deref(), &request).await?;

    let otherwise = "scopes not forgotten, purged within the bound";
    let scopes_dropped = scopes::forget_if_possible(exchange, record.readers, otherwise).await;
    if let PurgeTarget::Answer(id) = &request.target {
        delete(exchange, id, record.earlier).await?;
    }
    let purged = Purged {
        purged: request.target,
        generation: record.generation,
        scopes_dropped,
        request_id: exchange.request_id,
    };
    let mut notes = exchange.notes.borrow_mut();
    notes.push(("purge", purged.generation.into()));
    notes.push(("scopes_dropped", purged.scopes_dropped.into()));
    Ok(json(StatusCode::OK, &purged))
}

async fn record<H: Host>(
    exchange: &Exchange<H>,
    authorization: Option<&str>,
    request: &PurgeRequest,
) -> Result<PurgeRecord, Problem> {
    let call = OriginCall {
        method: Method::POST,
        path: "/v1/admin/cache/purge",
        authorization,
        request_id: exchange.request_id,
        trace: exchange.trace.within("origin"),
        accept: JSON,
        // Strings and ids always serialise.
        body: Some(serde_json::to_vec(request).unwrap_or_default()),
    };
    let limit_ms = exchange.config.timeouts.ordinary_ms;
    exchange
        .stage("origin", ask_origin(exchange, limit_ms, call))
        .await
}

/// Deletes the answer from before its last purge. One from before an earlier purge was deleted with that.
async fn delete<H: Host>(
    exchange: &Exchange<H>,
    id: &AnswerId,
    earlier: Option<u64>,
) -> Result<(), Problem> {
    for purged in [None].into_iter().chain(earlier.map(Some)) {
        let key = answer_key_text(id, purged);
        let delete = exchange.host.delete(Layer::Answer, &key);
        let limit_ms = exchange.config.timeouts.cache_ms;
        let deleted = exchange.within(limit_ms, delete).await;
        deleted.map_err(|error| {
            let message = "a purged answer is not served any more, and was not deleted";
            let problem = exchange.fail(ProblemKind::StorageUnavailable, message, &error);
            problem.with_detail("The purge is in force. Send it again to have the text deleted.")
        })?;
    }
    Ok(())
}
