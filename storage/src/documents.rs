//! Documents as their owners see them.

use crate::{
    Error, ReaderTx,
    cursor::{Cursor, Listed, Parameters, Part},
    rows::{signed, unsigned},
};
use chrono::{DateTime, Utc};
use shared_types::{
    documents::{
        ChangeDocument, CreateDocument, Document, DocumentStatus, IngestStage, LibraryFile,
        SourceFormat, Visibility,
    },
    ids::{DocumentId, UserId},
};
use sqlx::FromRow;
use uuid::Uuid;

/// Documents in one part of a list at most.
pub const LIST_LIMIT: u32 = 200;

/// A document with what the file announced must be checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// The document as its owner sees it.
    pub document: Document,
    /// SHA-256 of the file as announced, lower-case hex.
    pub sha256: String,
    /// What object storage calls its upload, where that comes in parts.
    pub upload_id: Option<String>,
    /// In which encoding its file was read, by the name of the Encoding Standard; of text, once it was.
    pub charset: Option<String>,
    /// Where its file lies, once confirmed.
    pub file: LibraryFile,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    owner_id: Uuid,
    title: String,
    file_name: String,
    format: String,
    is_base: bool,
    size_bytes: i64,
    sha256: String,
    is_public: bool,
    status: String,
    stage: Option<String>,
    progress_done: i32,
    progress_total: i32,
    page_count: Option<i32>,
    scanned_pages: Option<i32>,
    scan_confidence: Option<i32>,
    unreadable_pages: Option<i32>,
    failure: Option<String>,
    created_at: DateTime<Utc>,
    upload_id: Option<String>,
    charset: Option<String>,
}

impl TryFrom<Row> for StoredDocument {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let file = LibraryFile {
            document_id: DocumentId(row.id),
            owner_id: UserId(row.owner_id),
            format: format(&row.format)?,
            is_base: row.is_base,
        };
        let document = Document {
            id: file.document_id,
            owner_id: file.owner_id,
            title: row.title,
            file_name: row.file_name,
            format: file.format,
            size_bytes: unsigned(row.size_bytes, "file size")?,
            visibility: visibility(row.is_public),
            status: status(&row.status)?,
            stage: row.stage.as_deref().map(stage).transpose()?,
            progress_done: unsigned(row.progress_done, "progress")?,
            progress_total: unsigned(row.progress_total, "progress")?,
            page_count: counted(row.page_count)?,
            scanned_pages: counted(row.scanned_pages)?,
            scan_confidence: row
                .scan_confidence
                .map(|confidence| unsigned(confidence, "confidence"))
                .transpose()?,
            unreadable_pages: counted(row.unreadable_pages)?,
            failure: row.failure,
            created_at: row.created_at,
        };
        Ok(Self {
            document,
            sha256: row.sha256,
            upload_id: row.upload_id,
            charset: row.charset,
            file,
        })
    }
}

/// Announces an upload of a file in this format by the reader, in state `uploading`. The reader must be a teacher or an
/// admin ([`Error::Forbidden`]); an id that is taken is [`Error::Conflict`].
#[tracing::instrument(name = "sql.documents.create", skip_all)]
pub async fn create(
    reader: &mut ReaderTx,
    id: DocumentId,
    announced: &CreateDocument,
    format: SourceFormat,
) -> Result<Document, Error> {
    let owner = reader.user_id();
    let row: Row = sqlx::query_as(
        "insert into knowledge_base_docs \
             (id, owner_id, title, file_name, size_bytes, sha256, is_public, format) \
         values ($1, $2, $3, $4, $5, $6, $7, $8) \
         returning *",
    )
    .bind(id.0)
    .bind(owner.0)
    .bind(&announced.title)
    .bind(&announced.file_name)
    .bind(signed::<u64, i64>(announced.size_bytes, "file size")?)
    .bind(&announced.sha256)
    .bind(announced.visibility == Visibility::Public)
    .bind(format.as_str())
    .fetch_one(reader.connection())
    .await
    .map_err(Error::of_person)?;
    Ok(StoredDocument::try_from(row)?.document)
}

/// The reader's own document with this very file, unless it failed: the oldest of several.
#[tracing::instrument(name = "sql.documents.with_file", skip_all)]
pub async fn with_file(reader: &mut ReaderTx, sha256: &str) -> Result<Option<Document>, Error> {
    let owner = reader.user_id();
    let row: Option<Row> = sqlx::query_as(
        "select * from knowledge_base_docs \
         where owner_id = $1 and sha256 = $2 and status <> 'failed' \
         order by created_at, id limit 1",
    )
    .bind(owner.0)
    .bind(sha256)
    .fetch_optional(reader.connection())
    .await?;
    row.map(|row| Ok(StoredDocument::try_from(row)?.document))
        .transpose()
}

/// A document that the reader may read: the reader's own in any state, others' once ready.
#[tracing::instrument(name = "sql.documents.get", skip_all)]
pub async fn get(reader: &mut ReaderTx, id: DocumentId) -> Result<StoredDocument, Error> {
    let row: Row = sqlx::query_as("select * from knowledge_base_docs where id = $1")
        .bind(id.0)
        .fetch_one(reader.connection())
        .await?;
    row.try_into()
}

/// A document whose file the reader may have: confirmed, and either searchable and readable for the
/// reader, or the reader's own, or the reader is an admin. Any other is [`Error::NotFound`].
#[tracing::instrument(name = "sql.documents.open", skip_all)]
pub async fn open(reader: &mut ReaderTx, id: DocumentId) -> Result<StoredDocument, Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let row: Row = sqlx::query_as(include_str!("documents/open.sql"))
        .bind(id.0)
        .bind(user_id.0)
        .bind(role.as_str())
        .fetch_one(reader.connection())
        .await?;
    row.try_into()
}

/// The reader's own documents behind a place, newest first, at most `limit` and at most [`LIST_LIMIT`].
#[tracing::instrument(name = "sql.documents.list", skip_all)]
pub async fn list(
    reader: &mut ReaderTx,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<StoredDocument>, Error> {
    let owner = reader.user_id();
    let part = Part::new(behind, limit.min(LIST_LIMIT));
    let Parameters { time, id, rows } = part.parameters()?;
    // Nothing lies behind the end of time.
    let rows: Vec<Row> = sqlx::query_as(
        "select * from knowledge_base_docs \
         where owner_id = $1 \
           and (created_at, id) < \
               (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) \
         order by created_at desc, id desc limit $4",
    )
    .bind(owner.0)
    .bind(time)
    .bind(id)
    .bind(rows)
    .fetch_all(reader.connection())
    .await?;
    let documents = rows
        .into_iter()
        .map(StoredDocument::try_from)
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(part.of(documents, |StoredDocument { document, .. }| {
        (document.created_at, document.id.0)
    }))
}

/// Takes the reader's own document from `uploading` to `queued` and queues its job, in the
/// reader's transaction. A document in any other state is [`Error::Conflict`]: a second
/// confirmation queues nothing. Commit before telling the person: what was confirmed is not lost.
#[tracing::instrument(name = "sql.documents.confirm", skip_all)]
pub async fn confirm(reader: &mut ReaderTx, id: DocumentId) -> Result<Document, Error> {
    let confirmed: bool = sqlx::query_scalar("select confirm_upload($1)")
        .bind(id.0)
        .fetch_one(reader.connection())
        .await?;
    own_in_state(reader, id, confirmed).await
}

/// Changes the reader's own document; its passages follow in the same transaction. Another's is
/// [`Error::NotFound`].
#[tracing::instrument(name = "sql.documents.change", skip_all)]
pub async fn change(
    reader: &mut ReaderTx,
    id: DocumentId,
    change: &ChangeDocument,
) -> Result<Document, Error> {
    let owner = reader.user_id();
    let is_public = change.visibility.map(|chosen| chosen == Visibility::Public);
    let row: Row = sqlx::query_as(
        "update knowledge_base_docs \
         set title = coalesce($3, title), is_public = coalesce($4, is_public) \
         where id = $1 and owner_id = $2 returning *",
    )
    .bind(id.0)
    .bind(owner.0)
    .bind(&change.title)
    .bind(is_public)
    .fetch_one(reader.connection())
    .await?;
    Ok(StoredDocument::try_from(row)?.document)
}

/// Notes what object storage calls the upload of the reader's own document, unless one was noted before: that one's
/// name comes back.
#[tracing::instrument(name = "sql.documents.note_upload", skip_all)]
pub async fn note_upload(
    reader: &mut ReaderTx,
    id: DocumentId,
    upload_id: &str,
) -> Result<String, Error> {
    let owner = reader.user_id();
    let noted = sqlx::query_scalar(
        "update knowledge_base_docs set upload_id = coalesce(upload_id, $3) \
         where id = $1 and owner_id = $2 returning upload_id",
    )
    .bind(id.0)
    .bind(owner.0)
    .bind(upload_id)
    .fetch_one(reader.connection())
    .await?;
    Ok(noted)
}

/// Forgets an upload that object storage does not know any more, if it is still the one of the reader's document.
#[tracing::instrument(name = "sql.documents.forget_upload", skip_all)]
pub async fn forget_upload(
    reader: &mut ReaderTx,
    id: DocumentId,
    upload_id: &str,
) -> Result<(), Error> {
    let owner = reader.user_id();
    sqlx::query(
        "update knowledge_base_docs set upload_id = null \
         where id = $1 and owner_id = $2 and upload_id = $3 and status = 'uploading'",
    )
    .bind(id.0)
    .bind(owner.0)
    .bind(upload_id)
    .execute(reader.connection())
    .await?;
    Ok(())
}

/// Deletes the reader's own document, or for an admin anybody's, with its passages and its job, and notes its
/// file for removal ([`crate::files`]). Returns what it was. Any other is [`Error::NotFound`].
#[tracing::instrument(name = "sql.documents.delete", skip_all)]
pub async fn delete(reader: &mut ReaderTx, id: DocumentId) -> Result<Document, Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let row: Row = sqlx::query_as(
        "delete from knowledge_base_docs \
         where id = $1 \
           and (owner_id = $2 \
                or $3 = 'admin' \
                   and exists (select from users where id = $2 and role = 'admin')) \
         returning *",
    )
    .bind(id.0)
    .bind(user_id.0)
    .bind(role.as_str())
    .fetch_one(reader.connection())
    .await?;
    Ok(StoredDocument::try_from(row)?.document)
}

/// Has the file of the reader's own document read once more, by a new job with all attempts before it. One that failed
/// is `queued` again; one that is `ready` stays so, with its passages, until they are replaced, and its stage says that
/// it is being read. A document in any other state, or that is being read, is [`Error::Conflict`].
#[tracing::instrument(name = "sql.documents.read_again", skip_all)]
pub async fn read_again(reader: &mut ReaderTx, id: DocumentId) -> Result<Document, Error> {
    let is_queued: bool = sqlx::query_scalar("select read_document_again($1)")
        .bind(id.0)
        .fetch_one(reader.connection())
        .await?;
    own_in_state(reader, id, is_queued).await
}

/// The reader's own document, where it was in the state that a call needs.
async fn own_in_state(
    reader: &mut ReaderTx,
    id: DocumentId,
    was_in_state: bool,
) -> Result<Document, Error> {
    let stored = get(reader, id).await?;
    if was_in_state {
        Ok(stored.document)
    } else if stored.document.owner_id == reader.user_id() {
        Err(Error::Conflict)
    } else {
        Err(Error::NotFound)
    }
}

/// Changes who may read the reader's own document, its passages included.
pub async fn set_visibility(
    reader: &mut ReaderTx,
    id: DocumentId,
    visibility: Visibility,
) -> Result<Document, Error> {
    let visibility = Some(visibility);
    change(
        reader,
        id,
        &ChangeDocument {
            visibility,
            ..ChangeDocument::default()
        },
    )
    .await
}

pub(crate) fn visibility(is_public: bool) -> Visibility {
    if is_public {
        Visibility::Public
    } else {
        Visibility::Private
    }
}

pub(crate) fn format(text: &str) -> Result<SourceFormat, Error> {
    SourceFormat::ALL
        .into_iter()
        .find(|format| format.as_str() == text)
        .ok_or(Error::Corrupt("document format"))
}

fn counted(pages: Option<i32>) -> Result<Option<u32>, Error> {
    pages.map(|pages| unsigned(pages, "page count")).transpose()
}

fn status(text: &str) -> Result<DocumentStatus, Error> {
    use DocumentStatus::{Failed, Processing, Queued, Ready, Uploading};
    [Uploading, Queued, Processing, Ready, Failed]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or(Error::Corrupt("document status"))
}

fn stage(text: &str) -> Result<IngestStage, Error> {
    use IngestStage::{Chunking, Embedding, Extracting, Recognizing, Storing};
    [Extracting, Recognizing, Chunking, Embedding, Storing]
        .into_iter()
        .find(|stage| stage.as_str() == text)
        .ok_or(Error::Corrupt("ingestion stage"))
}
