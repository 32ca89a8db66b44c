//! Complete answers.

use super::{CacheKey, CacheValueError, FoundPassage, digest, ensure, is_hex_digest, is_share};
use crate::{
    chat::{Citation, FinishReason, Usage},
    feedback::CuratedBy,
    ids::CuratedAnswerId,
    purge::Purges,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The most text that an answer may have, in bytes; a longer one is shown and never stored.
pub const MAX_STORED_BYTES: usize = 64 * 1024;

/// Which answer: a digest of everything that it was made from. Everybody who is shown the answer is told
/// it, so that it can be purged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AnswerId(String);

/// Why a text is no [`AnswerId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the id of an answer has 64 lower-case hexadecimal digits")]
pub struct AnswerIdError;

impl AnswerId {
    /// 64 lower-case hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AnswerId {
    type Error = AnswerIdError;
    fn try_from(text: String) -> Result<Self, AnswerIdError> {
        if is_hex_digest(&text) {
            Ok(Self(text))
        } else {
            Err(AnswerIdError)
        }
    }
}

impl FromStr for AnswerId {
    type Err = AnswerIdError;
    fn from_str(text: &str) -> Result<Self, AnswerIdError> {
        text.to_owned().try_into()
    }
}

impl From<AnswerId> for String {
    fn from(id: AnswerId) -> Self {
        id.0
    }
}

impl fmt::Display for AnswerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `llm:v1:` — a complete answer to a query from exactly these passages. 24 h.
///
/// A purge that concerns the answer changes the key: one of everything, of the reader's scope or of a
/// passage's owner through the id, one of this answer alone by its number behind the id. Whoever was making
/// an answer meanwhile files it under the key from before.
pub struct AnswerKey<'a> {
    id: AnswerId,
    passages: &'a [FoundPassage],
    purged: Option<u64>,
}

impl<'a> AnswerKey<'a> {
    /// The key of the answer by `model` (model and prompt version, e.g.
    /// `claude-haiku-4-5@20251001/prompt-2`) to a normalised query from passages in this order, or of a teacher's own that
    /// wins over them.
    #[must_use]
    pub fn new(
        model: &str,
        query: &str,
        passages: &'a [FoundPassage],
        curated: Option<CuratedAnswerId>,
        purges: &Purges,
    ) -> Self {
        let made_from: Vec<u8> = passages
            .iter()
            .flat_map(|passage| {
                let id = passage.source.chunk_id.0.as_bytes();
                let generation = passage.generation.to_le_bytes();
                [&id[..], passage.content_sha256.as_bytes(), &generation].concat()
            })
            .collect();
        let generation = purges.reader.to_le_bytes();
        let mut parts = vec![model.as_bytes(), query.as_bytes(), &generation, &made_from];
        let curated = curated.map(|id| *id.0.as_bytes());
        if let Some(id) = &curated {
            parts.push(id);
        }
        let id = AnswerId(digest(&parts));
        Self {
            purged: purges.of_answer(&id),
            id,
            passages,
        }
    }

    /// The answer's id.
    #[must_use]
    pub fn id(&self) -> &AnswerId {
        &self.id
    }
}

/// The text of the key of an answer whose last purge has this number.
#[must_use]
pub fn answer_key_text(id: &AnswerId, purged: Option<u64>) -> String {
    match purged {
        None => format!("llm:v1:{id}"),
        Some(number) => format!("llm:v1:{id}.{number}"),
    }
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
    /// The teacher whose own answer it is, in place of one from the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated_by: Option<CuratedBy>,
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

impl StoredAnswer {
    /// Whether the answer may be kept: it came to its own end, and has text, but not too much of it.
    #[must_use]
    pub fn is_storable(&self) -> bool {
        let text_bytes = |piece: &AnswerPiece| match piece {
            AnswerPiece::Text(text) => text.len(),
            AnswerPiece::Citation(citation) => citation.quote.len(),
        };
        let is_text = |piece: &AnswerPiece| matches!(piece, AnswerPiece::Text(text) if !text.trim().is_empty());
        let came_to_its_end = matches!(
            self.finish_reason,
            FinishReason::Complete | FinishReason::NotCovered
        );
        came_to_its_end
            && self.pieces.iter().any(is_text)
            && self.pieces.iter().map(text_bytes).sum::<usize>() <= MAX_STORED_BYTES
    }

    /// Its citations, in order.
    pub fn citations(&self) -> impl Iterator<Item = &Citation> {
        self.pieces.iter().filter_map(|piece| match piece {
            AnswerPiece::Citation(citation) => Some(citation),
            AnswerPiece::Text(_) => None,
        })
    }

    pub(super) fn checked(self) -> Result<Self, CacheValueError> {
        ensure(self.is_storable(), "an answer that is never stored")?;
        ensure(is_share(self.confidence), "confidence beyond its range")?;
        let mut markers = 0;
        for citation in self.citations() {
            let is_known = (1..=markers).contains(&citation.marker);
            ensure(
                is_known || citation.marker == markers + 1,
                "a citation out of its turn",
            )?;
            markers = markers.max(citation.marker);
        }
        Ok(self)
    }
}

impl CacheKey for AnswerKey<'_> {
    type Value = StoredAnswer;
    const TTL_S: u32 = 24 * 60 * 60;
    fn text(&self) -> String {
        answer_key_text(&self.id, self.purged)
    }
    fn check(&self, value: &StoredAnswer, _: i64) -> Result<(), CacheValueError> {
        let is_from = |citation: &Citation, FoundPassage { source, .. }: &FoundPassage| {
            let pages = source.page_start..=source.page_end;
            citation.chunk_id == source.chunk_id
                && citation.document_id == source.document_id
                && pages.contains(&citation.page)
        };
        let mut citations = value.citations();
        let is_founded = citations.all(|citation| {
            let mut passages = self.passages.iter();
            passages.any(|passage| is_from(citation, passage))
        });
        ensure(is_founded, "a citation of another passage")
    }
}
