//! Uploads: announced, put into object storage by the browser, confirmed, handed to the workers.

use crate::{
    error::ApiError,
    host,
    objects::{ObjectsError, Uploaded},
    state::AppState,
};
use rag_core::plain::is_visible;
use shared_types::{
    claims::AccessClaims,
    documents::{
        ChangeDocument, ConfirmDocument, CreateDocument, CreatedDocument, Document, DocumentStatus,
        PresignedParts, SourceFormat, Upload,
    },
    ids::DocumentId,
    origin::DocumentFile,
    problem::ProblemKind,
};
use std::time::Duration;
use storage::{
    Cursor, Listed, PgPool,
    documents::{self, StoredDocument},
    reader,
};

/// The least that a part has, but for the last one: S3's own rule.
pub const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;
const MAX_PART_BYTES: u64 = 32 * 1024 * 1024;
const MAX_ETAG_CHARS: usize = 200;
const MAX_TITLE_CHARS: usize = 300;
const MAX_FILE_NAME_CHARS: usize = 255;
/// How long a caller is asked to wait where object storage fails.
const STORAGE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Announces a document of the caller, and says where its file goes.
///
/// The same file again is the same document: one whose upload did not come to its end goes on with what is said of it
/// now, and one that is in the library is not taken twice. After a failure it may well be tried anew.
pub async fn announce(
    state: &AppState,
    claims: &AccessClaims,
    mut announced: CreateDocument,
) -> Result<CreatedDocument, ApiError> {
    announced.title = announced.title.trim().to_owned();
    let (format, sha256) = accept(&announced, state.max_upload_bytes)
        .map_err(|detail| ApiError::refused(ProblemKind::UploadRefused, detail))?;
    let mut reader = reader::begin(&state.pool, claims).await?;
    let document = match documents::with_file(&mut reader, &announced.sha256).await? {
        None => {
            let id = DocumentId(host::new_id());
            documents::create(&mut reader, id, &announced, format).await?
        }
        Some(begun)
            if begun.status == DocumentStatus::Uploading
                && begun.size_bytes == announced.size_bytes
                && begun.format == format =>
        {
            let change = ChangeDocument {
                title: Some(announced.title),
                visibility: Some(announced.visibility),
            };
            documents::change(&mut reader, begun.id, &change).await?
        }
        Some(known) => {
            let Document { title, id, .. } = known;
            let detail = format!(
                "You have uploaded this file already: “{title}” ({id}). Delete that document if this one is to take its place."
            );
            return Err(ApiError::refused(ProblemKind::Conflict, detail));
        }
    };
    reader.commit().await?;
    let upload = if document.size_bytes > state.max_whole_bytes {
        Upload::Parts(in_parts(state, claims, &document).await?)
    } else {
        let objects = &state.objects;
        let (id, format, size_bytes) = (document.id, document.format, document.size_bytes);
        Upload::Whole(objects.presign_upload(id, format, size_bytes, &sha256, host::now()))
    };
    Ok(CreatedDocument { document, upload })
}

/// Where the parts of a large file go: those of an upload that was begun, or of a new one.
async fn in_parts(
    state: &AppState,
    claims: &AccessClaims,
    document: &Document,
) -> Result<PresignedParts, ApiError> {
    let id = document.id;
    let begun = own(&state.pool, claims, id).await?.upload_id;
    let upload_id = if let Some(upload_id) = begun {
        upload_id
    } else {
        let upload_id = state.objects.begin_parts(id, document.format).await?;
        // Of two announcements at once, the first decides: both send parts of the same upload.
        let mut reader = reader::begin(&state.pool, claims).await?;
        let noted = documents::note_upload(&mut reader, id, &upload_id).await?;
        reader.commit().await?;
        noted
    };
    let sizes = part_sizes(document.size_bytes, state.max_whole_bytes);
    let objects = &state.objects;
    Ok(objects.presign_parts(id, &upload_id, &sizes, host::now()))
}

/// The lengths of a file's parts: all but the last are alike, as large as what goes in one piece, 32 MiB at most.
fn part_sizes(size_bytes: u64, max_whole_bytes: u64) -> Vec<u64> {
    let part_bytes = max_whole_bytes.clamp(MIN_PART_BYTES, MAX_PART_BYTES);
    let starts = (0..size_bytes).step_by(part_bytes as usize);
    starts
        .map(|start| part_bytes.min(size_bytes - start))
        .collect()
}

/// Takes the uploaded file of the caller's document into the library and queues it for the workers.
///
/// The file must be the one that was announced. Each step may be repeated, so a confirmation that broke off
/// is made good by the next one; a document that was confirmed before is returned as it stands.
pub async fn confirm(
    state: &AppState,
    claims: &AccessClaims,
    id: DocumentId,
    confirmed: &ConfirmDocument,
) -> Result<Document, ApiError> {
    let stored = own(&state.pool, claims, id).await?;
    if stored.document.status != DocumentStatus::Uploading {
        return Ok(stored.document);
    }
    if let Some(upload_id) = &stored.upload_id
        && let Err(refused) = join(state, claims, &stored.document, upload_id, confirmed).await
    {
        // The same confirmation may have been made at the same time.
        let now = own(&state.pool, claims, id).await?.document;
        return match now.status {
            DocumentStatus::Uploading => Err(refused),
            _ => Ok(now),
        };
    }
    // No connection to the database is held while object storage works.
    let taken = take_into_library(state, &stored).await;
    match taken {
        Ok(()) => {}
        Err(NotTaken::Mismatch(detail)) => {
            // The same confirmation may have been made at the same time, and have removed the upload.
            let now = own(&state.pool, claims, id).await?.document;
            if now.status != DocumentStatus::Uploading {
                return Ok(now);
            }
            return Err(ApiError::refused(ProblemKind::UploadMismatch, detail));
        }
        Err(NotTaken::Failed(error)) => return Err(error.into()),
    }
    let document = queue(&state.pool, claims, id).await?;
    state.wake.job_queued(id);
    if let Err(error) = state.objects.delete_upload(id).await {
        // The bucket's life-cycle rule removes it within a day.
        tracing::warn!(
            document_id = %id,
            cause = crate::error::chain(&error),
            "confirmed upload stays in the upload bucket for now"
        );
    }
    Ok(document)
}

/// One of the caller's own documents.
pub async fn own_document(
    pool: &PgPool,
    claims: &AccessClaims,
    id: DocumentId,
) -> Result<Document, ApiError> {
    Ok(own(pool, claims, id).await?.document)
}

/// The caller's own documents behind a place, newest first.
pub async fn own_documents(
    pool: &PgPool,
    claims: &AccessClaims,
    behind: Option<Cursor>,
    limit: u32,
) -> Result<Listed<Document>, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = documents::list(&mut reader, behind, limit).await?;
    reader.commit().await?;
    Ok(listed.map(|stored| stored.document))
}

/// The file of a document, where the caller may have it.
pub async fn file(
    pool: &PgPool,
    claims: &AccessClaims,
    id: DocumentId,
) -> Result<DocumentFile, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let StoredDocument {
        document,
        sha256,
        charset,
        file,
        ..
    } = documents::open(&mut reader, id).await?;
    reader.commit().await?;
    Ok(DocumentFile {
        key: file.key(),
        file_name: document.file_name,
        media_type: file.format.shown_as(charset.as_deref()),
        size_bytes: document.size_bytes,
        sha256,
        announced_at_s: document.created_at.timestamp(),
    })
}

/// What can be had of others' documents is their text and their file; their state is their owners' business.
async fn own(
    pool: &PgPool,
    claims: &AccessClaims,
    id: DocumentId,
) -> Result<StoredDocument, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let stored = documents::get(&mut reader, id).await?;
    reader.commit().await?;
    if stored.document.owner_id == claims.sub {
        Ok(stored)
    } else {
        Err(ApiError::new(ProblemKind::NotFound))
    }
}

async fn queue(pool: &PgPool, claims: &AccessClaims, id: DocumentId) -> Result<Document, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    if let Some(trace) = telemetry::traces::here() {
        reader.within(trace).await?;
    }
    match documents::confirm(&mut reader, id).await {
        Ok(document) => {
            reader.commit().await?;
            Ok(document)
        }
        // Somebody else's confirmation of the same upload came first.
        Err(storage::Error::Conflict) => {
            drop(reader);
            own_document(pool, claims, id).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes one file of the parts. Where they are gone, they may have been joined by a confirmation that broke off: then the
/// file is there, and otherwise the upload begins anew.
async fn join(
    state: &AppState,
    claims: &AccessClaims,
    document: &Document,
    upload_id: &str,
    confirmed: &ConfirmDocument,
) -> Result<(), ApiError> {
    let parts = part_sizes(document.size_bytes, state.max_whole_bytes).len();
    let etags = &confirmed.etags;
    let are_etags = etags.iter().all(|etag| is_line(etag, MAX_ETAG_CHARS));
    if etags.len() != parts || !are_etags {
        let detail = format!("Say the ETag of each of the {parts} parts, in their order.");
        return Err(ApiError::refused(ProblemKind::UploadMismatch, detail));
    }
    let id = document.id;
    if state.objects.join_parts(id, upload_id, etags).await?
        || state.objects.uploaded(id).await?.is_some()
    {
        return Ok(());
    }
    let mut reader = reader::begin(&state.pool, claims).await?;
    documents::forget_upload(&mut reader, id, upload_id).await?;
    reader.commit().await?;
    let detail = "A part is missing, or is not the one that was sent. Announce the file again.";
    Err(ApiError::refused(ProblemKind::UploadMismatch, detail))
}

enum NotTaken {
    Mismatch(&'static str),
    Failed(ObjectsError),
}

async fn take_into_library(state: &AppState, stored: &StoredDocument) -> Result<(), NotTaken> {
    let StoredDocument {
        document,
        sha256,
        file,
        ..
    } = stored;
    let uploaded = state.objects.uploaded(document.id).await;
    let uploaded = uploaded.map_err(NotTaken::Failed)?;
    let uploaded = uploaded.ok_or(NotTaken::Mismatch("The file has not been uploaded yet."))?;
    is_as_announced(&uploaded, document.size_bytes, sha256).map_err(NotTaken::Mismatch)?;
    state
        .objects
        .copy_to_library(file, &uploaded)
        .await
        .map_err(|error| match error {
            ObjectsError::Status {
                status: 404 | 412, ..
            } => NotTaken::Mismatch("The file was replaced meanwhile; confirm again."),
            error => NotTaken::Failed(error),
        })
}

fn is_as_announced(uploaded: &Uploaded, size_bytes: u64, sha256: &str) -> Result<(), &'static str> {
    if uploaded.size_bytes != size_bytes {
        return Err("The uploaded file has another size than announced.");
    }
    if uploaded.sha256.as_deref().is_some_and(|sum| sum != sha256) {
        return Err("The uploaded file has another SHA-256 than announced.");
    }
    Ok(())
}

/// What the announced file is and its SHA-256, or what is wrong with the announcement.
fn accept(announced: &CreateDocument, max_bytes: u64) -> Result<(SourceFormat, [u8; 32]), String> {
    let CreateDocument {
        title,
        file_name,
        size_bytes,
        sha256,
        visibility: _,
    } = announced;
    check_title(title)?;
    if !is_line(file_name, MAX_FILE_NAME_CHARS) {
        return Err(format!(
            "A file name has at most {MAX_FILE_NAME_CHARS} characters."
        ));
    }
    let Some(format) = SourceFormat::of_file_name(file_name) else {
        let endings = SourceFormat::ALL.map(|format| format!(".{}", format.endings()[0]));
        return Err(format!(
            "The file name does not end like that of a file that can be read: {}. Save the document as one of these.",
            endings.join(", ")
        ));
    };
    if *size_bytes == 0 || *size_bytes > max_bytes {
        return Err(format!("A file has 1 to {max_bytes} bytes."));
    }
    let mut digest = [0; 32];
    let is_lower = !sha256.bytes().any(|byte| byte.is_ascii_uppercase());
    if !is_lower || hex::decode_to_slice(sha256, &mut digest).is_err() {
        return Err("A SHA-256 is 64 lower-case hex digits.".to_owned());
    }
    Ok((format, digest))
}

/// Whether this may be the title of a document, or else what one is like.
pub(crate) fn check_title(text: &str) -> Result<(), String> {
    // Others read it, beside answers.
    if is_line(text, MAX_TITLE_CHARS) && text.chars().all(is_visible) {
        return Ok(());
    }
    Err(format!(
        "A title has 1 to {MAX_TITLE_CHARS} characters on one line, none of them invisible."
    ))
}

fn is_line(text: &str, max_chars: usize) -> bool {
    (1..=max_chars).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl From<ObjectsError> for ApiError {
    fn from(error: ObjectsError) -> Self {
        Self::caused(ProblemKind::StorageUnavailable, error).retry_after(Some(STORAGE_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_types::documents::Visibility;

    fn announcement() -> CreateDocument {
        CreateDocument {
            title: "Scales and arpeggios".into(),
            file_name: "Scales.PDF".into(),
            size_bytes: 1_000,
            sha256: "0a".repeat(32),
            visibility: Visibility::Private,
        }
    }

    #[test]
    fn a_file_of_a_known_kind_and_a_sensible_size_is_accepted() {
        for (name, format) in [
            ("Scales.PDF", SourceFormat::Pdf),
            ("scales.docx", SourceFormat::Docx),
            ("scales.md", SourceFormat::Markdown),
        ] {
            let announced = CreateDocument {
                file_name: name.into(),
                ..announcement()
            };
            assert_eq!(accept(&announced, 1_000), Ok((format, [0x0a; 32])));
        }
    }

    #[test]
    fn what_can_not_be_taken_is_refused_with_its_reason() {
        type Spoil = fn(&mut CreateDocument);
        let cases: [(&str, Spoil); 9] = [
            ("title", |d| d.title.clear()),
            ("title", |d| d.title = "x".repeat(301)),
            ("title", |d| d.title = "two\nlines".into()),
            ("title", |d| d.title = "Scales \u{202e}backwards".into()),
            ("file name", |d| d.file_name = "scales.doc".into()),
            ("file name", |d| d.file_name = "pdf".into()),
            ("bytes", |d| d.size_bytes = 0),
            ("bytes", |d| d.size_bytes = 1_001),
            ("SHA-256", |d| d.sha256 = "0A".repeat(32)),
        ];
        for (word, spoil) in cases {
            let mut announced = announcement();
            spoil(&mut announced);
            let reason = accept(&announced, 1_000).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn the_parts_of_a_file_are_the_file() {
        const MIB: u64 = 1024 * 1024;
        for (size, whole, parts) in [
            (
                101 * MIB,
                100 * MIB,
                vec![32 * MIB, 32 * MIB, 32 * MIB, 5 * MIB],
            ),
            (10 * MIB, 5 * MIB, vec![5 * MIB, 5 * MIB]),
            (10 * MIB + 1, 5 * MIB, vec![5 * MIB, 5 * MIB, 1]),
        ] {
            assert_eq!(part_sizes(size, whole), parts);
        }
    }

    #[test]
    fn a_file_must_be_the_announced_one() {
        let mut uploaded = Uploaded {
            size_bytes: 1_000,
            sha256: None,
            etag: None,
        };
        let sum = "0a".repeat(32);
        assert!(is_as_announced(&uploaded, 1_000, &sum).is_ok());
        assert!(is_as_announced(&uploaded, 999, &sum).is_err());
        uploaded.sha256 = Some("0b".repeat(32));
        assert!(is_as_announced(&uploaded, 1_000, &sum).is_err());
    }
}
