//! Uploads and the state of documents.

use crate::ids::{DocumentId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest accepted file in bytes, unless configured otherwise.
pub const MAX_UPLOAD_BYTES: u64 = 50 * 1024 * 1024;

/// The largest file that goes in one piece, unless configured otherwise.
pub const MAX_WHOLE_BYTES: u64 = 100 * 1024 * 1024;

/// What kind of file a document is. Its file's name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceFormat {
    /// A PDF, scanned or not.
    Pdf,
    /// Plain text.
    Text,
    /// Markdown: CommonMark with tables.
    Markdown,
    /// A web page.
    Html,
    /// A document of Word and its kin (Office Open XML).
    Docx,
}

impl SourceFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pdf,
        Self::Text,
        Self::Markdown,
        Self::Html,
        Self::Docx,
    ];

    /// The format of a file with this name; `None` for what can't be read.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let (stem, ending) = name.rsplit_once('.')?;
        let is = |endings: &[&str]| endings.iter().any(|it| ending.eq_ignore_ascii_case(it));
        let format = Self::ALL.into_iter().find(|format| is(format.endings()));
        format.filter(|_| !stem.is_empty())
    }

    /// What the names of its files end in, without the dot; the usual ending first.
    #[must_use]
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["pdf"],
            Self::Text => &["txt", "text"],
            Self::Markdown => &["md", "markdown"],
            Self::Html => &["html", "htm"],
            Self::Docx => &["docx"],
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Text => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        }
    }

    /// The media type as which a browser shows it, in the encoding in which it was read, if it was. Markdown is read as it
    /// is written. Before anybody knows, text is taken for UTF-8, and a web page says it itself.
    #[must_use]
    pub fn shown_as(self, charset: Option<&str>) -> String {
        let (media_type, charset) = match self {
            Self::Text | Self::Markdown => ("text/plain", charset.or(Some("utf-8"))),
            Self::Html => (self.media_type(), charset),
            Self::Pdf | Self::Docx => (self.media_type(), None),
        };
        match charset {
            Some(charset) => format!("{media_type}; charset={}", charset.to_ascii_lowercase()),
            None => media_type.to_owned(),
        }
    }

    /// The text used on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Docx => "docx",
        }
    }
}

/// The file of a confirmed document in the library bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LibraryFile {
    /// The document.
    pub document_id: DocumentId,
    /// Who uploaded it.
    pub owner_id: UserId,
    /// What it is.
    pub format: SourceFormat,
    /// An admin uploaded it: it belongs to the library that everybody begins with.
    pub is_base: bool,
}

impl LibraryFile {
    /// Its key: `base/{document}/original.pdf`, or `teachers/{owner}/{document}/original.pdf`.
    #[must_use]
    pub fn key(&self) -> String {
        let Self {
            document_id,
            owner_id,
            format,
            is_base,
        } = self;
        let ending = format.endings()[0];
        if *is_base {
            format!("base/{document_id}/original.{ending}")
        } else {
            format!("teachers/{owner_id}/{document_id}/original.{ending}")
        }
    }
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
    /// The name on the uploader's disk; only shown, never used as a path. Its ending says what the file is:
    /// [`SourceFormat::endings`].
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
    /// Recognising the text of scanned pages.
    Recognizing,
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
            Self::Recognizing => "recognizing",
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
    /// What its file is.
    pub format: SourceFormat,
    /// Length of the file.
    pub size_bytes: u64,
    /// Who may read it.
    pub visibility: Visibility,
    /// Where it stands.
    pub status: DocumentStatus,
    /// What the worker is doing, while `status` is `processing`, or while a `ready` document is read once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<IngestStage>,
    /// Units done in this stage (pages while extracting and recognising, passages while embedding).
    pub progress_done: u32,
    /// Units in this stage; 0 while unknown.
    pub progress_total: u32,
    /// Pages, once known. A file that has none of its own is parted into some of about a printed page's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// Pages whose text was recognised in a picture, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_pages: Option<u32>,
    /// How sure that recognition is on average, from 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_confidence: Option<u8>,
    /// Pages of which nothing could be read, where there are any: pictures, and pages in fonts that do not say which
    /// letters they draw. They can't be found or cited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable_pages: Option<u32>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_name_of_a_file_says_what_it_is() {
        for (name, format) in [
            ("Scales.PDF", Some(SourceFormat::Pdf)),
            ("notes.2026.md", Some(SourceFormat::Markdown)),
            ("page.htm", Some(SourceFormat::Html)),
            ("scales.doc", None),
            (".txt", None),
            ("pdf", None),
        ] {
            assert_eq!(SourceFormat::of_file_name(name), format, "{name}");
        }
    }

    #[test]
    fn formats_are_called_alike_everywhere() {
        for format in SourceFormat::ALL {
            let json = serde_json::to_value(format).unwrap();
            assert_eq!(json, format.as_str());
        }
    }

    #[test]
    fn a_teachers_file_lies_with_the_teacher_and_an_admins_in_the_base() {
        let file = LibraryFile {
            document_id: DocumentId(Uuid::from_u128(1)),
            owner_id: UserId(Uuid::from_u128(2)),
            format: SourceFormat::Docx,
            is_base: false,
        };
        let id = |n| Uuid::from_u128(n);
        assert_eq!(
            file.key(),
            format!("teachers/{}/{}/original.docx", id(2), id(1))
        );
        let base = LibraryFile {
            is_base: true,
            ..file
        };
        assert_eq!(base.key(), format!("base/{}/original.docx", id(1)));
    }
}
