//! Uploads and the state of documents.

use crate::ids::{DocumentId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest accepted file in bytes, unless configured otherwise.
pub const MAX_UPLOAD_BYTES: u64 = 50 * 1024 * 1024;

/// The largest file that goes in one piece, unless configured otherwise.
pub const MAX_WHOLE_BYTES: u64 = 100 * 1024 * 1024;

/// Where the file of a confirmed document lies in the library bucket: `teachers/{owner}/{document}/original.pdf`.
#[must_use]
pub fn library_key(owner_id: UserId, document_id: DocumentId) -> String {
    format!("teachers/{owner_id}/{document_id}/original.pdf")
}

/// Who may read a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// The owner and the owner's students.
    Private,
    /// Everybody who is signed in.
    Public,
}

/// `POST /api/documents`: announces an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateDocument {
    /// 1 to 300 characters.
    pub title: String,
    /// The name on the uploader's disk; only shown, never used as a path.
    pub file_name: String,
    /// Length of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file, 64 lower-case hex digits.
    pub sha256: String,
    /// Who may read it.
    pub visibility: Visibility,
}

/// `PATCH /api/documents/{id}`: what is to change; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeDocument {
    /// 1 to 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// Where and how to send the file itself: whole, or in parts where it is large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Upload {
    /// In one piece.
    Whole(PresignedUpload),
    /// In parts.
    Parts(PresignedParts),
}

/// Where the parts of a file go, in any order. The replies' `ETag`s are wanted at its confirmation, in the order of the
/// parts. Announcing the file again gives fresh URLs to the same parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresignedParts {
    /// Always `PUT`.
    pub method: String,
    /// The parts, in the order in which they make the file.
    pub parts: Vec<PresignedPart>,
    /// When the URLs end.
    pub expires_at: DateTime<Utc>,
}

/// Where a part goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresignedPart {
    /// The presigned URL.
    pub url: String,
    /// Length of the part.
    pub size_bytes: u64,
}

/// `POST /api/documents/{id}/confirm`; no body stands for no parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmDocument {
    /// The `ETag` of each part, in the order of the parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etags: Vec<String>,
}

/// Where and how to send the file in one piece. The URL is valid for ten minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresignedUpload {
    /// Always `PUT`.
    pub method: String,
    /// The presigned URL.
    pub url: String,
    /// Headers that must be sent with it.
    pub headers: BTreeMap<String, String>,
    /// When the URL ends.
    pub expires_at: DateTime<Utc>,
}

/// The reply of `POST /api/documents` (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedDocument {
    /// The document, not yet confirmed.
    pub document: Document,
    /// Where the file goes.
    pub upload: Upload,
}

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentStatus {
    /// Announced; the file has not been confirmed.
    Uploading,
    /// Confirmed; waits for a worker.
    Queued,
    /// A worker has it.
    Processing,
    /// Searchable.
    Ready,
    /// Never becomes searchable; `failure` says why.
    Failed,
}

impl DocumentStatus {
    /// The text used on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// What a worker is doing with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IngestStage {
    /// Reading text out of pages.
    Extracting,
    /// Cutting text into passages.
    Chunking,
    /// Embedding passages.
    Embedding,
    /// Writing passages.
    Storing,
}

impl IngestStage {
    /// The text used on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extracting => "extracting",
            Self::Chunking => "chunking",
            Self::Embedding => "embedding",
            Self::Storing => "storing",
        }
    }
}

/// A document as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The document.
    pub id: DocumentId,
    /// Who uploaded it.
    pub owner_id: UserId,
    /// Its title.
    pub title: String,
    /// The name it was uploaded under.
    pub file_name: String,
    /// Length of the file.
    pub size_bytes: u64,
    /// Who may read it.
    pub visibility: Visibility,
    /// Where it stands.
    pub status: DocumentStatus,
    /// What the worker is doing, while `status` is `processing`, or while a `ready` document is read once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<IngestStage>,
    /// Units done in this stage (pages while extracting, passages while embedding).
    pub progress_done: u32,
    /// Units in this stage; 0 while unknown.
    pub progress_total: u32,
    /// Pages, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// Why it failed, in words for its owner. Of a `ready` document: why its last reading did; the one before is what
    /// is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When the upload was announced.
    pub created_at: DateTime<Utc>,
}

impl Document {
    /// Whether nothing more will happen by itself: it neither is on its way nor is read once more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_read = matches!(self.status, DocumentStatus::Ready | DocumentStatus::Failed);
        is_read && self.stage.is_none()
    }
}

/// `GET /api/documents?limit=…&cursor=…`: the caller's own documents, newest first, `limit` of them (200 unless said,
/// which is the most).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentList {
    /// The documents.
    pub documents: Vec<Document>,
    /// The `cursor` that the next ones are asked for with; absent behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
