//! Typed cache keys. A key owns its prefix, version, value type and lifetime; its text is pinned by a test.
//!
//! Every variable part is hashed with its length before it, so no two sets of parts share a key. The
//! version in the prefix is that of the key's parts and of the value's form: whoever changes either makes
//! a new one, so that a value of another version is never found.

mod answer;
mod seal;

pub use answer::{
    AnswerId, AnswerIdError, AnswerKey, AnswerPiece, MAX_STORED_BYTES, StoredAnswer,
    answer_key_text,
};
pub use seal::{open, seal};

use crate::{
    chat::{SearchFilters, Source},
    embedding::{Embedding, EmbeddingError},
    ids::{CuratedAnswerId, UserId},
    origin::{ANSWER_PASSAGES, Scope, ScopeVersion},
    purge::MAX_PURGED_ANSWERS,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why bytes from a cache are not a value to trust. Callers treat it as a miss.
#[derive(Debug, Error)]
pub enum CacheValueError {
    /// Not the bytes that were written under this key.
    #[error("the cached value is damaged, or was written under another key")]
    Seal,
    /// Not the JSON of this value.
    #[error("the cached value is not valid JSON of its type")]
    Json(#[from] serde_json::Error),
    /// Not an embedding.
    #[error("the cached value is not an embedding")]
    Embedding(#[from] EmbeddingError),
    /// Nothing that could have been written: what is wrong with it.
    #[error("the cached value can't be: {0}")]
    Untrue(&'static str),
}

/// A value that a cache can hold as bytes.
pub trait CacheValue: Sized + 'static {
    /// The bytes to store.
    fn encode(&self) -> Vec<u8>;
    /// Reads stored bytes; refuses what this version did not write and what can't be true.
    fn decode(bytes: &[u8]) -> Result<Self, CacheValueError>;
}

/// A key of one cache layer.
pub trait CacheKey {
    /// What the layer holds.
    type Value: CacheValue;
    /// Seconds that a value lives.
    const TTL_S: u32;
    /// The key's text, below 512 bytes.
    fn text(&self) -> String;
    /// Whether a value can be the one behind this very key, at the time `now_s` in seconds since 1970.
    fn check(&self, value: &Self::Value, now_s: i64) -> Result<(), CacheValueError> {
        let _ = (value, now_s);
        Ok(())
    }
}

/// Refuses a value unless something is so.
fn ensure(is_so: bool, otherwise: &'static str) -> Result<(), CacheValueError> {
    if is_so {
        Ok(())
    } else {
        Err(CacheValueError::Untrue(otherwise))
    }
}

fn is_hex_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// `embed:v1:` — the embedding of a normalised query by one model and pooling. 24 h.
pub struct EmbedKey<'a> {
    /// Model and pooling, e.g. `@cf/baai/bge-base-en-v1.5#cls`.
    pub embedding_model: &'a str,
    /// The normalised query.
    pub query: &'a str,
    /// The number of the last purge of everything.
    pub generation: u64,
}

impl CacheKey for EmbedKey<'_> {
    type Value = Embedding;
    const TTL_S: u32 = 24 * 60 * 60;
    fn text(&self) -> String {
        format!(
            "embed:v1:{}",
            digest(&[
                self.embedding_model.as_bytes(),
                self.query.as_bytes(),
                &self.generation.to_le_bytes(),
            ])
        )
    }
}

impl CacheValue for Embedding {
    fn encode(&self) -> Vec<u8> {
        self.to_bytes()
    }
    fn decode(bytes: &[u8]) -> Result<Self, CacheValueError> {
        let embedding = Self::from_bytes(bytes)?;
        let has_direction = embedding.as_slice().iter().any(|c| *c != 0.0);
        ensure(has_direction, "an embedding of length zero")?;
        Ok(embedding)
    }
}

/// `search:v1:` — the reranked passages for a query within one reader's scope. 1 h.
pub struct SearchKey<'a> {
    /// What the reader may see: without it, one reader's private text would reach another. It changes with
    /// every purge that concerns the reader.
    pub scope: &'a ScopeVersion,
    /// Model and pooling of the embedding, and the reranker.
    pub models: &'a str,
    /// The normalised query.
    pub query: &'a str,
    /// The filters.
    pub filters: &'a SearchFilters,
}

/// The value behind a [`SearchKey`]. It holds no text: the origin reads that again for each answer, and
/// what is not kept can't be shown to the wrong reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResults {
    /// Best first, at most [`ANSWER_PASSAGES`], each judged by the reranker.
    pub passages: Vec<FoundPassage>,
    /// The answer of a teacher's own that wins over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated: Option<CuratedAnswerId>,
}

/// A passage that was found for a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundPassage {
    /// The passage as a reader is told of it.
    pub source: Source,
    /// SHA-256 of its text, lower-case hex.
    pub content_sha256: String,
    /// The number of the last purge of its owner's corpus; zero for none.
    pub generation: u64,
}

impl SearchResults {
    fn checked(self) -> Result<Self, CacheValueError> {
        let passages = &self.passages;
        ensure(passages.len() <= ANSWER_PASSAGES, "too many passages")?;
        let mut last_score = 1.0;
        for (
            at,
            FoundPassage {
                source,
                content_sha256,
                ..
            },
        ) in passages.iter().enumerate()
        {
            ensure(source.page_start >= 1, "a page before the first")?;
            ensure(source.page_start <= source.page_end, "pages in reverse")?;
            ensure(is_hex_digest(content_sha256), "a hash that is none")?;
            let score = source.score.filter(|score| is_share(*score));
            let score = score.ok_or(CacheValueError::Untrue("a passage without relevance"))?;
            ensure(score <= last_score, "a better passage behind a worse one")?;
            last_score = score;
            let mut before = passages[..at].iter();
            let is_new = before.all(|other| other.source.chunk_id != source.chunk_id);
            ensure(is_new, "a passage twice")?;
        }
        Ok(self)
    }
}

impl CacheKey for SearchKey<'_> {
    type Value = SearchResults;
    const TTL_S: u32 = 60 * 60;
    fn text(&self) -> String {
        // Canonical: the same set of filters is the same search.
        let mut filters = self.filters.canonical();
        let ids = filters.document_ids.iter();
        let ids: Vec<u8> = ids.flat_map(|id| *id.0.as_bytes()).collect();
        filters.document_ids.clear();
        let others = json(&filters);
        let mut parts = vec![
            self.scope.scope_version.as_bytes(),
            self.models.as_bytes(),
            self.query.as_bytes(),
            &ids,
        ];
        if others != b"{}" {
            parts.push(&others);
        }
        format!("search:v1:{}", digest(&parts))
    }
}

/// The bound on staleness, in seconds: a question is answered from what its reader could read at
/// some moment since so long before it was asked, and from all that the reader could read ever
/// since then. Nothing that was purged longer ago than that is served.
///
/// It bounds the age of a reader's scope, through which alone cached passages and answers are
/// reached. What is made anew is made under the rights of that very moment.
pub const STALENESS_BOUND_S: u32 = ScopeKey::TTL_S;

/// `scope:v1:` — the scope of one person. 60 s: the bound on staleness everywhere.
pub struct ScopeKey {
    /// The person.
    pub user_id: UserId,
}

/// The value behind a [`ScopeKey`]. It carries its own age: a store that hands out a value beyond its
/// lifetime (Workers KV keeps reads near the reader for a while) must not extend anybody's rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeReading {
    /// What the origin said.
    pub scope: Scope,
    /// When it said so, in seconds since 1970.
    pub read_at_s: i64,
}

impl ScopeReading {
    /// Whether the reading is still within its lifetime at the time `now_s`.
    #[must_use]
    pub fn is_fresh(&self, now_s: i64) -> bool {
        now_s
            .checked_sub(self.read_at_s)
            .is_some_and(|age_s| (0..i64::from(ScopeKey::TTL_S)).contains(&age_s))
    }

    fn checked(self) -> Result<Self, CacheValueError> {
        let Scope { version, purges } = &self.scope;
        ensure(
            is_hex_digest(&version.scope_version),
            "a scope version that is none",
        )?;
        ensure(
            purges.everything <= purges.reader,
            "a reader spared by a purge of everything",
        )?;
        ensure(
            purges.answers.len() <= MAX_PURGED_ANSWERS,
            "too many purged answers",
        )?;
        Ok(self)
    }
}

impl CacheKey for ScopeKey {
    type Value = ScopeReading;
    const TTL_S: u32 = 60;
    fn text(&self) -> String {
        format!("scope:v1:{}", self.user_id)
    }
    fn check(&self, value: &ScopeReading, now_s: i64) -> Result<(), CacheValueError> {
        ensure(value.read_at_s <= now_s, "a scope read in the future")
    }
}

macro_rules! json_value {
    ($($type:ty),+) => {$(
        impl CacheValue for $type {
            fn encode(&self) -> Vec<u8> {
                json(self)
            }
            fn decode(bytes: &[u8]) -> Result<Self, CacheValueError> {
                from_json::<Self>(bytes)?.checked()
            }
        }
    )+};
}
json_value!(SearchResults, StoredAnswer, ScopeReading);

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // String keys and finite numbers only: always serialises. An empty value reads back as a miss.
    serde_json::to_vec(value).unwrap_or_default()
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CacheValueError> {
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests;
