//! From passages to a reply: a kept answer at once, or a new one as it is written.

use super::{Form, Question, conversation::Place, relay::Relay, search::Found};
use crate::{
    gateway::{
        cached::{KeptAnswer, Lookup, Slot, look_up},
        exchange::{Exchange, Reply, ReplyBody, json, whole},
        upstream::call_origin,
    },
    ports::{Host, PortError, Upstream},
};
use http::StatusCode;
use rag_core::{
    answer::{chat_answer, replay},
    resuming::behind,
};
use shared_types::{
    cache::{AnswerId, AnswerKey, SearchResults},
    chat::{CacheOutcome, CacheReport, Degradation, Source},
    event::{AnswerEvent, EVENT_STREAM, EventId, Meta},
    origin::{AnswerRequest, ChosenPassage},
    problem::{Problem, ProblemKind},
};

/// Answers from the passages that were found.
pub async fn answer<H: Host>(
    exchange: &Exchange<H>,
    question: &Question,
    found: Found,
    form: Form,
) -> Result<Reply, Problem> {
    let key = AnswerKey::new(
        &exchange.config.answer_model,
        &question.normalised,
        &found.results.passages,
        found.results.curated,
        &found.purges,
    );
    let looked_up = look_up(exchange, &key).await;
    let mut meta = meta(exchange, &found, key.id(), looked_up.outcome());
    meta.turn.clone_from(&question.turn);
    let place = Place::of(exchange, question, &meta.sources);
    if let Lookup::Hit(kept) = looked_up {
        if let Some(place) = place {
            place.fill(&exchange.host, &kept.stored);
        }
        return Ok(reply_at_once(meta, &kept, form, question.told));
    }
    // Confidence depends on the reranker's scores: an answer without them is for this caller only.
    let slot = found.degraded.is_empty().then(|| Slot::of(&key));
    let upstream = begin(exchange, question, &found.results).await?;
    let relay = Relay::new(exchange, upstream.body, slot, place);
    match form {
        Form::Events => {
            let mut reply = whole(StatusCode::OK, EVENT_STREAM, Vec::new());
            reply.body = ReplyBody::Stream(relay.into_stream(meta, question.told));
            Ok(reply)
        }
        Form::Json => {
            // Its first byte is its last: what was written in time is all that counts.
            let whole = async { Ok(relay.into_answer().await) };
            let whole = exchange.within(exchange.config.timeouts.answer_ms, whole);
            let told = exchange.stage("answer_rest", whole).await;
            let stored = told.unwrap_or_else(|error| {
                let message = "answer not whole in time";
                Err(exchange.fail(ProblemKind::AnswerInterrupted, message, &error))
            })?;
            Ok(json(StatusCode::OK, &chat_answer(meta, &stored)))
        }
    }
}

fn meta<H: Host>(
    exchange: &Exchange<H>,
    found: &Found,
    answer_id: &AnswerId,
    answer: CacheOutcome,
) -> Meta {
    let cache = CacheReport {
        scope: found.scope,
        search: found.search,
        embedding: found.embedding,
        answer,
    };
    let outcomes = [cache.scope, cache.search, cache.embedding, cache.answer];
    let mut degraded = found.degraded.clone();
    if outcomes.contains(&CacheOutcome::Failed) {
        degraded.push(Degradation::CacheUnavailable);
    }
    let mut notes = exchange.notes.borrow_mut();
    notes.push(("passages", found.results.passages.len().into()));
    // Three small enums and a list of them always serialise.
    notes.push(("cache", serde_json::to_value(cache).unwrap_or_default()));
    notes.push((
        "degradations",
        serde_json::to_value(&degraded).unwrap_or_default(),
    ));
    Meta {
        request_id: exchange.request_id,
        answer_id: Some(answer_id.clone()),
        turn: None,
        cache,
        // A teacher's own answer is made from none of them.
        sources: match found.results.curated {
            Some(_) => Vec::new(),
            None => sources(&found.results),
        },
        degraded,
        resumed: false,
    }
}

fn sources(results: &SearchResults) -> Vec<Source> {
    let passages = results.passages.iter();
    passages.map(|passage| passage.source.clone()).collect()
}

/// A kept answer in the wanted form, as one body: the fastest way out of an isolate.
fn reply_at_once(mut meta: Meta, kept: &KeptAnswer, form: Form, told: Option<EventId>) -> Reply {
    match form {
        Form::Json => json(StatusCode::OK, &chat_answer(meta, &kept.stored)),
        Form::Events => {
            let rest = told.and_then(|told| behind(told, &replay(&kept.stored)));
            meta.resumed = rest.is_some();
            let events = rest.as_deref().unwrap_or_else(|| kept.events());
            let events = [&AnswerEvent::Meta(meta).to_sse(), events].concat();
            whole(StatusCode::OK, EVENT_STREAM, events.into_bytes())
        }
    }
}

/// Has the origin begin an answer. What goes wrong before its first byte is still a plain problem.
async fn begin<H: Host>(
    exchange: &Exchange<H>,
    question: &Question,
    found: &SearchResults,
) -> Result<Upstream, Problem> {
    let request = AnswerRequest {
        query: question.asked.clone(),
        passages: found
            .passages
            .iter()
            .map(|passage| ChosenPassage {
                chunk_id: passage.source.chunk_id,
                rerank_score: passage.source.score,
            })
            .collect(),
        curated: found.curated,
    };
    // A string, ids and finite numbers always serialise.
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let call = question.call(exchange, "answer", "/v1/answer", EVENT_STREAM, Some(body));
    let limit_ms = exchange.config.timeouts.answer_head_ms;
    let called = exchange.stage("answer", call_origin(exchange, limit_ms, call));
    let upstream = called.await?;
    let is_stream = upstream
        .content_type
        .as_deref()
        .is_some_and(|content_type| content_type.starts_with(EVENT_STREAM));
    if is_stream {
        Ok(upstream)
    } else {
        let error = PortError::Failed("not an event stream".to_owned());
        let message = "origin failed at /v1/answer";
        Err(exchange.fail(ProblemKind::OriginUnavailable, message, &error))
    }
}
