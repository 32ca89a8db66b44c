//! The school as the gateway's host. Each call takes a turn on its way out and one on its way back, so
//! that anything can happen before it arrives and before its reply does.

use super::{
    chance::Chance,
    history::{Person, Port, Store},
    kv::Kv,
    library::Library,
    origin::{at_moment, pieces_of},
};
use crate::support::{
    Failure,
    issuer::{ISSUER, Issuer},
    ports::{suffer, upstream},
    simulation::{Time, turn},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use chrono::{DateTime, Utc};
use edge_worker::ports::{
    Allowance, AuthCall, AuthProvider, Background, Cache, Clock, Embedder, FileStore, HttpDates,
    Layer, Log, PortError, RateLimiter, Reading, Reranker, Severity, SignatureVerifier, StoredFile,
    Upstream,
};
use futures_util::future::LocalBoxFuture;
use rag_core::{jwks::Jwk, token::UnverifiedToken};
use serde_json::{Value, json};
use shared_types::{
    cache::{ScopeReading, open, seal},
    embedding::Embedding,
    origin::Scope,
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
    /// The answer key without the numbers of purges, which searches alone heed.
    AnswersOutlivePurges,
    /// The embedding's key without them.
    EmbeddingsOutlivePurges,
    /// A purged answer is deleted, and whoever is making it puts it back.
    PurgedAnswersAreDeletedOnly,
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
    /// The last scope that each was told.
    pub told_scopes: RefCell<HashMap<Person, Scope>>,
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

    /// A call's way out, to where it may fail.
    pub async fn reach(&self, port: Port) -> Result<(), PortError> {
        turn().await;
        suffer(&self.time, self.fault_of(port)).await
    }

    /// What is wrong with one thing outside.
    pub fn fault_of(&self, port: Port) -> Option<Failure> {
        let fault = self.fault.get().filter(|(broken, _)| *broken == port);
        fault.map(|(_, failure)| failure)
    }

    /// Whether this wall is down.
    pub fn is_sabotaged(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    fn kept(&self, layer: Layer, key: &str) -> Option<Vec<u8>> {
        let now_ms = self.time.now_ms();
        let mut chance = self.chance.borrow_mut();
        let kv = self.kv.borrow();
        let found = kv.read(layer, key, now_ms, self.store, &mut chance)?;
        if layer == Layer::Scope && self.is_sabotaged(Sabotage::ScopesNeverAge) {
            let mut reading: ScopeReading = open(key, &found).unwrap();
            reading.read_at_s = now_ms / 1_000;
            return Some(seal(key, &reading));
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
        let made = at_moment(self.time.now_ms());
        turn().await;
        Ok(made)
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
