//! What the edge and the origin say to each other. Every call carries the caller's own
//! `Authorization` header beside [`crate::headers::EDGE_TOKEN`].

use crate::{
    cache::FoundPassage,
    chat::{SearchFilters, Source},
    embedding::Embedding,
    ids::{ChunkId, CuratedAnswerId, DocumentId, UserId},
    purge::Purges,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Passages that `/v1/retrieve` returns at most.
pub const RETRIEVE_LIMIT: usize = 20;
/// Passages that the model is given at most.
pub const ANSWER_PASSAGES: usize = 3;

/// `GET /v1/scope`: what the caller may read right now, and what is not to be served to the caller again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ScopeFields", into = "ScopeFields")]
pub struct Scope {
    /// What may be read; `scope_version` on the wire.
    pub version: ScopeVersion,
    /// The purges that concern the caller.
    pub purges: Purges,
}

#[derive(Clone, Serialize, Deserialize)]
struct ScopeFields {
    scope_version: String,
    #[serde(default)]
    purges: Purges,
}

impl From<ScopeFields> for Scope {
    fn from(fields: ScopeFields) -> Self {
        Self {
            version: ScopeVersion {
                scope_version: fields.scope_version,
            },
            purges: fields.purges,
        }
    }
}

impl From<Scope> for ScopeFields {
    fn from(scope: Scope) -> Self {
        Self {
            scope_version: scope.version.scope_version,
            purges: scope.purges,
        }
    }
}

/// A digest of everything that a person may read at a moment, and of the purges that concern it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScopeVersion {
    /// 64 lower-case hex digits; opaque.
    pub scope_version: String,
}

/// `POST /v1/retrieve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// The normalised question.
    pub query: String,
    /// Its embedding; without one the search is by words alone.
    pub embedding: Option<Embedding>,
    /// Model and pooling that made the embedding, e.g. `@cf/baai/bge-base-en-v1.5#cls`.
    pub embedding_model: String,
    /// Narrows the search.
    #[serde(default)]
    pub filters: SearchFilters,
}

/// How a passage came to its place. Ranks from 1; absent where a list does not hold the passage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scoring {
    /// Rank by vector distance.
    pub vector_rank: Option<u32>,
    /// Cosine distance, 0 to 2.
    pub vector_distance: Option<f64>,
    /// Rank by words.
    pub lexical_rank: Option<u32>,
    /// BM25 score.
    pub lexical_score: Option<f64>,
    /// What the origin's order is by, the larger the better: comparable within one response only.
    pub fused_score: f64,
}

/// A passage that the caller may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub document_title: String,
    /// First page, from 1.
    pub page_start: u32,
    /// Last page.
    pub page_end: u32,
    /// The heading that the passage stands under.
    pub section: Option<String>,
    /// The text.
    pub content: String,
    /// SHA-256 of `content`, lower-case hex: part of the answer cache's key.
    pub content_sha256: String,
    /// The number of the last purge of its owner's corpus; zero for none.
    #[serde(default)]
    pub generation: u64,
    /// How it came to its place.
    pub scoring: Scoring,
}

/// The reply of `POST /v1/retrieve`, best passage first, at most [`RETRIEVE_LIMIT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrieveResponse {
    /// The passages.
    pub passages: Vec<Passage>,
    /// The answer to this question that a teacher of the caller's, or the caller, wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated: Option<CuratedAnswerId>,
    /// What the caller could read in the very snapshot that was searched. The edge files the
    /// passages under this, never under what it remembers of the caller's rights.
    pub scope: Scope,
}

/// A [`RetrieveResponse`] as the edge reads it: in place, since most passages are looked at once and let go.
#[derive(Debug, Deserialize)]
pub struct Candidates<'a> {
    /// The passages.
    #[serde(borrow)]
    pub passages: Vec<Candidate<'a>>,
    /// See [`RetrieveResponse::curated`].
    #[serde(default)]
    pub curated: Option<CuratedAnswerId>,
    /// See [`RetrieveResponse::scope`].
    pub scope: Scope,
}

/// What the edge needs of a [`Passage`].
#[derive(Debug, Deserialize)]
pub struct Candidate<'a> {
    chunk_id: ChunkId,
    document_id: DocumentId,
    #[serde(borrow)]
    document_title: Cow<'a, str>,
    page_start: u32,
    page_end: u32,
    section: Option<String>,
    /// The text.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    #[serde(borrow)]
    content_sha256: Cow<'a, str>,
    #[serde(default)]
    generation: u64,
}

impl Candidate<'_> {
    /// The passage as a reader is told of it and a search is remembered by it, with its relevance by the reranker.
    #[must_use]
    pub fn into_found(self, rerank_score: Option<f64>) -> FoundPassage {
        FoundPassage {
            source: Source {
                chunk_id: self.chunk_id,
                document_id: self.document_id,
                document_title: self.document_title.into_owned(),
                page_start: self.page_start,
                page_end: self.page_end,
                section: self.section,
                score: rerank_score,
            },
            content_sha256: self.content_sha256.into_owned(),
            generation: self.generation,
        }
    }
}

/// A passage chosen for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenPassage {
    /// The passage. The origin reads its text again, under the caller's own rights.
    pub chunk_id: ChunkId,
    /// Relevance by the reranker; absent where it did not answer.
    pub rerank_score: Option<f64>,
}

/// `POST /v1/answer`; the reply is a stream of [`crate::event::AnswerEvent`]s without `meta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// The question as the person wrote it.
    pub query: String,
    /// Best first, at most [`ANSWER_PASSAGES`]. None means: nothing was found.
    pub passages: Vec<ChosenPassage>,
    /// The answer of a teacher's own that is to be told in place of one from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated: Option<CuratedAnswerId>,
}

/// `GET /v1/documents/{id}/file`: a file that the caller may have, and where it lies. For the edge,
/// which sends it; the caller is not told the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFile {
    /// Its key in the library bucket.
    pub key: String,
    /// The name it was uploaded under.
    pub file_name: String,
    /// As what a browser takes it: a media type.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hex digits.
    pub sha256: String,
    /// When it was announced, in seconds since 1970: it never changes after that. A number, since
    /// reading dates would make the edge's module a good deal larger.
    pub announced_at_s: i64,
}

/// The reply to whatever changes who may read what: a document is changed or deleted, a relationship begins or ends, an
/// account goes. For the edge, which drops the scopes of `readers` and passes on `reply`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What the caller is told: JSON, which the edge has no use for; empty for nothing (204).
    pub reply: String,
    /// Those whose scope has changed and who can be named: everybody whom a private document concerned or concerns.
    pub readers: Vec<UserId>,
}

/// `POST /internal/scope/invalidate` at the edge: forget what these people may read, at once.
/// Authorised by [`crate::headers::EDGE_TOKEN`] alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidateScopes {
    /// At most 1,000 people.
    pub user_ids: Vec<UserId>,
}

/// `GET /api/health`, at the edge and at the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `degraded` where a part does not answer.
    pub status: String,
    /// The running version.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_edge_reads_what_the_origin_writes() {
        let written = RetrieveResponse {
            passages: vec![Passage {
                chunk_id: ChunkId(Uuid::from_u128(1)),
                document_id: DocumentId(Uuid::from_u128(2)),
                document_title: "Czerny \"Op. 740\"".into(),
                page_start: 4,
                page_end: 5,
                section: Some("Trills".into()),
                content: "Slowly\nat first: 𝆖".into(),
                content_sha256: "ab".repeat(32),
                generation: 7,
                scoring: Scoring {
                    vector_rank: Some(1),
                    fused_score: 0.5,
                    ..Scoring::default()
                },
            }],
            curated: None,
            scope: Scope {
                version: ScopeVersion {
                    scope_version: "5c".repeat(32),
                },
                purges: Purges::default(),
            },
        };
        let json = serde_json::to_string(&written).unwrap();
        let mut read: Candidates<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(read.scope, written.scope);
        let (candidate, passage) = (read.passages.remove(0), &written.passages[0]);
        assert_eq!(candidate.content, passage.content);
        let found = candidate.into_found(Some(0.8));
        let source = Source {
            chunk_id: passage.chunk_id,
            document_id: passage.document_id,
            document_title: passage.document_title.clone(),
            page_start: 4,
            page_end: 5,
            section: passage.section.clone(),
            score: Some(0.8),
        };
        assert_eq!(found.source, source);
        assert_eq!(found.content_sha256, passage.content_sha256);
        assert_eq!(found.generation, 7);
    }
}
