//! A question whose every part is in the caches, and one of which only the embedding is.

use crate::clock;
use anyhow::Context;
use rag_core::{answer::replay, query::normalise};
use shared_types::{
    cache::{
        AnswerKey, AnswerPiece, CacheKey, CacheValue, EmbedKey, FoundPassage, ScopeKey,
        ScopeReading, SearchKey, SearchResults, StoredAnswer, seal,
    },
    chat::{Citation, FinishReason, SearchFilters, Source, Usage},
    embedding::{DIMENSIONS, Embedding},
    event::to_numbered_sse,
    ids::{ChunkId, DocumentId, UserId},
    origin::{Passage, Scope, ScopeVersion, Scoring},
    purge::Purges,
};
use std::{fs, path::Path};
use uuid::Uuid;

/// Who asks.
pub const PERSON: UserId = UserId(Uuid::from_u128(0xE7DE));
/// Asked before: answered out of the caches.
pub const KNOWN: &str = "On which beat do I release the pedal in a light waltz?";
/// Its embedding is known, and nothing else.
pub const EMBEDDED: &str = "How do I keep the left hand soft under a singing melody?";

/// The names of the models, as `wrangler.toml` has them.
pub struct Models {
    /// Model and pooling of the embeddings.
    pub embedding_space: String,
    /// The reranker.
    pub rerank: String,
    /// Model and prompt version of the answers.
    pub answer: String,
}

/// What the origin says, and the scope cache holds.
#[must_use]
pub fn scope() -> Scope {
    scope_of("5c")
}

/// A scope whose version repeats two hexadecimal digits.
#[must_use]
pub fn scope_of(digits: &str) -> Scope {
    Scope {
        version: ScopeVersion {
            scope_version: digits.repeat(32),
        },
        purges: Purges::default(),
    }
}

/// The caches of one Worker: each a folder that has the name of its binding, below one folder.
pub struct Store<'a> {
    /// The folder of all.
    pub folder: &'a Path,
    /// Whether a sum stands behind each value, as the product writes it.
    pub is_sealed: bool,
}

impl Store<'_> {
    /// Fills the caches. Keys and values are those of the product.
    pub fn fill(&self, models: &Models) -> anyhow::Result<()> {
        let known = normalise(KNOWN)?;
        let passages: Vec<Passage> = (0..3).map(passage).collect();
        let found: Vec<_> = passages.iter().map(found).collect();
        let answer = AnswerKey::new(&models.answer, &known, &found, None, &scope().purges);
        self.write("ANSWER_CACHE", &answer, &stored_answer(&passages))?;
        let search = SearchKey {
            scope: &scope().version,
            models: &format!("{} {}", models.embedding_space, models.rerank),
            query: &known,
            filters: &SearchFilters::default(),
        };
        let results = SearchResults {
            passages: found.clone(),
            curated: None,
        };
        self.write("SEARCH_CACHE", &search, &results)?;
        for question in [KNOWN, EMBEDDED] {
            let key = EmbedKey {
                embedding_model: &models.embedding_space,
                query: &normalise(question)?,
                generation: 0,
            };
            self.write("EMBED_CACHE", &key, &embedding()?)?;
        }
        self.refresh()
    }

    /// Renews the scope, which lives for a minute.
    pub fn refresh(&self) -> anyhow::Result<()> {
        let reading = ScopeReading {
            scope: scope(),
            read_at_s: clock::now_s(),
        };
        self.write("SCOPE_CACHE", &ScopeKey { user_id: PERSON }, &reading)
    }

    fn write<K: CacheKey>(&self, cache: &str, key: &K, value: &K::Value) -> anyhow::Result<()> {
        let text = key.text();
        let bytes = if self.is_sealed {
            seal(&text, value)
        } else {
            value.encode()
        };
        let folder = self.folder.join(cache);
        // Renamed into place: a reader sees the old value or the new one.
        let unfinished = folder.join("unfinished");
        fs::write(&unfinished, bytes)?;
        let path = folder.join(text);
        fs::rename(&unfinished, &path).with_context(|| path.display().to_string())
    }
}

fn embedding() -> anyhow::Result<Embedding> {
    let components = (0..DIMENSIONS).map(|n| (n as f32 * 0.37).sin() / 28.0);
    Ok(Embedding::new(components.collect())?)
}

/// Passage `n` of the library: as long as the sample library's are.
#[must_use]
pub fn passage(n: u32) -> Passage {
    let sentence = "In a light waltz the pedal goes down with the bass on the first beat and comes \
                    up before the third, so that the two lighter chords stay dry and the dance keeps \
                    its lift. ";
    let id = Uuid::from_u128(0x1000 + u128::from(n));
    Passage {
        chunk_id: ChunkId(id),
        document_id: DocumentId(Uuid::from_u128(0x2000 + u128::from(n) / 2)),
        document_title: "Pedalling: from the first pedal to half pedal".into(),
        page_start: 4 + n,
        page_end: 4 + n,
        section: Some("Pedal in dances".into()),
        content: sentence.repeat(9),
        content_sha256: format!("{n:064x}"),
        generation: 0,
        scoring: Scoring {
            vector_rank: Some(n + 1),
            vector_distance: Some(0.18 + f64::from(n) / 97.0),
            lexical_rank: Some(2 * n + 1),
            lexical_score: Some(11.5 / f64::from(n + 1)),
            fused_score: 2.0 / f64::from(61 + n),
        },
    }
}

/// The passage as a search is remembered by it.
fn found(passage: &Passage) -> FoundPassage {
    FoundPassage {
        source: Source {
            chunk_id: passage.chunk_id,
            document_id: passage.document_id,
            document_title: passage.document_title.clone(),
            page_start: passage.page_start,
            page_end: passage.page_end,
            section: passage.section.clone(),
            score: Some(0.87),
        },
        content_sha256: passage.content_sha256.clone(),
        generation: passage.generation,
    }
}

/// An answer of some 4 kB as events: four pieces of text, each with a citation.
fn stored_answer(passages: &[Passage]) -> StoredAnswer {
    let text = "Release the pedal before the third beat. Press it with the bass note on the first beat, hold it \
                through the second only where the harmony asks for it, and let the third stay dry: the waltz keeps \
                its lift that way, and the melody is heard above a clear accompaniment. ";
    let mut pieces = Vec::new();
    for (marker, passage) in (1..).zip(passages.iter().cycle().take(4)) {
        pieces.push(AnswerPiece::Text(text.repeat(2)));
        pieces.push(AnswerPiece::Citation(Citation {
            marker,
            chunk_id: passage.chunk_id,
            document_id: passage.document_id,
            document_title: passage.document_title.clone(),
            page: passage.page_start,
            quote:
                "the pedal goes down with the bass on the first beat and comes up before the third"
                    .into(),
            start_char: 1_204,
            end_char: 1_286,
            areas: vec![[851, 4_102, 3_027, 4_236], [851, 4_246, 2_204, 4_380]],
        }));
    }
    StoredAnswer {
        pieces,
        confidence: 0.87,
        finish_reason: FinishReason::Complete,
        usage: Usage {
            input_tokens: 1_480,
            output_tokens: 212,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            cost_microusd: Some(2_540),
        },
        curated_by: None,
    }
}

/// The same answer as the origin tells it.
#[must_use]
pub fn told() -> String {
    let passages: Vec<Passage> = (0..3).map(passage).collect();
    to_numbered_sse(&replay(&stored_answer(&passages)))
}
