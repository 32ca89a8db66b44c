//! Typed reads and writes of the caches. A cache can make an answer faster and never stop one.

use crate::{
    gateway::exchange::Exchange,
    ports::{Host, Layer, Severity},
};
use chrono::TimeDelta;
use rag_core::answer::replay;
use shared_types::{
    cache::{
        AnswerKey, CacheKey, CacheValue, CacheValueError, EmbedKey, ScopeKey, ScopeReading,
        SearchKey, SearchResults, StoredAnswer, open, seal,
    },
    chat::CacheOutcome,
    embedding::Embedding,
    event::to_numbered_sse,
};
use std::{cell::OnceCell, marker::PhantomData, rc::Rc};

/// A key that knows its namespace.
pub trait Layered: CacheKey {
    /// The namespace.
    const LAYER: Layer;
    /// The stage's name in `Server-Timing`.
    const STAGE: &'static str;
    /// Whether the isolate may remember values of this layer: whether they never change under their key.
    const IS_REMEMBERED: bool = false;
    /// What is made of a value that was read, and remembered in its place.
    type Read: From<Self::Value> + 'static;
}

impl Layered for ScopeKey {
    const LAYER: Layer = Layer::Scope;
    const STAGE: &'static str = "scope";
    type Read = ScopeReading;
}
impl Layered for SearchKey<'_> {
    const LAYER: Layer = Layer::Search;
    const STAGE: &'static str = "search";
    const IS_REMEMBERED: bool = true;
    type Read = SearchResults;
}
impl Layered for EmbedKey<'_> {
    const LAYER: Layer = Layer::Embedding;
    const STAGE: &'static str = "embed";
    type Read = Embedding;
}
impl Layered for AnswerKey<'_> {
    const LAYER: Layer = Layer::Answer;
    const STAGE: &'static str = "answer_cache";
    const IS_REMEMBERED: bool = true;
    type Read = KeptAnswer;
}

/// An answer, and how it is told: the same each time.
#[derive(Debug)]
pub struct KeptAnswer {
    /// As it was stored.
    pub stored: StoredAnswer,
    events: OnceCell<String>,
}

impl From<StoredAnswer> for KeptAnswer {
    fn from(stored: StoredAnswer) -> Self {
        let events = OnceCell::new();
        Self { stored, events }
    }
}

impl KeptAnswer {
    /// All of its events but the first, which is each reply's own, as they are sent.
    pub fn events(&self) -> &str {
        self.events
            .get_or_init(|| to_numbered_sse(&replay(&self.stored)))
    }
}

/// What a look-up brought.
pub enum Lookup<V> {
    /// A value.
    Hit(Rc<V>),
    /// Nothing.
    Miss,
    /// The cache failed or took too long.
    Failed,
}

impl<V> Lookup<V> {
    /// As the caller is told of it.
    pub fn outcome(&self) -> CacheOutcome {
        match self {
            Self::Hit(_) => CacheOutcome::Hit,
            Self::Miss => CacheOutcome::Miss,
            Self::Failed => CacheOutcome::Failed,
        }
    }
}

/// Looks a key up. A value that this version can't read, or that can't be true, is a miss.
pub async fn look_up<H: Host, K: Layered>(exchange: &Exchange<H>, key: &K) -> Lookup<K::Read> {
    let text = key.text();
    let now_s = exchange.host.now().timestamp();
    if K::IS_REMEMBERED
        && let Some(value) = exchange.memory.recall(&text, now_s)
    {
        let begun = exchange.host.now() - exchange.started;
        exchange.timings.add(K::STAGE, begun, TimeDelta::zero());
        exchange.timings.describe(K::STAGE, "memory");
        return Lookup::Hit(value);
    }
    let lookup = read(exchange, key, &text).await;
    let description = match &lookup {
        Lookup::Hit(_) => "hit",
        Lookup::Miss => "miss",
        Lookup::Failed => "failed",
    };
    exchange.timings.describe(K::STAGE, description);
    if K::IS_REMEMBERED
        && let Lookup::Hit(value) = &lookup
    {
        let value = Rc::clone(value);
        exchange.memory.keep(text, value, now_s);
    }
    lookup
}

async fn read<H: Host, K: Layered>(exchange: &Exchange<H>, key: &K, text: &str) -> Lookup<K::Read> {
    let get = exchange.host.get(K::LAYER, text);
    let get = exchange.within(exchange.config.timeouts.cache_ms, get);
    match exchange.stage(K::STAGE, get).await {
        Ok(Some(bytes)) => match trusted(key, text, &bytes, exchange.host.now().timestamp()) {
            Ok(value) => Lookup::Hit(Rc::new(value.into())),
            Err(error) => {
                exchange.host.log(
                    Severity::Warning,
                    "cached value not to be trusted, made anew",
                    &[
                        ("request_id", exchange.request_id.to_string().into()),
                        ("layer", K::STAGE.into()),
                        ("error", error.to_string().into()),
                    ],
                );
                Lookup::Miss
            }
        },
        Ok(None) => Lookup::Miss,
        Err(error) => {
            exchange.warn(&format!("cache {} unavailable", K::STAGE), &error);
            Lookup::Failed
        }
    }
}

fn trusted<K: CacheKey>(
    key: &K,
    text: &str,
    bytes: &[u8],
    now_s: i64,
) -> Result<K::Value, CacheValueError> {
    let value = open(text, bytes)?;
    key.check(&value, now_s)?;
    Ok(value)
}

/// A place in a cache, for a value that is yet to be made.
pub struct Slot<V> {
    layer: Layer,
    stage: &'static str,
    text: String,
    ttl_s: u32,
    value: PhantomData<V>,
}

impl<V: CacheValue> Slot<V> {
    /// The place that a key names.
    pub fn of<K: Layered<Value = V>>(key: &K) -> Self {
        Self {
            layer: K::LAYER,
            stage: K::STAGE,
            text: key.text(),
            ttl_s: K::TTL_S,
            value: PhantomData,
        }
    }

    /// Keeps the value; the write holds up nobody.
    pub fn fill<H: Host>(self, host: &Rc<H>, value: &V) {
        let bytes = seal(&self.text, value);
        let writer = Rc::clone(host);
        host.spawn(Box::pin(async move {
            let put = writer.put(self.layer, &self.text, bytes, self.ttl_s);
            if let Err(error) = put.await {
                // Workers KV takes one write a second per key: of two askers at once, one may fail.
                writer.log(
                    Severity::Warning,
                    "value not cached",
                    &[
                        ("layer", self.stage.into()),
                        ("error", error.to_string().into()),
                    ],
                );
            }
        }));
    }
}
