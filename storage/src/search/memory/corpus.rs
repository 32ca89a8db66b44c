//! Corpora in memory, and searching them.

use super::reading::DocumentRow;
use crate::search::{LIST_DEPTH, Ranked};
use chrono::{DateTime, Utc};
use rag_core::{
    bm25::Place,
    flat::{self, Question, Vectors},
    fusion::Nearness,
};
use shared_types::{
    embedding::Embedding,
    ids::{ChunkId, DocumentId},
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};
use uuid::Uuid;

/// The vectors of a corpus.
#[derive(Default)]
pub(super) struct Corpus {
    /// In order, so that equals are found in the same order each time.
    documents: BTreeMap<DocumentId, Held>,
    /// How many passages those have.
    pub(super) passages: u64,
}

#[derive(Clone)]
struct Held {
    ready_at: DateTime<Utc>,
    vectors: Arc<Vectors>,
}

/// All that a reader may read, in memory.
#[derive(Clone)]
pub(in crate::search) struct InMemory {
    /// Model and pooling of the vectors.
    pub(in crate::search) model: Arc<str>,
    pub(super) corpora: Vec<Arc<Corpus>>,
}

impl Corpus {
    /// Those of the documents whose vectors are there.
    pub(super) fn of<'a>(
        rows: impl Iterator<Item = &'a DocumentRow>,
        vectors: &HashMap<Uuid, Arc<Vectors>>,
    ) -> Self {
        let mut corpus = Self::default();
        for row in rows {
            let Some(vectors) = vectors.get(&row.id) else {
                continue;
            };
            corpus.passages += vectors.len() as u64;
            let held = Held {
                ready_at: row.ready_at,
                vectors: Arc::clone(vectors),
            };
            corpus.documents.insert(DocumentId(row.id), held);
        }
        corpus
    }

    /// The vectors of a document, unless it was read anew since.
    pub(super) fn vectors(&self, row: &DocumentRow) -> Option<Arc<Vectors>> {
        let held = self.documents.get(&DocumentId(row.id))?;
        (held.ready_at == row.ready_at).then(|| Arc::clone(&held.vectors))
    }
}

impl InMemory {
    fn documents(&self) -> impl Iterator<Item = (DocumentId, &Vectors)> + Clone {
        let documents = self.corpora.iter().flat_map(|corpus| &corpus.documents);
        documents.map(|(id, held)| (*id, held.vectors.as_ref()))
    }

    fn vectors(&self, id: DocumentId) -> Option<&Vectors> {
        let mut corpora = self.corpora.iter();
        let held = corpora.find_map(|corpus| corpus.documents.get(&id))?;
        Some(&held.vectors)
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
        let near = flat::nearest(self.documents(), &question, candidates as usize, depth);
        near.into_iter().map(|near| {
            let ranked = Ranked {
                chunk_id: near.chunk_id,
                score: near.distance,
            };
            (ranked, near.place)
        })
    }

    /// The passages at these places, with their scores.
    pub(in crate::search) fn passages(
        &self,
        places: &[(Place, f64)],
    ) -> impl Iterator<Item = (Ranked, Place)> {
        places.iter().filter_map(|&(place, score)| {
            let chunk_id = self.passage(&place)?;
            Some((Ranked { chunk_id, score }, place))
        })
    }

    fn passage(&self, place: &Place) -> Option<ChunkId> {
        let vectors = self.vectors(place.document_id)?;
        vectors.id(place.chunk_index as usize)
    }

    /// How near each candidate's vector is to the question's and to those of the guides, which stand at these places.
    pub(in crate::search) fn near(
        &self,
        embedding: &Embedding,
        candidates: &[Place],
        guides: &[Place],
    ) -> Vec<Nearness> {
        let question = Question::from(embedding);
        let unit = |place: &Place| {
            self.vectors(place.document_id)?
                .unit(place.chunk_index as usize)
        };
        let guides: Vec<_> = guides.iter().filter_map(unit).collect();
        let near = |place: &Place| {
            let unit = unit(place)?;
            let to_guides: f64 = guides.iter().map(|guide| unit.cosine(*guide)).sum();
            Some(Nearness {
                chunk_id: self.passage(place)?,
                to_question: unit.cosine(question.unit()),
                to_guides: to_guides / guides.len() as f64,
            })
        };
        if guides.is_empty() {
            return Vec::new();
        }
        candidates.iter().filter_map(near).collect()
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
