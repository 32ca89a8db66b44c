//! Corpora in memory, and searching them.

use super::reading::{Content, DocumentRow};
use crate::search::{LIST_DEPTH, Ranked};
use chrono::{DateTime, Utc};
use rag_core::{
    bm25::{Block, Place},
    flat::{self, Question, Vectors},
    fusion::Nearness,
    postings::StemHash,
};
use shared_types::{embedding::Embedding, ids::DocumentId};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::Arc,
};
use uuid::Uuid;

/// What of a corpus is searched.
#[derive(Default)]
pub(super) struct Corpus {
    /// In order, so that equals are found in the same order each time.
    documents: BTreeMap<DocumentId, Document>,
    /// How many passages those have.
    pub(super) passages: u64,
    /// Whether its owner may have answered questions with words of their own.
    pub(super) is_curated: bool,
    /// What all of it takes, in bytes.
    pub(super) size: usize,
}

struct Document {
    ready_at: DateTime<Utc>,
    stem_count: i64,
    content: Arc<Content>,
}

/// All that a reader may read, in memory.
#[derive(Clone)]
pub(in crate::search) struct InMemory {
    /// Model and pooling of the vectors.
    pub(in crate::search) model: Arc<str>,
    pub(super) corpora: Vec<Arc<Corpus>>,
}

impl Corpus {
    /// Those of the documents whose contents are there.
    pub(super) fn of<'a>(
        rows: impl Iterator<Item = &'a DocumentRow>,
        contents: &HashMap<Uuid, Arc<Content>>,
        is_curated: bool,
    ) -> Self {
        let mut corpus = Self {
            is_curated,
            ..Self::default()
        };
        for row in rows {
            let Some(content) = contents.get(&row.id) else {
                continue;
            };
            corpus.passages += content.vectors.len() as u64;
            corpus.size += content.size();
            let held = Document {
                ready_at: row.ready_at,
                stem_count: row.stem_count,
                content: Arc::clone(content),
            };
            corpus.documents.insert(DocumentId(row.id), held);
        }
        corpus
    }

    /// What a document holds, unless it was read or counted anew since.
    pub(super) fn content(&self, row: &DocumentRow) -> Option<Arc<Content>> {
        let held = self.documents.get(&DocumentId(row.id))?;
        let is_same = held.ready_at == row.ready_at && held.stem_count == row.stem_count;
        is_same.then(|| Arc::clone(&held.content))
    }
}

impl InMemory {
    /// Whether none of the owners has answered a question with words of their own.
    pub(in crate::search) fn is_without_curated_answers(&self) -> bool {
        self.corpora.iter().all(|corpus| !corpus.is_curated)
    }

    fn documents(&self) -> impl Iterator<Item = (DocumentId, &Content)> + Clone {
        let documents = self.corpora.iter().flat_map(|corpus| &corpus.documents);
        documents.map(|(id, held)| (*id, held.content.as_ref()))
    }

    /// The vectors of the documents in which these places are. In one pass: to look for each of them in each of an admin's
    /// thousands of corpora would take longer.
    fn vectors_of<'a>(
        &self,
        places: impl Iterator<Item = &'a Place>,
    ) -> HashMap<DocumentId, &Vectors> {
        let wanted: HashSet<DocumentId> = places.map(|place| place.document_id).collect();
        let documents = self.documents().filter(|(id, _)| wanted.contains(id));
        documents
            .map(|(id, content)| (id, &content.vectors))
            .collect()
    }

    /// The postings of each of these stems.
    pub(in crate::search) fn postings(&self, stems: &[String]) -> Vec<Vec<Block<'_>>> {
        let hashes: Vec<StemHash> = stems.iter().map(|stem| StemHash::of(stem)).collect();
        let mut found: Vec<Vec<Block<'_>>> = vec![Vec::new(); stems.len()];
        for (id, content) in self.documents() {
            for (hash, found) in hashes.iter().zip(&mut found) {
                found.extend(content.postings.blocks(id, *hash));
            }
        }
        found
    }

    /// The passages nearest to a vector and where they stand, at most [`LIST_DEPTH`]; so many vectors are compared after
    /// their signs.
    pub(in crate::search) fn nearest(
        &self,
        embedding: &Embedding,
        candidates: u32,
    ) -> impl Iterator<Item = (Ranked, Place)> + use<> {
        let question = Question::from(embedding);
        let depth = LIST_DEPTH as usize;
        let vectors = self.documents().map(|(id, content)| (id, &content.vectors));
        let near = flat::nearest(vectors, &question, candidates as usize, depth);
        near.into_iter().map(|near| {
            let ranked = Ranked {
                chunk_id: near.chunk_id,
                score: near.distance,
            };
            (ranked, near.place)
        })
    }

    /// The passages at these places, with their scores.
    pub(in crate::search) fn passages(&self, places: &[(Place, f64)]) -> Vec<(Ranked, Place)> {
        let vectors = self.vectors_of(places.iter().map(|(place, _)| place));
        let passages = places.iter().filter_map(|&(place, score)| {
            let vectors = vectors.get(&place.document_id)?;
            let chunk_id = vectors.id(place.chunk_index as usize)?;
            Some((Ranked { chunk_id, score }, place))
        });
        passages.collect()
    }

    /// How near each candidate's vector is to the question's and to those of the guides, which stand at these places.
    pub(in crate::search) fn near(
        &self,
        embedding: &Embedding,
        candidates: &[Place],
        guides: &[Place],
    ) -> Vec<Nearness> {
        let question = Question::from(embedding);
        let vectors = self.vectors_of(candidates.iter().chain(guides));
        let stands_at = |place: &Place| {
            let (vectors, index) = (vectors.get(&place.document_id)?, place.chunk_index as usize);
            Some((vectors.id(index)?, vectors.unit(index)?))
        };
        let guides: Vec<_> = guides.iter().filter_map(stands_at).collect();
        if guides.is_empty() {
            return Vec::new();
        }
        let near = candidates.iter().filter_map(stands_at);
        let near = near.map(|(chunk_id, unit)| {
            let to_guides: f64 = guides.iter().map(|(_, guide)| unit.cosine(*guide)).sum();
            Nearness {
                chunk_id,
                to_question: unit.cosine(question.unit()),
                to_guides: to_guides / guides.len() as f64,
            }
        });
        near.collect()
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory")
            .field("model", &self.model)
            .field("corpora", &self.corpora.len())
            .finish_non_exhaustive()
    }
}
