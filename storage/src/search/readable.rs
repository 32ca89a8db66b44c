use super::plan::ReadablePassages;
use crate::{Error, ReaderTx, rows::unsigned};
use rag_core::bm25::CorpusSize;
use sqlx::FromRow;
use uuid::Uuid;

/// What the reader may read, and how much that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readable {
    /// Owners of the private corpora among it.
    pub(super) owners: Vec<Uuid>,
    /// Its passages.
    pub passages: ReadablePassages,
    /// Its size as BM25 needs it.
    pub size: CorpusSize,
}

impl Readable {
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
    })
}
