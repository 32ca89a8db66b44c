//! The documents' files: what the database knows of them, and what lies in the library bucket.

use super::{
    World,
    library::Library,
    ports::{Open, suffer},
};
use bytes::Bytes;
use edge_worker::ports::{FileStore, HttpDates, Part, PortError, Reading, StoredFile};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use shared_types::{documents::SourceFormat, ids::DocumentId, origin::DocumentFile};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};
use uuid::Uuid;

/// When every document was announced, in seconds since 1970, and as HTTP says it.
pub const ANNOUNCED_S: i64 = 1_800_000_000;
/// The same as HTTP says it.
pub const ANNOUNCED: &str = "Fri, 15 Jan 2027 08:00:00 GMT";

/// The first teacher's private handbook.
pub const HANDBOOK: DocumentId = DocumentId(Uuid::from_u128(1));
/// Where readers open it.
pub const HANDBOOK_PATH: &str = "/api/documents/00000000-0000-0000-0000-000000000001/file";
/// Where the edge asks the origin for it.
pub const HANDBOOK_FILE: &str = "/v1/documents/00000000-0000-0000-0000-000000000001/file";

/// Files by document, and bytes by key.
#[derive(Default)]
pub struct Files {
    known: RefCell<BTreeMap<DocumentId, DocumentFile>>,
    stored: RefCell<BTreeMap<String, Bytes>>,
}

impl Files {
    /// Puts a document's file into both; returns its entity tag.
    pub fn add(&self, id: DocumentId, file_name: &str, bytes: &'static str) -> String {
        let key = format!("teachers/somebody/{id}/original.pdf");
        let file = DocumentFile {
            key: key.clone(),
            file_name: file_name.to_owned(),
            media_type: SourceFormat::of_file_name(file_name)
                .unwrap()
                .shown_as(None),
            size_bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
            announced_at_s: ANNOUNCED_S,
        };
        let etag = format!("\"{}\"", file.sha256);
        self.known.borrow_mut().insert(id, file);
        self.stored.borrow_mut().insert(key, bytes.into());
        etag
    }

    /// Replaces the bytes of every file, behind the database's back; `None` removes them.
    pub fn spoil(&self, bytes: Option<&'static str>) {
        match bytes {
            None => self.stored.borrow_mut().clear(),
            Some(bytes) => {
                for stored in self.stored.borrow_mut().values_mut() {
                    *stored = bytes.into();
                }
            }
        }
    }

    /// The origin's answer at this path.
    pub fn known_to(&self, library: &Library, reader: Uuid, path: &str) -> Option<DocumentFile> {
        let id = path.strip_prefix("/v1/documents/")?;
        let id: DocumentId = id.strip_suffix("/file")?.parse().ok()?;
        let mut readable = library.readable(reader).into_iter();
        readable.find(|passage| passage.document_id == id)?;
        self.known.borrow().get(&id).cloned()
    }
}

impl FileStore for World {
    async fn open(&self, key: &str, reading: Reading) -> Result<Option<StoredFile>, PortError> {
        let open = Open::new(&self.open_calls);
        self.note(format!("file {reading:?}"));
        let failure = self.faults.borrow().store;
        suffer(&self.time, failure).await?;
        let stored = self.files.stored.borrow();
        let Some(bytes) = stored.get(key) else {
            return Ok(None);
        };
        let wanted = match reading {
            Reading::Head => None,
            Reading::Whole => Some(bytes.clone()),
            // R2 sends what there is of a part, and so less where the file is shorter.
            Reading::Part(Part { offset, length }) => {
                let end = bytes.len().min((offset + length) as usize);
                Some(bytes.slice(end.min(offset as usize)..end))
            }
        };
        let pieces = |bytes: Bytes| {
            let pieces: Vec<_> = bytes.chunks(5).map(Bytes::copy_from_slice).collect();
            let held = stream::iter(pieces).map(move |piece| {
                let _ = &open;
                piece
            });
            held.boxed_local()
        };
        Ok(Some(StoredFile {
            size_bytes: bytes.len() as u64,
            body: wanted.map(pieces),
        }))
    }
}

impl HttpDates for World {
    fn read_date(&self, text: &str) -> Option<i64> {
        let date = httpdate::parse_http_date(text).ok()?;
        i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
    }

    fn write_date(&self, seconds: i64) -> String {
        let since = Duration::from_secs(seconds.try_into().unwrap());
        httpdate::fmt_http_date(UNIX_EPOCH + since)
    }
}
