use super::{narrowed::Narrowed, plan::ReadablePassages};
use crate::{Error, ReaderTx, scope::survey};
use rag_core::bm25::CorpusSize;
use shared_types::chat::SearchFilters;
use uuid::Uuid;

/// What the reader may read, how much that is, and to which part of it a search is narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readable {
    /// Owners of the private corpora among it.
    pub(super) owners: Vec<Uuid>,
    /// All of its passages.
    pub passages: ReadablePassages,
    /// The size that BM25 reckons with: of all of it, or of the documents that a search is narrowed to.
    pub size: CorpusSize,
    pub(super) narrowed: Option<Narrowed>,
}

impl Readable {
    /// All that a reader may read: what is public and what these owners have, with so many stems in all.
    pub(crate) fn everything(owners: Vec<Uuid>, passages: ReadablePassages, stems: u64) -> Self {
        let size = CorpusSize {
            passages: passages.public + passages.private,
            stems,
        };
        Self {
            owners,
            passages,
            size,
            narrowed: None,
        }
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
