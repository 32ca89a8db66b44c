//! `POST /api/chat/query`: the question and, for `Accept: application/json`, the whole answer.

mod filters;

pub use filters::{FilterError, MAX_FILTER_IDS, MAX_TIME_S, SearchFilters};

use crate::{
    cache::AnswerId,
    conversation::Turn,
    feedback::CuratedBy,
    ids::{ChatSessionId, ChunkId, DocumentId, RequestId},
};
use serde::{Deserialize, Serialize};

/// The longest question, in Unicode scalar values.
pub const MAX_QUERY_CHARS: usize = 2_000;

/// A question to the library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatQuery {
    /// What the person asks; 1 to [`MAX_QUERY_CHARS`] characters.
    pub query: String,
    /// Narrows the search.
    #[serde(default)]
    pub filters: SearchFilters,
    /// The conversation that it belongs to; none: nothing is remembered of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<ChatSessionId>,
}

/// What a cache layer contributed to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheOutcome {
    /// The value came from the cache.
    Hit,
    /// The value was made for this request.
    Miss,
    /// The layer was not asked, since a later one had the answer.
    Skipped,
    /// The cache failed or timed out; the value was made for this request.
    Failed,
}

/// The outcome of each cache layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheReport {
    /// Scope version of the caller.
    pub scope: CacheOutcome,
    /// Search results.
    pub search: CacheOutcome,
    /// Query embedding.
    pub embedding: CacheOutcome,
    /// Whole answer.
    pub answer: CacheOutcome,
}

/// A part that failed while the question was answered all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Degradation {
    /// The reranker failed: sources are ordered by fusion score.
    RerankerUnavailable,
    /// A cache failed or timed out.
    CacheUnavailable,
    /// The embedding service failed: the search was by words alone.
    EmbeddingUnavailable,
}

/// A passage that the answer was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub document_title: String,
    /// First page of the passage, from 1.
    pub page_start: u32,
    /// Last page of the passage.
    pub page_end: u32,
    /// The heading that the passage stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Relevance from 0 to 1 by the reranker; absent where it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// Words of a page that carry a claim of the answer. The quote stands on that page: checked by the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The number shown to the reader, from 1; the same words of a page always get the same number.
    pub marker: u32,
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub document_title: String,
    /// The page on which all quoted words stand, from 1.
    pub page: u32,
    /// The words, as extracted from the page.
    pub quote: String,
    /// Their first character in the text of the page, which counts Unicode scalar values.
    #[serde(default)]
    pub start_char: u32,
    /// One past the last of them.
    #[serde(default)]
    pub end_char: u32,
    /// Where they are printed: left, top, right and bottom of each line in tenths of a point, from the upper left corner
    /// of the page as a reader sees it. Empty where nobody knows.
    #[serde(default)]
    pub areas: Vec<[u32; 4]>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// The model said all it wanted to.
    Complete,
    /// The model reached its token limit.
    Length,
    /// The library does not cover the question.
    NotCovered,
    /// The model declined.
    Declined,
}

/// Tokens that the model read and wrote, and what they cost. Zero where no model was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in the prompt.
    pub input_tokens: u32,
    /// Tokens in the answer, those that the model thought with among them.
    pub output_tokens: u32,
    /// Tokens of the prompt that the model service had in its cache of prompts.
    #[serde(default)]
    pub cache_read_tokens: u32,
    /// Tokens of the prompt that it put there.
    #[serde(default)]
    pub cache_write_tokens: u32,
    /// Millionths of a US dollar, rounded up; absent where the origin knows no prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_microusd: Option<u64>,
}

/// The whole answer as one JSON object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatAnswer {
    /// The request, to quote in a report.
    pub request_id: RequestId,
    /// Which answer this is, to have it purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_id: Option<AnswerId>,
    /// Its place in a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// The text, with `[n]` where citation `n` stands.
    pub answer: String,
    /// In order of marker, without repeats.
    pub citations: Vec<Citation>,
    /// The passages that the model was given, best first.
    pub sources: Vec<Source>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why the answer ended.
    pub finish_reason: FinishReason,
    /// Tokens used for this very answer when it was made.
    pub usage: Usage,
    /// The teacher whose own answer it is, in place of one from the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated_by: Option<CuratedBy>,
    /// Where the parts came from.
    pub cache: CacheReport,
    /// What failed on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<Degradation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_from_before_caches_and_prices_is_read() {
        let usage: Usage = serde_json::from_str(r#"{"input_tokens":9,"output_tokens":4}"#).unwrap();
        let expected = Usage {
            input_tokens: 9,
            output_tokens: 4,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }
}
