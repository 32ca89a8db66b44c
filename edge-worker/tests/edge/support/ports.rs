//! The world as the gateway's host.

use super::{EDGE_TOKEN, Failure, StreamFault, World, library::FIRST_STUDENT, simulation::Time};
use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use edge_worker::ports::{
    Allowance, AuthCall, AuthProvider, Background, ByteStream, Cache, Clock, Embedder, Layer, Log,
    Origin, OriginCall, Passing, PortError, RateLimiter, Reranker, Severity, SignatureVerifier,
    Upstream,
};
use futures_util::{
    StreamExt,
    future::{self, LocalBoxFuture},
    stream,
};
use rag_core::{
    jwks::Jwk,
    token::{UnverifiedToken, verify::verify},
};
use serde_json::Value;
use shared_types::{
    conversation::{Ask, Turn},
    embedding::{DIMENSIONS, Embedding},
    event::{AnswerEvent, to_numbered_sse},
    ids::{MessageId, UserId},
    origin::{AnswerRequest, Changed, RetrieveRequest, RetrieveResponse},
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    purge::{PurgeRecord, PurgeRequest, PurgeTarget},
    workers_ai::RerankScore,
};
use std::{cell::Cell, rc::Rc};
use uuid::Uuid;

/// Fails or stalls as told.
pub async fn suffer(time: &Time, failure: Option<Failure>) -> Result<(), PortError> {
    match failure {
        Some(Failure::Lags(duration_ms)) => {
            time.sleep(duration_ms).await;
            Ok(())
        }
        None => Ok(()),
        Some(Failure::Fails) => Err(PortError::Failed("broken by the test".to_owned())),
        Some(Failure::Stalls) => future::pending().await,
    }
}

impl World {
    /// Notes that something was called.
    pub fn note(&self, call: impl Into<String>) {
        self.calls.borrow_mut().push(call.into());
    }

    fn now_s(&self) -> i64 {
        self.time.now_ms() / 1_000
    }
}

impl Cache for World {
    async fn get(&self, layer: Layer, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let failure = self.faults.borrow().caches;
        suffer(&self.time, failure).await?;
        let cached = self.cached.borrow();
        let found = cached.get(&(layer, key.to_owned()));
        Ok(found
            .filter(|(_, ends_s)| self.now_s() < *ends_s)
            .map(|(value, _)| value.clone()))
    }

    async fn put(
        &self,
        layer: Layer,
        key: &str,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> Result<(), PortError> {
        assert!(ttl_s >= 60 && key.len() <= 512, "Workers KV refuses this");
        let failure = match self.faults.borrow().caches {
            // A write that stalls ends with its invocation.
            Some(Failure::Stalls) => Some(Failure::Fails),
            other => other,
        };
        suffer(&self.time, failure).await?;
        let ends_s = self.now_s() + i64::from(ttl_s);
        let key = (layer, key.to_owned());
        self.cached.borrow_mut().insert(key, (value, ends_s));
        Ok(())
    }

    async fn delete(&self, layer: Layer, key: &str) -> Result<(), PortError> {
        let failure = self.faults.borrow().caches;
        suffer(&self.time, failure).await?;
        self.cached.borrow_mut().remove(&(layer, key.to_owned()));
        Ok(())
    }
}

impl Embedder for World {
    async fn embed(&self, query: &str) -> Result<Embedding, PortError> {
        self.note("embed");
        self.embedded.borrow_mut().push(query.to_owned());
        let failure = self.faults.borrow().embedder;
        suffer(&self.time, failure).await?;
        let component = query.len() as f32;
        Ok(Embedding::new(vec![component; DIMENSIONS]).unwrap())
    }
}

impl Reranker for World {
    async fn rerank(
        &self,
        _: &str,
        texts: &[&str],
        top: usize,
    ) -> Result<Vec<RerankScore>, PortError> {
        self.note("rerank");
        let failure = self.faults.borrow().reranker;
        suffer(&self.time, failure).await?;
        // The later in fusion, the better: so that the reranker's word is seen to count.
        let scores = (0..texts.len()).rev().map(|id| RerankScore {
            id,
            score: id as f64,
        });
        Ok(scores.take(top).collect())
    }
}

/// A call that is under way.
pub struct Open(Rc<Cell<usize>>);

impl Open {
    /// One more of these calls, until it is dropped.
    pub fn new(calls: &Rc<Cell<usize>>) -> Self {
        calls.set(calls.get() + 1);
        Self(Rc::clone(calls))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Origin for World {
    async fn call(&self, call: OriginCall<'_>) -> Result<Upstream, PortError> {
        let open = Open::new(&self.open_calls);
        let mut reply = self.reply(call).await?;
        let held = reply.body.map(move |piece| {
            let _ = &open;
            piece
        });
        reply.body = held.boxed_local();
        Ok(reply)
    }

    async fn pass(&self, call: OriginCall<'_>) -> Result<Passing, PortError> {
        let reply = self.call(call).await?;
        Ok(if reply.status == 200 {
            Passing::On {
                content_type: reply.content_type,
                body: reply.body.map(Result::unwrap).boxed_local(),
            }
        } else {
            Passing::Instead(reply)
        })
    }
}

impl World {
    async fn reply(&self, call: OriginCall<'_>) -> Result<Upstream, PortError> {
        let route = call.path.to_owned();
        self.note(route.clone());
        self.traces.borrow_mut().push(call.trace.to_string());
        let failure = self.faults.borrow().origin.get(&*route).copied();
        suffer(&self.time, failure).await?;
        let refusal = self.faults.borrow().refusal.get(&*route).cloned();
        if let Some(problem) = refusal {
            let body = serde_json::to_string(&problem).unwrap();
            return Ok(upstream(problem.status, "application/problem+json", &body));
        }
        if route != "/api/health" {
            // The origin knows callers by nothing else.
            bearer(call.authorization);
        }
        let body = call.body.unwrap_or_default();
        let reply = match &*route {
            "/api/health" => "{}".to_owned(),
            "/v1/scope" => {
                let scope = self.library.scope(bearer(call.authorization));
                serde_json::to_string(&scope).unwrap()
            }
            "/v1/retrieve" => {
                let request: RetrieveRequest = serde_json::from_slice(&body).unwrap();
                assert_eq!(request.embedding_model, "encoder#cls");
                self.note(if request.embedding.is_some() {
                    "searched by vector and words"
                } else {
                    "searched by words"
                });
                self.filters.borrow_mut().push(request.filters);
                let reader = bearer(call.authorization);
                let response = RetrieveResponse {
                    passages: self.library.readable(reader),
                    curated: self.library.curated(reader),
                    scope: self.library.scope(reader),
                };
                serde_json::to_string(&response).unwrap()
            }
            "/v1/answer" => {
                let request: AnswerRequest = serde_json::from_slice(&body).unwrap();
                let events = self.library.answer(bearer(call.authorization), &request);
                return Ok(self.stream(&events));
            }
            "/v1/admin/cache/purge" => {
                let purge: PurgeRequest = serde_json::from_slice(&body).unwrap();
                let record = PurgeRecord {
                    generation: 7,
                    readers: [bearer(call.authorization), FIRST_STUDENT]
                        .map(UserId)
                        .into(),
                    earlier: matches!(purge.target, PurgeTarget::Answer(_)).then_some(3),
                };
                serde_json::to_string(&record).unwrap()
            }
            "/v1/curated-answers" if !body.is_empty() => kept_by_a_teacher(),
            path if path.starts_with("/v1/chat/") && call.method != http::Method::GET => {
                return self.conversation(path, &body).await;
            }
            "/v1/documents" => format!("{{\"echo\":{}}}", String::from_utf8(body).unwrap()),
            path if path.ends_with("/file") => {
                let reader = bearer(call.authorization);
                let Some(file) = self.files.known_to(&self.library, reader, path) else {
                    let problem = Problem::new(ProblemKind::NotFound);
                    let body = serde_json::to_string(&problem).unwrap();
                    return Ok(upstream(404, PROBLEM_JSON, &body));
                };
                serde_json::to_string(&file).unwrap()
            }
            "/v1/account/export" => return Ok(upstream(200, "application/zip", "PK…")),
            path if path.ends_with("/events") => {
                return Ok(upstream(200, "text/event-stream", "event: document\n\n"));
            }
            path if path.ends_with("/accept") => {
                let changed = Changed {
                    reply: "{\"full_name\":\"A. Teacher\"}".to_owned(),
                    readers: vec![UserId(FIRST_STUDENT)],
                };
                serde_json::to_string(&changed).unwrap()
            }
            path if path.starts_with("/v1/invitations/") => {
                return Ok(upstream(204, "", ""));
            }
            _ if matches!(call.method, http::Method::PATCH | http::Method::DELETE) => {
                let changed = Changed {
                    reply: String::from_utf8(body).unwrap(),
                    readers: vec![UserId(FIRST_STUDENT)],
                };
                serde_json::to_string(&changed).unwrap()
            }
            path if call.method == http::Method::GET || path.starts_with("/v1/documents") => {
                format!("{{\"path\":\"{path}\"}}")
            }
            other => panic!("the origin has no {other}"),
        };
        let mut reply = upstream(200, "application/json", &reply);
        reply.server_timing = Some("sql;dur=2.5".to_owned());
        Ok(reply)
    }

    /// A question takes its place, or an answer is written down.
    async fn conversation(&self, path: &str, body: &[u8]) -> Result<Upstream, PortError> {
        if path.ends_with("/answer") {
            let failure = self.faults.borrow().writing;
            suffer(&self.time, failure).await?;
            let answered = serde_json::from_slice(body).unwrap();
            self.written.borrow_mut().push(answered);
            return Ok(upstream(204, "", ""));
        }
        if path.ends_with("/feedback") {
            return Ok(upstream(204, "", ""));
        }
        let ask: Ask = serde_json::from_slice(body).unwrap();
        let query = ask.query.clone();
        self.put.borrow_mut().push(ask);
        let rewritten = self.rewritten.borrow().clone();
        let session = path.split('/').nth(4).unwrap();
        let turn = Turn {
            session_id: session.parse().unwrap(),
            message_id: MessageId(Uuid::from_u128(78)),
            is_rewritten: rewritten.is_some(),
            question: rewritten.unwrap_or(query),
        };
        let turn = serde_json::to_string(&turn).unwrap();
        Ok(upstream(200, "application/json", &turn))
    }

    fn stream(&self, events: &[AnswerEvent]) -> Upstream {
        let text = to_numbered_sse(events);
        let beginning = |bytes: usize| pieces(&text[..bytes]);
        let mut reply = upstream(200, "text/event-stream", "");
        let fault = self.faults.borrow().stream.clone();
        reply.body = match fault {
            None => pieces(&text),
            Some(StreamFault::EndsAfter(bytes)) => beginning(bytes),
            Some(StreamFault::BreaksAfter(bytes)) => {
                let error = PortError::Failed("connection reset".to_owned());
                let broken = stream::once(async { Err(error) });
                beginning(bytes).chain(broken).boxed_local()
            }
            Some(StreamFault::SilentAfter(bytes)) => {
                beginning(bytes).chain(stream::pending()).boxed_local()
            }
            Some(StreamFault::ErrorEvent(problem)) => {
                pieces(&(events[0].to_sse() + &AnswerEvent::Error(problem).to_sse()))
            }
            Some(StreamFault::Garbage) => {
                pieces(&(events[0].to_sse() + "event: delta\ndata: {\"te\n\n" + &text))
            }
        };
        reply
    }
}

/// The reply to an answer of a teacher's own.
fn kept_by_a_teacher() -> String {
    let changed = Changed {
        reply: "{\"kept\":true}".to_owned(),
        readers: vec![UserId(FIRST_STUDENT)],
    };
    serde_json::to_string(&changed).unwrap()
}

/// A body in pieces that respect nothing, not even characters.
pub fn pieces(text: &str) -> ByteStream {
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(7)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed_local()
}

/// A reply with a body of a type.
pub fn upstream(status: u16, content_type: &str, body: &str) -> Upstream {
    Upstream {
        status,
        content_type: Some(content_type.to_owned()),
        location: None,
        retry_after: None,
        server_timing: None,
        body: pieces(body),
    }
}

/// Whom a token of the tests names.
pub fn bearer(authorization: Option<&str>) -> Uuid {
    let token = authorization
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap();
    let claims = Base64UrlUnpadded::decode_vec(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["sub"].as_str().unwrap().parse().unwrap()
}

impl AuthProvider for World {
    async fn call_auth(&self, call: AuthCall<'_>) -> Result<Upstream, PortError> {
        let failure = self.faults.borrow().auth;
        if call.path == "/.well-known/jwks.json" {
            self.note("jwks");
            suffer(&self.time, failure).await?;
            let jwks = serde_json::to_string(&self.issuer.borrow().jwks).unwrap();
            return Ok(upstream(200, "application/json", &jwks));
        }
        self.note(format!("auth {}", call.path));
        suffer(&self.time, failure).await?;
        if call.authorization.is_some() {
            let shown = bearer(call.authorization);
            self.auth_bearers.borrow_mut().push(shown);
        }
        let body = String::from_utf8(call.body.unwrap_or_default()).unwrap();
        self.auth_calls
            .borrow_mut()
            .push((call.path.to_owned(), body));
        let at_path = self.auth_replies.borrow().get(call.path).cloned();
        let (status, reply) = at_path.unwrap_or_else(|| self.auth_reply.borrow().clone());
        Ok(upstream(status, "application/json", &reply))
    }
}

impl SignatureVerifier for World {
    async fn verify(&self, key: &Jwk, token: &UnverifiedToken<'_>) -> Result<bool, PortError> {
        self.verifications.set(self.verifications.get() + 1);
        Ok(verify(key, token).is_ok())
    }
}

impl RateLimiter for World {
    async fn allow(&self, allowance: Allowance, key: &str) -> Result<bool, PortError> {
        self.counted.borrow_mut().push((allowance, key.to_owned()));
        let failure = self.faults.borrow().limiter;
        suffer(&self.time, failure).await?;
        Ok(!self.faults.borrow().used_up.contains(&allowance))
    }
}

impl Clock for World {
    fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }

    async fn sleep(&self, duration_ms: u32) {
        self.time.sleep(duration_ms).await;
    }
}

impl Background for World {
    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.background.borrow_mut().push(work);
    }
}

impl Log for World {
    fn log(&self, severity: Severity, message: &str, fields: &[(&str, Value)]) {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let line = format!("{severity:?} {message} {}", fields.join(" "));
        assert!(
            !line.contains(EDGE_TOKEN) && !line.contains("Bearer"),
            "a secret in the log: {line}"
        );
        self.logged.borrow_mut().push(line);
    }
}
