//! Typed cache keys. A key owns its prefix, version, value type and lifetime; its text is pinned by a test.
//!
//! Every variable part is hashed with its length before it, so no two sets of parts share a key.

use crate::{
    chat::{Citation, FinishReason, SearchFilters, Usage},
    embedding::{Embedding, EmbeddingError},
    ids::{ChunkId, UserId},
    origin::{Passage, ScopeVersion},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why bytes from a cache are not a value. Callers treat it as a miss.
#[derive(Debug, Error)]
pub enum CacheValueError {
    /// Not the JSON of this value.
    #[error("the cached value is not valid JSON of its type")]
    Json(#[from] serde_json::Error),
    /// Not an embedding.
    #[error("the cached value is not an embedding")]
    Embedding(#[from] EmbeddingError),
}

/// A value that a cache can hold as bytes.
pub trait CacheValue: Sized {
    /// The bytes to store.
    fn encode(&self) -> Vec<u8>;
    /// Reads stored bytes; refuses what this version did not write.
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
}

impl CacheKey for EmbedKey<'_> {
    type Value = Embedding;
    const TTL_S: u32 = 24 * 60 * 60;
    fn text(&self) -> String {
        format!(
            "embed:v1:{}",
            digest(&[self.embedding_model.as_bytes(), self.query.as_bytes()])
        )
    }
}

impl CacheValue for Embedding {
    fn encode(&self) -> Vec<u8> {
        self.to_bytes()
    }
    fn decode(bytes: &[u8]) -> Result<Self, CacheValueError> {
        Ok(Self::from_bytes(bytes)?)
    }
}

/// `search:v1:` — the reranked passages for a query within one reader's scope. 1 h.
pub struct SearchKey<'a> {
    /// What the reader may see: without it, one reader's private text would reach another.
    pub scope: &'a ScopeVersion,
    /// Model and pooling of the embedding, and the reranker.
    pub models: &'a str,
    /// The normalised query.
    pub query: &'a str,
    /// The filters.
    pub filters: &'a SearchFilters,
}

/// The value behind a [`SearchKey`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResults {
    /// Best first, at most [`crate::origin::ANSWER_PASSAGES`].
    pub passages: Vec<Passage>,
}

impl CacheKey for SearchKey<'_> {
    type Value = SearchResults;
    const TTL_S: u32 = 60 * 60;
    fn text(&self) -> String {
        // Document ids are sorted: the same set of filters is the same search.
        let mut ids = self.filters.document_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let ids: Vec<u8> = ids.iter().flat_map(|id| *id.0.as_bytes()).collect();
        format!(
            "search:v1:{}",
            digest(&[
                self.scope.scope_version.as_bytes(),
                self.models.as_bytes(),
                self.query.as_bytes(),
                &ids,
            ])
        )
    }
}

/// `llm:v1:` — a complete answer to a query from exactly these passages. 24 h.
pub struct AnswerKey<'a> {
    /// Model and prompt version, e.g. `claude-haiku-4-5@20251001/prompt-1`.
    pub model: &'a str,
    /// The normalised query.
    pub query: &'a str,
    /// Passages in order, each with the hash of its text.
    pub passages: &'a [(ChunkId, &'a str)],
}

/// The value behind an [`AnswerKey`]: the answer as its pieces, so that it can be replayed as events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// Text and citations in order.
    pub pieces: Vec<AnswerPiece>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens it took.
    pub usage: Usage,
}

/// A piece of a stored answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerPiece {
    /// Text.
    Text(String),
    /// A citation of the text before it.
    Citation(Citation),
}

impl CacheKey for AnswerKey<'_> {
    type Value = StoredAnswer;
    const TTL_S: u32 = 24 * 60 * 60;
    fn text(&self) -> String {
        let passages: Vec<u8> = self
            .passages
            .iter()
            .flat_map(|(id, hash)| [&id.0.as_bytes()[..], hash.as_bytes()].concat())
            .collect();
        format!(
            "llm:v1:{}",
            digest(&[self.model.as_bytes(), self.query.as_bytes(), &passages])
        )
    }
}

/// The bound on staleness, in seconds: a question is answered from what its reader could read at
/// some moment since so long before it was asked, and from all that the reader could read ever
/// since then.
///
/// It bounds the age of a reader's scope version, through which alone cached passages and answers
/// are reached. What is made anew is made under the rights of that very moment.
pub const STALENESS_BOUND_S: u32 = ScopeKey::TTL_S;

/// `scope:v1:` — the scope version of one person. 60 s: the bound on staleness everywhere.
pub struct ScopeKey {
    /// The person.
    pub user_id: UserId,
}

/// The value behind a [`ScopeKey`]. It carries its own age: a store that hands out a value beyond its
/// lifetime (Workers KV keeps reads near the reader for a while) must not extend anybody's rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeReading {
    /// What the origin said.
    pub scope: ScopeVersion,
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
}

impl CacheKey for ScopeKey {
    type Value = ScopeReading;
    const TTL_S: u32 = 60;
    fn text(&self) -> String {
        format!("scope:v1:{}", self.user_id)
    }
}

macro_rules! json_value {
    ($($type:ty),+) => {$(
        impl CacheValue for $type {
            fn encode(&self) -> Vec<u8> {
                json(self)
            }
            fn decode(bytes: &[u8]) -> Result<Self, CacheValueError> {
                from_json(bytes)
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
mod tests {
    use super::*;
    use crate::ids::DocumentId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn search_key(scope: &str, query: &str, documents: Vec<DocumentId>) -> String {
        SearchKey {
            scope: &ScopeVersion {
                scope_version: scope.into(),
            },
            models: "m",
            query,
            filters: &SearchFilters {
                document_ids: documents,
            },
        }
        .text()
    }

    #[test]
    fn the_text_of_every_key_is_pinned() {
        let id = Uuid::from_u128(7);
        let keys = [
            EmbedKey {
                embedding_model: "@cf/baai/bge-base-en-v1.5#cls",
                query: "what is legato",
            }
            .text(),
            search_key("s1", "what is legato", vec![DocumentId(id)]),
            AnswerKey {
                model: "m/prompt-1",
                query: "what is legato",
                passages: &[(ChunkId(id), "ab")],
            }
            .text(),
            ScopeKey {
                user_id: UserId(id),
            }
            .text(),
        ];
        insta::assert_snapshot!(keys.join("\n"));
    }

    #[test]
    fn two_readers_with_different_scopes_never_share_a_search() {
        assert_ne!(
            search_key("a", "legato", vec![]),
            search_key("b", "legato", vec![])
        );
    }

    #[test]
    fn the_order_of_filtered_documents_does_not_matter() {
        let (a, b) = (
            DocumentId(Uuid::from_u128(1)),
            DocumentId(Uuid::from_u128(2)),
        );
        assert_eq!(
            search_key("s", "q", vec![a, b]),
            search_key("s", "q", vec![b, a, b])
        );
    }

    #[test]
    fn a_scope_reading_ends_after_a_minute_whoever_kept_it() {
        let reading = ScopeReading {
            scope: ScopeVersion {
                scope_version: "s".into(),
            },
            read_at_s: 1_000,
        };
        assert!(reading.is_fresh(1_000) && reading.is_fresh(1_059));
        assert!(!reading.is_fresh(1_060) && !reading.is_fresh(999));
    }

    proptest! {
        #[test]
        fn moving_a_boundary_between_parts_changes_the_key(a in ".{0,12}", b in ".{1,12}") {
            let joined = EmbedKey { embedding_model: &format!("{a}{b}"), query: "" }.text();
            prop_assert_ne!(joined, EmbedKey { embedding_model: &a, query: &b }.text());
        }

        #[test]
        fn foreign_bytes_are_a_miss_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SearchResults::decode(&bytes);
            let _ = StoredAnswer::decode(&bytes);
            let _ = ScopeReading::decode(&bytes);
        }
    }
}
