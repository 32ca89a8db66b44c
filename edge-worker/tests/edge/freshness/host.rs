//! The school as the gateway's host. Each call takes a turn on its way out and one on its way back, so
//! that anything can happen before it arrives and before its reply does.

use super::{
    chance::Chance,
    history::{PEOPLE, Person, Port, Store},
    kv::Kv,
    library::Library,
};
use crate::support::{
    Failure,
    issuer::{ISSUER, Issuer},
    ports::{bearer, suffer, upstream},
    simulation::{Time, turn},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use chrono::{DateTime, Utc};
use edge_worker::ports::{
    Allowance, AuthCall, AuthProvider, Background, ByteStream, Cache, Clock, Embedder, FileStore,
    HttpDates, Layer, Log, Origin, OriginCall, PortError, RateLimiter, Reading, Reranker, Severity,
    SignatureVerifier, StoredFile, Upstream,
};
use futures_util::{StreamExt, future::LocalBoxFuture, stream};
use rag_core::{jwks::Jwk, token::UnverifiedToken};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use shared_types::{
    cache::{CacheValue, ScopeReading},
    chat::SearchFilters,
    embedding::{DIMENSIONS, Embedding},
    event::{AnswerEvent, EVENT_STREAM},
    origin::{AnswerRequest, RetrieveResponse, ScopeVersion},
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    workers_ai::RerankScore,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::LazyLock,
};

static JWKS: LazyLock<String> = LazyLock::new(|| {
    let issuer = Issuer::new(KEY_ID);
    serde_json::to_string(&issuer.jwks).unwrap()
});
const KEY_ID: &str = "key-1";

/// A wall that is taken down, to see that the property notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The search key without the scope version: it is the same for everybody, always.
    OneScopeForAll,
    /// The answer key without content hashes: a passage's hash says nothing of its text.
    HashesSayNothing,
    /// Scopes without their age: whatever the store holds counts as read right now.
    ScopesNeverAge,
    /// Searches filed under what the edge remembers of the caller's scope, not under the one that
    /// was searched.
    SearchesFiledFromMemory,
    /// A database whose corpus versions do not count what is added.
    UploadsGoUncounted,
}

/// Everything around the gateway.
pub struct School {
    /// The clock.
    pub time: Time,
    /// The truth.
    pub library: RefCell<Library>,
    /// What decides.
    pub chance: RefCell<Chance>,
    /// Work behind responses that has not been taken up.
    pub background: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    /// What is broken, and how.
    pub fault: Cell<Option<(Port, Failure)>>,
    kv: RefCell<Kv>,
    store: Store,
    sabotage: Option<Sabotage>,
    /// The last scope version that each was told.
    told_scopes: RefCell<HashMap<Person, ScopeVersion>>,
}

impl School {
    /// An empty school.
    pub fn new(store: Store, chance: u64, sabotage: Option<Sabotage>) -> Self {
        Self {
            time: Time::default(),
            library: RefCell::new(Library {
                forgets_uploads: sabotage == Some(Sabotage::UploadsGoUncounted),
                ..Library::default()
            }),
            chance: RefCell::new(Chance::new(chance)),
            background: RefCell::default(),
            fault: Cell::default(),
            kv: RefCell::default(),
            store,
            sabotage,
            told_scopes: RefCell::default(),
        }
    }

    /// An `Authorization` header. Signatures are not what is tested here.
    pub fn authorization(&self, person: Person) -> String {
        let now_s = self.time.now_ms() / 1_000;
        let claims = json!({
            "sub": person.user_id(),
            "iss": ISSUER,
            "aud": "authenticated",
            "role": "authenticated",
            "app_metadata": {"role": person.role()},
            "iat": now_s,
            "exp": now_s + 3_600,
        });
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID});
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signature = Base64UrlUnpadded::encode_string(&[7; 64]);
        format!("Bearer {}.{}.{signature}", part(&header), part(&claims))
    }

    async fn reach(&self, port: Port) -> Result<(), PortError> {
        turn().await;
        suffer(&self.time, self.fault_of(port)).await
    }

    fn fault_of(&self, port: Port) -> Option<Failure> {
        let fault = self.fault.get().filter(|(broken, _)| *broken == port);
        fault.map(|(_, failure)| failure)
    }

    fn is_sabotaged(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    fn kept(&self, layer: Layer, key: &str) -> Option<Vec<u8>> {
        let now_ms = self.time.now_ms();
        let mut chance = self.chance.borrow_mut();
        let kv = self.kv.borrow();
        let found = kv.read(layer, key, now_ms, self.store, &mut chance)?;
        if layer == Layer::Scope && self.is_sabotaged(Sabotage::ScopesNeverAge) {
            let mut reading = ScopeReading::decode(&found).unwrap();
            reading.read_at_s = now_ms / 1_000;
            return Some(reading.encode());
        }
        Some(found)
    }
}

impl Cache for School {
    async fn get(&self, layer: Layer, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.reach(Port::Caches).await?;
        let found = self.kept(layer, key);
        turn().await;
        Ok(found)
    }

    async fn put(
        &self,
        layer: Layer,
        key: &str,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> Result<(), PortError> {
        turn().await;
        // A write that stalls ends with its invocation.
        if self.fault_of(Port::Caches).is_some() {
            return suffer(&self.time, Some(Failure::Fails)).await;
        }
        if !self.chance.borrow_mut().one_in(16) {
            let now_ms = self.time.now_ms();
            let ends_ms = now_ms + i64::from(ttl_s) * 1_000;
            let mut kv = self.kv.borrow_mut();
            kv.put(layer, key, (value, ends_ms), now_ms);
        }
        Ok(())
    }

    async fn delete(&self, layer: Layer, key: &str) -> Result<(), PortError> {
        self.reach(Port::Caches).await?;
        self.kv.borrow_mut().delete(layer, key, self.time.now_ms());
        turn().await;
        Ok(())
    }
}

impl Embedder for School {
    async fn embed(&self, _: &str) -> Result<Embedding, PortError> {
        self.reach(Port::Embedder).await?;
        turn().await;
        Ok(Embedding::new(vec![1.0; DIMENSIONS]).unwrap())
    }
}

impl Reranker for School {
    async fn rerank(
        &self,
        query: &str,
        texts: &[&str],
        top: usize,
    ) -> Result<Vec<RerankScore>, PortError> {
        self.reach(Port::Reranker).await?;
        let is_on_topic = |text: &str| {
            let mut words = text.split([' ', ':', '.']).filter(|word| word.len() > 2);
            words.any(|word| query.contains(word))
        };
        let scores = texts.iter().enumerate().map(|(id, text)| RerankScore {
            id,
            score: if is_on_topic(text) { 2.0 } else { -2.0 },
        });
        let mut scores: Vec<RerankScore> = scores.collect();
        scores.sort_by(|a, b| b.score.total_cmp(&a.score));
        scores.truncate(top);
        turn().await;
        Ok(scores)
    }
}

/// What the origin reads of a search.
#[derive(Deserialize)]
struct Search {
    query: String,
    #[serde(default)]
    filters: SearchFilters,
    #[serde(rename = "embedding")]
    _embedding: IgnoredAny,
}

impl Origin for School {
    async fn call(&self, call: OriginCall<'_>) -> Result<Upstream, PortError> {
        let reader = reader_of(&call);
        let body = call.body.unwrap_or_default();
        let reply = match call.path {
            "/v1/scope" => {
                self.reach(Port::Scope).await?;
                upstream_json(&self.scope(reader))
            }
            "/v1/retrieve" => {
                self.reach(Port::Retrieve).await?;
                upstream_json(&self.retrieve(reader, &serde_json::from_slice(&body).unwrap()))
            }
            "/v1/answer" => {
                self.reach(Port::Answer).await?;
                self.answer(reader, &serde_json::from_slice(&body).unwrap())
            }
            other => panic!("nobody asks for {other} here"),
        };
        turn().await;
        Ok(reply)
    }
}

impl School {
    fn scope(&self, reader: Person) -> ScopeVersion {
        let scope = if self.is_sabotaged(Sabotage::OneScopeForAll) {
            ScopeVersion {
                scope_version: "0".repeat(64),
            }
        } else {
            self.library.borrow().scope(reader)
        };
        self.told_scopes.borrow_mut().insert(reader, scope.clone());
        scope
    }

    fn retrieve(&self, reader: Person, search: &Search) -> RetrieveResponse {
        let library = self.library.borrow();
        let mut passages = library.search(reader, &search.query, &search.filters);
        if self.is_sabotaged(Sabotage::HashesSayNothing) {
            for passage in &mut passages {
                passage.content_sha256 = "0".repeat(64);
            }
        }
        let remembered = self.told_scopes.borrow().get(&reader).cloned();
        let scope = remembered
            .filter(|_| self.is_sabotaged(Sabotage::SearchesFiledFromMemory))
            .unwrap_or_else(|| self.scope(reader));
        RetrieveResponse { passages, scope }
    }

    fn answer(&self, reader: Person, request: &AnswerRequest) -> Upstream {
        let chunks: Vec<_> = request
            .passages
            .iter()
            .map(|chosen| chosen.chunk_id)
            .collect();
        let library = self.library.borrow();
        let Some(events) = library.answer(reader, &request.query, &chunks) else {
            let gone = serde_json::to_string(&Problem::new(ProblemKind::Conflict)).unwrap();
            return upstream(ProblemKind::Conflict.status(), PROBLEM_JSON, &gone);
        };
        let mut reply = upstream(200, EVENT_STREAM, "");
        reply.body = told(&events, self.fault_of(Port::Telling));
        reply
    }
}

/// The events in their turns. An answer whose telling is broken stops after the first.
fn told(events: &[AnswerEvent], failure: Option<Failure>) -> ByteStream {
    let whole = if failure.is_some() { 1 } else { events.len() };
    let texts: Vec<String> = events[..whole].iter().map(AnswerEvent::to_sse).collect();
    let told = stream::iter(texts).then(|text| async move {
        turn().await;
        Ok(text.into())
    });
    let end = match failure {
        None => stream::empty().boxed_local(),
        Some(Failure::Stalls) => stream::pending().boxed_local(),
        Some(_) => {
            let error = PortError::Failed("connection reset".to_owned());
            stream::once(async { Err(error) }).boxed_local()
        }
    };
    told.chain(end).boxed_local()
}

fn upstream_json(reply: &impl serde::Serialize) -> Upstream {
    let mut upstream = upstream(200, "application/json", "");
    upstream.body = pieces_of(serde_json::to_vec(reply).unwrap());
    upstream
}

fn pieces_of(bytes: Vec<u8>) -> ByteStream {
    stream::once(async { Ok(bytes.into()) }).boxed_local()
}

fn reader_of(call: &OriginCall<'_>) -> Person {
    let named = bearer(call.authorization);
    let mut people = PEOPLE.into_iter();
    people.find(|person| person.user_id().0 == named).unwrap()
}

impl FileStore for School {
    async fn open(&self, key: &str, _: Reading) -> Result<Option<StoredFile>, PortError> {
        panic!("nobody asks for {key} here")
    }
}

impl HttpDates for School {
    fn read_date(&self, text: &str) -> Option<i64> {
        panic!("nobody writes {text} here")
    }

    fn write_date(&self, seconds: i64) -> String {
        panic!("nobody reads {seconds} here")
    }
}

impl AuthProvider for School {
    async fn call_auth(&self, _: AuthCall<'_>) -> Result<Upstream, PortError> {
        self.reach(Port::Auth).await?;
        turn().await;
        let mut keys = upstream(200, "application/json", "");
        keys.body = pieces_of(JWKS.clone().into_bytes());
        Ok(keys)
    }
}

impl SignatureVerifier for School {
    async fn verify(&self, _: &Jwk, _: &UnverifiedToken<'_>) -> Result<bool, PortError> {
        Ok(true)
    }
}

impl RateLimiter for School {
    async fn allow(&self, _: Allowance, _: &str) -> Result<bool, PortError> {
        self.reach(Port::Limiter).await?;
        Ok(true)
    }
}

impl Clock for School {
    fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }

    async fn sleep(&self, duration_ms: u32) {
        self.time.sleep(duration_ms).await;
    }
}

impl Background for School {
    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.background.borrow_mut().push(work);
    }
}

impl Log for School {
    fn log(&self, _: Severity, _: &str, _: &[(&str, Value)]) {}
}
