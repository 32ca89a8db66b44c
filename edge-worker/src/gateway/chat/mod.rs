//! `POST /api/chat/query`: one question, from the caller's token to the last event.

mod answer;
mod conversation;
mod relay;
mod rerank;
mod search;

use crate::{
    gateway::{
        Gateway, authentication,
        exchange::{Exchange, Incoming, JSON, Reply},
    },
    ports::{Host, OriginCall},
    router::Route,
};
use http::Method;
use rag_core::query::normalise;
use shared_types::{
    chat::{ChatQuery, SearchFilters},
    conversation::Turn,
    event::{EVENT_STREAM, EventId},
    ids::UserId,
    problem::{Problem, ProblemKind},
};

/// A question that may be asked.
struct Question {
    /// Who asks.
    user_id: UserId,
    /// Their `Authorization` header, for the origin.
    authorization: String,
    /// The words as written, or so that they can be understood without what was asked before.
    asked: String,
    /// The words as caches and searches take them.
    normalised: String,
    /// Where to search.
    filters: SearchFilters,
    /// Its place in a conversation.
    turn: Option<Turn>,
    /// The last event of its answer that the asker has been told.
    told: Option<EventId>,
    /// Whether the remembered scope has turned out to be out of date.
    distrusts_scope: bool,
}

impl Question {
    /// A call of the origin on the asker's behalf, in one stage: with a body `POST`, else `GET`.
    fn call<'a, H>(
        &'a self,
        exchange: &Exchange<H>,
        stage: &str,
        path: &'a str,
        accept: &'static str,
        body: Option<Vec<u8>>,
    ) -> OriginCall<'a> {
        OriginCall {
            method: if body.is_some() {
                Method::POST
            } else {
                Method::GET
            },
            path,
            authorization: Some(&self.authorization),
            request_id: exchange.request_id,
            trace: exchange.trace.within(stage),
            accept,
            body,
        }
    }
}

/// How the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Server-sent events, as they come.
    Events,
    /// One JSON object.
    Json,
}

impl Form {
    /// Events, unless JSON is asked for and events are not.
    fn wanted(accept: Option<&str>) -> Self {
        let accepts = |media_type: &str| {
            let mut ranges = accept.unwrap_or_default().split(',');
            ranges.any(|range| range.trim_start().starts_with(media_type))
        };
        if accepts(JSON) && !accepts(EVENT_STREAM) {
            Self::Json
        } else {
            Self::Events
        }
    }
}

/// Answers a question from what the caller may read.
pub async fn query<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    let claims = authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    let form = Form::wanted(incoming.headers.accept.as_deref());
    let authorization = incoming.headers.authorization.clone();
    // What is no id of ours names no event: the answer is told from its beginning.
    let told = incoming.headers.last_event_id.as_deref();
    let told = told.and_then(|id| id.parse().ok());
    let body: ChatQuery = incoming
        .json(exchange, Route::ChatQuery.body_limit())
        .await?;
    let normalised = as_searched(&body.query)?;
    body.filters
        .check()
        .map_err(|error| Problem::new(ProblemKind::QueryInvalid).with_detail(error.to_string()))?;
    let mut question = Question {
        user_id: claims.sub,
        authorization: authorization.unwrap_or_default(),
        asked: body.query,
        normalised,
        filters: body.filters,
        turn: None,
        told,
        distrusts_scope: false,
    };
    if let Some(session_id) = body.session_id {
        let turn = conversation::take_turn(exchange, &question, session_id).await?;
        question.normalised = as_searched(&turn.question)?;
        question.asked.clone_from(&turn.question);
        question.turn = Some(turn);
    }
    let found = search::find(exchange, &question).await?;
    match answer::answer(exchange, &question, found, form).await {
        // The caller lost the right to a remembered passage within the last minute: search anew, once.
        Err(problem) if problem.is(ProblemKind::Conflict) => {
            question.distrusts_scope = true;
            let found = search::find(exchange, &question).await?;
            answer::answer(exchange, &question, found, form).await
        }
        answered => answered,
    }
}

fn as_searched(question: &str) -> Result<String, Problem> {
    normalise(question)
        .map_err(|error| Problem::new(ProblemKind::QueryInvalid).with_detail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_unless_json_alone_is_asked_for() {
        let cases = [
            (None, Form::Events),
            (Some("*/*"), Form::Events),
            (Some("text/event-stream"), Form::Events),
            (Some("text/event-stream, application/json"), Form::Events),
            (Some("application/json"), Form::Json),
            (Some("application/json, text/plain, */*"), Form::Json),
        ];
        for (accept, expected) in cases {
            assert_eq!(Form::wanted(accept), expected, "{accept:?}");
        }
    }
}
