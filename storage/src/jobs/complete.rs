use super::Lease;
use crate::{Error, passages::Metadata, pool, reembedding, rows::signed};
use pgvector::HalfVector;
use rag_core::chunking::Chunk;
use sha2::{Digest, Sha256};
use shared_types::{
    embedding::Embedding,
    ids::{ChunkId, DocumentId},
};
use sqlx::{PgConnection, PgPool, types::Json};
use std::{borrow::Cow, io, ops::Range};
use uuid::Uuid;

/// Passages in one statement, and in memory at a time: half a megabyte of parameters, and twice that while they are made.
const BATCH: usize = 100;

/// A passage with its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedChunk {
    /// The passage. Its text holds no U+0000, which PostgreSQL can't store.
    pub chunk: Chunk,
    /// Its vector.
    pub embedding: Embedding,
}

/// The passages of a document with their vectors, in memory or elsewhere.
pub trait EmbeddedChunks {
    /// How many there are.
    fn count(&self) -> usize;

    /// Those that stand there; all these places are below [`count`](Self::count).
    fn read(&self, places: Range<usize>) -> io::Result<Cow<'_, [EmbeddedChunk]>>;
}

impl EmbeddedChunks for [EmbeddedChunk] {
    fn count(&self) -> usize {
        self.len()
    }

    fn read(&self, places: Range<usize>) -> io::Result<Cow<'_, [EmbeddedChunk]>> {
        Ok(Cow::Borrowed(&self[places]))
    }
}

/// How well the pages of a document could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Legibility {
    /// Pages whose text was recognised in a picture.
    pub scanned_pages: u32,
    /// How sure that recognition is on average, from 0 to 100.
    pub scan_confidence: Option<u8>,
    /// Pages of which nothing could be read.
    pub unreadable_pages: u32,
}

/// A document, read and embedded.
#[derive(Debug)]
pub struct Processed<'a, C: ?Sized = [EmbeddedChunk]> {
    /// Pages of the file.
    pub page_count: u32,
    /// How well they could be read.
    pub legibility: Legibility,
    /// In which encoding the file is, by the name of the Encoding Standard; of text alone.
    pub charset: Option<&'a str>,
    /// Model and pooling of the vectors, e.g. `@cf/baai/bge-base-en-v1.5#cls`.
    pub embedding_model: &'a str,
    /// All passages, in order.
    pub chunks: &'a C,
}

/// Makes a document searchable and its job done, in one transaction: replaces whatever passages the
/// document had, so that doing it twice leaves the same as once. Corpus versions grow with it.
/// [`Error::LeaseLost`]: the job is not ours any more. [`Error::ModelChanged`]: what is searched was embedded with
/// another model, and the document must be as well. [`Error::Passages`]: those to store can't be read. Nothing was
/// changed then.
#[tracing::instrument(name = "sql.jobs.complete", skip_all, fields(chunks = processed.chunks.count()))]
pub async fn complete<C: EmbeddedChunks + Sync + ?Sized>(
    pool: &PgPool,
    held: &Lease,
    processed: &Processed<'_, C>,
) -> Result<(), Error> {
    let mut tx = pool::begin(pool, "begin").await?;
    // Held to the end: neither another claim nor a change of visibility comes between.
    let (document, owner, is_public): (Uuid, Uuid, bool) = sqlx::query_as(
        "select d.id, d.owner_id, d.is_public \
         from ingest_jobs j join knowledge_base_docs d on d.id = j.doc_id \
         where j.id = $1 and j.attempts = $2 and j.state = 'running' \
         for update",
    )
    .bind(held.job_id)
    .bind(held.number)
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::LeaseLost)?;

    if reembedding::live_or_first(&mut tx, processed.embedding_model).await?
        != processed.embedding_model
    {
        return Err(Error::ModelChanged);
    }
    for statement in [
        "delete from document_postings where doc_id = $1",
        "delete from document_chunks where doc_id = $1",
    ] {
        sqlx::query(statement)
            .bind(document)
            .execute(&mut *tx)
            .await?;
    }
    let target = Target {
        document: DocumentId(document),
        owner,
        is_public,
        embedding_model: processed.embedding_model,
    };
    let count = processed.chunks.count();
    for first in (0..count).step_by(BATCH) {
        let places = first..count.min(first + BATCH);
        let batch = processed.chunks.read(places).map_err(Error::Passages)?;
        insert(&mut tx, &target, &batch).await?;
    }
    let stems: i64 = sqlx::query_scalar(include_str!("postings.sql"))
        .bind(document)
        .bind(owner)
        .bind(is_public)
        .fetch_one(&mut *tx)
        .await?;
    let pages = |count: u32| signed::<u32, i32>(count, "page count");
    sqlx::query(include_str!("finish.sql"))
        .bind(held.job_id)
        .bind(document)
        .bind(pages(processed.page_count)?)
        .bind(stems)
        .bind(pages(processed.legibility.scanned_pages)?)
        .bind(processed.legibility.scan_confidence.map(i32::from))
        .bind(pages(processed.legibility.unreadable_pages)?)
        .bind(processed.charset)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

struct Target<'a> {
    document: DocumentId,
    owner: Uuid,
    is_public: bool,
    embedding_model: &'a str,
}

#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    indexes: Vec<i32>,
    contents: Vec<&'a str>,
    hashes: Vec<String>,
    embeddings: Vec<HalfVector>,
    page_starts: Vec<i32>,
    page_ends: Vec<i32>,
    sections: Vec<Option<&'a str>>,
    metadata: Vec<Json<Metadata>>,
}

async fn insert(
    connection: &mut PgConnection,
    target: &Target<'_>,
    batch: &[EmbeddedChunk],
) -> Result<(), Error> {
    let mut columns = Columns::default();
    for EmbeddedChunk { chunk, embedding } in batch {
        let hash = Sha256::digest(chunk.content.as_bytes());
        columns
            .ids
            .push(chunk_id(target.document, chunk.index, &hash).0);
        columns.indexes.push(signed(chunk.index, "passage index")?);
        columns.contents.push(&chunk.content);
        columns.hashes.push(hex::encode(hash));
        columns
            .embeddings
            .push(HalfVector::from_f32_slice(embedding.as_slice()));
        columns
            .page_starts
            .push(signed(chunk.page_start, "page number")?);
        columns
            .page_ends
            .push(signed(chunk.page_end, "page number")?);
        columns.sections.push(chunk.section.as_deref());
        columns.metadata.push(Json(Metadata {
            units: chunk.units.clone(),
            lines: chunk.lines.clone(),
            confidence: chunk.confidence,
        }));
    }
    sqlx::query(include_str!("insert_chunks.sql"))
        .bind(target.document.0)
        .bind(target.owner)
        .bind(target.is_public)
        .bind(target.embedding_model)
        .bind(columns.ids)
        .bind(columns.indexes)
        .bind(columns.contents)
        .bind(columns.hashes)
        .bind(columns.embeddings)
        .bind(columns.page_starts)
        .bind(columns.page_ends)
        .bind(columns.sections)
        .bind(columns.metadata)
        .execute(connection)
        .await?;
    Ok(())
}

/// The same text at the same place of the same document keeps its id when a job is done again, and
/// with it its cached answers. A version 8 UUID: its bits are ours to define.
fn chunk_id(document: DocumentId, index: u32, content_hash: &[u8]) -> ChunkId {
    let mut hash = Sha256::new();
    hash.update(document.0.as_bytes());
    hash.update(index.to_le_bytes());
    hash.update(content_hash);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    ChunkId(Uuid::from_bytes(bytes))
}
