//! The text of passages.

use crate::{Error, ReaderTx, rows::unsigned};
use rag_core::{chunking::Unit, excerpt::CitablePassage, lines::Line};
use serde::{Deserialize, Serialize};
use shared_types::{
    ids::{ChunkId, DocumentId},
    origin::{Passage, Scoring},
};
use sqlx::{FromRow, postgres::PgRow, types::Json};
use std::collections::HashMap;
use uuid::Uuid;

const BY_IDS: &str = concat!(
    include_str!("passages/by_ids.sql"),
    include_str!("passages/asked.sql")
);
const CITABLE: &str = concat!(
    include_str!("passages/citable.sql"),
    include_str!("passages/asked.sql")
);

/// `document_chunks.metadata`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) units: Vec<Unit>,
    /// Missing where the document was read before lines were kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<Line>,
    /// How sure text recognition is of it, from 0 to 100; missing where nothing of it was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<u8>,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    doc_id: Uuid,
    title: String,
    page_start: i32,
    page_end: i32,
    section: Option<String>,
    content: String,
    content_sha256: String,
    generation: i64,
}

#[derive(FromRow)]
struct CitableRow {
    id: Uuid,
    doc_id: Uuid,
    title: String,
    chunk_index: i32,
    content: String,
    metadata: Json<Metadata>,
}

/// The passages with these ids, in this order, not scored yet. Those that do not exist or that the reader may not
/// read are left out; nothing tells which.
#[tracing::instrument(name = "sql.passages.by_ids", skip_all, fields(asked = ids.len()))]
pub async fn by_ids(reader: &mut ReaderTx, ids: &[ChunkId]) -> Result<Vec<Passage>, Error> {
    let rows: Vec<Row> = rows(reader, BY_IDS, ids).await?;
    let passages = rows.into_iter().map(|row| {
        Ok(Passage {
            chunk_id: ChunkId(row.id),
            document_id: DocumentId(row.doc_id),
            document_title: row.title,
            page_start: unsigned(row.page_start, "page number")?,
            page_end: unsigned(row.page_end, "page number")?,
            section: row.section,
            content: row.content,
            content_sha256: row.content_sha256,
            generation: unsigned(row.generation, "purge number")?,
            scoring: Scoring::default(),
        })
    });
    in_order(ids, passages, |passage| passage.chunk_id)
}

/// The same with their sentences, as an answer is made of them.
#[tracing::instrument(name = "sql.passages.citable", skip_all, fields(asked = ids.len()))]
pub async fn citable(reader: &mut ReaderTx, ids: &[ChunkId]) -> Result<Vec<CitablePassage>, Error> {
    let rows: Vec<CitableRow> = rows(reader, CITABLE, ids).await?;
    let passages = rows.into_iter().map(|row| {
        let Metadata { units, lines, .. } = row.metadata.0;
        Ok(CitablePassage {
            chunk_id: ChunkId(row.id),
            document_id: DocumentId(row.doc_id),
            document_title: row.title,
            chunk_index: unsigned(row.chunk_index, "passage index")?,
            content: row.content,
            units,
            lines,
        })
    });
    in_order(ids, passages, |passage| passage.chunk_id)
}

async fn rows<R>(
    reader: &mut ReaderTx,
    statement: &'static str,
    ids: &[ChunkId],
) -> Result<Vec<R>, Error>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let (user_id, role) = (reader.user_id(), reader.role());
    let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as(statement)
        .bind(asked)
        .bind(user_id.0)
        .bind(role.as_str())
        .fetch_all(reader.connection())
        .await?;
    Ok(rows)
}

fn in_order<P>(
    ids: &[ChunkId],
    passages: impl Iterator<Item = Result<P, Error>>,
    id_of: impl Fn(&P) -> ChunkId,
) -> Result<Vec<P>, Error> {
    let mut found = passages
        .map(|passage| passage.map(|passage| (id_of(&passage), passage)))
        .collect::<Result<HashMap<_, _>, Error>>()?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}
