use super::{
    SearchRequest,
    memory::{CorpusFacts, InMemory},
    narrowed::Narrowed,
    plan::ReadablePassages,
};
use crate::{Error, ReaderTx, scope::survey};
use rag_core::bm25::CorpusSize;
use shared_types::chat::SearchFilters;
use uuid::Uuid;

/// What the reader may read, how much that is, and to which part of it a search is narrowed.
#[derive(Clone, Debug, Default)]
pub struct Readable {
    /// Owners of the private corpora among it.
    pub(super) owners: Vec<Uuid>,
    /// The corpora that it is made of.
    pub(super) corpora: Vec<CorpusFacts>,
    /// All of its passages.
    pub passages: ReadablePassages,
    /// The size that BM25 reckons with: of all of it, or of the documents that a search is narrowed to.
    pub size: CorpusSize,
    pub(super) narrowed: Option<Narrowed>,
    /// Its corpora, where they are at hand.
    pub(super) in_memory: Option<InMemory>,
    /// What is asked, if that is known.
    pub(super) asked: Option<Asked>,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    question: String,
    stems: Vec<String>,
}

impl Readable {
    /// All that a reader may read: what is public and what owners have, with so many stems in all.
    pub(crate) fn everything(corpora: Vec<CorpusFacts>, stems: u64) -> Self {
        let mut passages = ReadablePassages::default();
        for facts in &corpora {
            match facts.owner {
                None => passages.public += facts.passages,
                Some(_) => passages.private += facts.passages,
            }
        }
        let size = CorpusSize {
            passages: passages.public + passages.private,
            stems,
        };
        Self {
            owners: corpora.iter().filter_map(|facts| facts.owner).collect(),
            corpora,
            passages,
            size,
            narrowed: None,
            in_memory: None,
            asked: None,
        }
    }

    /// The same, with the stems of a question.
    pub(crate) fn asked(self, question: &str, stems: Vec<String>) -> Self {
        let asked = Asked {
            question: question.to_owned(),
            stems,
        };
        Self {
            asked: Some(asked),
            ..self
        }
    }

    /// The stems of this question, if they are known.
    pub(super) fn stems_of(&self, question: &str) -> Option<&[String]> {
        let asked = self.asked.as_ref()?;
        (asked.question == question).then_some(&asked.stems)
    }

    /// Whether all of it is at hand: neither vectors nor postings are read for a search.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory.is_some()
    }

    /// Whether nobody of those whose corpora these are has answered a question with words of their own, as far as is
    /// known without asking.
    #[must_use]
    pub fn is_without_curated_answers(&self) -> bool {
        let in_memory = self.in_memory.as_ref();
        in_memory.is_some_and(InMemory::is_without_curated_answers)
    }

    /// All of it, where it is at hand and its vectors can be compared with the question's.
    pub(super) fn in_memory(&self, request: &SearchRequest<'_>) -> Option<&InMemory> {
        let in_memory = self.in_memory.as_ref();
        in_memory.filter(|in_memory| *in_memory.model == *request.embedding_model)
    }

    /// The part of it that the filters let through. Empty filters leave it as it is.
    pub async fn narrow(
        self,
        reader: &mut ReaderTx,
        filters: &SearchFilters,
    ) -> Result<Self, Error> {
        if *filters == SearchFilters::default() {
            return Ok(self);
        }
        let (narrowed, size) = Narrowed::to(reader, &self.owners, filters).await?;
        Ok(Self {
            size,
            narrowed: Some(narrowed),
            in_memory: None,
            ..self
        })
    }

    /// Owners of the private corpora among it.
    pub fn owners(&self) -> impl Iterator<Item = Uuid> {
        self.owners.iter().copied()
    }
}

/// What the reader may read at this moment, as [`survey`] counts it.
pub async fn readable(reader: &mut ReaderTx) -> Result<Readable, Error> {
    survey(reader).await.map(|(_, readable)| readable)
}
