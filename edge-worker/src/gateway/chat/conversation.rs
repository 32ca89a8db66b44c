//! A question's place in a conversation: taken before anything is searched for, and filled once it is answered.

use super::Question;
use crate::{
    gateway::{
        exchange::{Exchange, JSON},
        upstream::ask_origin,
    },
    ports::{Host, OriginCall, PortError, Severity},
};
use futures_util::future::{Either, select};
use http::Method;
use shared_types::{
    cache::StoredAnswer,
    chat::Source,
    conversation::{Answered, Ask, Turn},
    ids::{ChatSessionId, RequestId},
    problem::Problem,
    trace::TraceParent,
};
use std::{pin::pin, rc::Rc};

/// How often an answer is tried to be written down.
const ATTEMPTS: u32 = 3;
/// How long an attempt waits after one that failed: an origin that is replaced is back by then.
const PAUSE_MS: u32 = 2_000;

/// Puts a question behind the others of a conversation, where it is understood by those.
pub async fn take_turn<H: Host>(
    exchange: &Exchange<H>,
    question: &Question,
    session_id: ChatSessionId,
) -> Result<Turn, Problem> {
    let path = format!("/v1/chat/sessions/{session_id}/messages");
    let ask = Ask {
        query: question.asked.clone(),
        resumes: question.told.is_some(),
    };
    // A string always serialises.
    let body = serde_json::to_vec(&ask).unwrap_or_default();
    let call = question.call(exchange, "turn", &path, JSON, Some(body));
    let limit_ms = exchange.config.timeouts.documents_ms;
    exchange
        .stage("turn", ask_origin(exchange, limit_ms, call))
        .await
}

/// The place of an answer that is yet to be told.
pub struct Place {
    path: String,
    authorization: String,
    request_id: RequestId,
    trace: TraceParent,
    limit_ms: u32,
    sources: Vec<Source>,
}

impl Place {
    /// The place of the answer to `question`; none where that belongs to no conversation.
    pub fn of<H>(exchange: &Exchange<H>, question: &Question, sources: &[Source]) -> Option<Self> {
        question.turn.as_ref().map(|turn| Self {
            path: format!("/v1/chat/messages/{}/answer", turn.message_id),
            authorization: question.authorization.clone(),
            request_id: exchange.request_id,
            trace: exchange.trace,
            limit_ms: exchange.config.timeouts.documents_ms,
            sources: sources.to_vec(),
        })
    }

    /// Has the origin write the answer down; holds up nobody. Where that fails, the question stands without it.
    pub fn fill<H: Host>(self, host: &Rc<H>, answer: &StoredAnswer) {
        let answered = Answered {
            answer: answer.clone(),
            sources: self.sources.clone(),
        };
        // Strings, ids and finite numbers always serialise.
        let body = serde_json::to_vec(&answered).unwrap_or_default();
        let writer = Rc::clone(host);
        host.spawn(Box::pin(async move {
            let mut failure = String::new();
            for attempt in 0..ATTEMPTS {
                if attempt > 0 {
                    writer.sleep(PAUSE_MS).await;
                }
                match self.put(&*writer, body.clone()).await {
                    // Not found: removed meanwhile, or written down by the attempt before.
                    Ok(200..=299 | 404) => return,
                    Ok(status) => {
                        failure = format!("status {status}");
                        // Said again, it is no better.
                        if status < 500 {
                            break;
                        }
                    }
                    Err(error) => failure = error.to_string(),
                }
            }
            let fields = [
                ("request_id", self.request_id.to_string().into()),
                ("error", failure.into()),
            ];
            writer.log(Severity::Warning, "answer not written down", &fields);
        }));
    }

    async fn put<H: Host>(&self, host: &H, body: Vec<u8>) -> Result<u16, PortError> {
        let call = OriginCall {
            method: Method::PUT,
            path: &self.path,
            authorization: Some(&self.authorization),
            request_id: self.request_id,
            trace: self.trace,
            accept: JSON,
            body: Some(body),
        };
        let limit = pin!(host.sleep(self.limit_ms));
        match select(pin!(host.call(call)), limit).await {
            Either::Left((reply, _)) => reply.map(|reply| reply.status),
            Either::Right(_) => Err(PortError::TimedOut(self.limit_ms)),
        }
    }
}
