//! The text of passages.

use crate::{Error, ReaderTx, rows::unsigned};
use rag_core::{chunking::Unit, excerpt::CitablePassage};
use serde::{Deserialize, Serialize};
use shared_types::{
    ids::{ChunkId, DocumentId},
    origin::{Passage, Scoring},
};
use sqlx::{FromRow, types::Json};
use std::collections::HashMap;
use uuid::Uuid;

/// A passage as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPassage {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub document_title: String,
    /// Its place in the document, from 0.
    pub chunk_index: u32,
    /// First page, from 1.
    pub page_start: u32,
    /// Last page.
    pub page_end: u32,
    /// The heading that the passage stands under.
    pub section: Option<String>,
    /// The text.
    pub content: String,
    /// SHA-256 of `content`, lower-case hex.
    pub content_sha256: String,
    /// The number of the last purge of its owner's corpus; zero for none.
    pub generation: u64,
    /// Its sentences.
    pub units: Vec<Unit>,
}

impl StoredPassage {
    /// The passage as the edge gets it.
    #[must_use]
    pub fn into_passage(self, scoring: Scoring) -> Passage {
        Passage {
            chunk_id: self.chunk_id,
            document_id: self.document_id,
            document_title: self.document_title,
            page_start: self.page_start,
            page_end: self.page_end,
            section: self.section,
            content: self.content,
            content_sha256: self.content_sha256,
            generation: self.generation,
            scoring,
        }
    }

    /// The passage as an excerpt is made of it.
    #[must_use]
    pub fn into_citable(self) -> CitablePassage {
        CitablePassage {
            chunk_id: self.chunk_id,
            document_id: self.document_id,
            document_title: self.document_title,
            chunk_index: self.chunk_index,
            content: self.content,
            units: self.units,
        }
    }
}

/// `document_chunks.metadata`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) units: Vec<Unit>,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    doc_id: Uuid,
    title: String,
    chunk_index: i32,
    page_start: i32,
    page_end: i32,
    section: Option<String>,
    content: String,
    content_sha256: String,
    metadata: Json<Metadata>,
    generation: i64,
}

/// The passages with these ids, in this order. Those that do not exist or that the reader may not
/// read are left out; nothing tells which.
#[tracing::instrument(name = "sql.passages.by_ids", skip_all, fields(asked = ids.len()))]
pub async fn by_ids(reader: &mut ReaderTx, ids: &[ChunkId]) -> Result<Vec<StoredPassage>, Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<Row> = sqlx::query_as(include_str!("passages/by_ids.sql"))
        .bind(asked)
        .bind(user_id.0)
        .bind(role.as_str())
        .fetch_all(reader.connection())
        .await?;
    let mut found = rows
        .into_iter()
        .map(|row| Ok((ChunkId(row.id), stored(row)?)))
        .collect::<Result<HashMap<_, _>, Error>>()?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

fn stored(row: Row) -> Result<StoredPassage, Error> {
    Ok(StoredPassage {
        chunk_id: ChunkId(row.id),
        document_id: DocumentId(row.doc_id),
        document_title: row.title,
        chunk_index: unsigned(row.chunk_index, "passage index")?,
        page_start: unsigned(row.page_start, "page number")?,
        page_end: unsigned(row.page_end, "page number")?,
        section: row.section,
        content: row.content,
        content_sha256: row.content_sha256,
        generation: unsigned(row.generation, "purge number")?,
        units: row.metadata.0.units,
    })
}
