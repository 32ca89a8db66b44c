use super::{narrowed::Narrowed, plan::ReadablePassages};
use crate::{Error, ReaderTx, rows::unsigned};
use rag_core::bm25::CorpusSize;
use shared_types::chat::SearchFilters;
use sqlx::FromRow;
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

#[derive(FromRow)]
struct Row {
    owners: Vec<Uuid>,
    public_passages: i64,
    private_passages: i64,
    stems: i64,
}

/// What the reader may read at this moment. Exact: a corpus is counted by the transaction that
/// changes it.
#[tracing::instrument(name = "sql.search.readable", skip_all)]
pub async fn readable(reader: &mut ReaderTx) -> Result<Readable, Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let row: Row = sqlx::query_as(include_str!("readable.sql"))
        .bind(user_id.0)
        .bind(role.as_str())
        .fetch_one(reader.connection())
        .await?;
    let passages = ReadablePassages {
        public: unsigned(row.public_passages, "corpus size")?,
        private: unsigned(row.private_passages, "corpus size")?,
    };
    Ok(Readable {
        owners: row.owners,
        passages,
        size: CorpusSize {
            passages: passages.public + passages.private,
            stems: unsigned(row.stems, "corpus size")?,
        },
        narrowed: None,
    })
}
