//! A text is shown in the encoding in which it was read.

use crate::{
    database::{LEASE, passages_of, processed},
    documents::{FILE, confirm, put},
    origin::Origin,
};
use serde_json::json;
use shared_types::{
    claims::{AccessClaims, Role},
    documents::CreatedDocument,
    ids::DocumentId,
    origin::DocumentFile,
};
use storage::jobs::{self, Processed};

/// Announces, sends and confirms a file of this name.
async fn upload(origin: &Origin, teacher: &AccessClaims, file_name: &str) -> DocumentId {
    let announcement = json!({
        "title": "Scales and arpeggios",
        "file_name": file_name,
        "size_bytes": FILE.len(),
        "sha256": "0a".repeat(32),
        "visibility": "private",
    });
    let response = origin.post(teacher, "/v1/documents", &announcement).await;
    let created: CreatedDocument = response.json().await.unwrap();
    put(&created, FILE).await;
    let id = created.document.id;
    assert_eq!(confirm(origin, teacher, id).await.status(), 202);
    id
}

/// As what a browser is told to take the file.
async fn media_type(origin: &Origin, teacher: &AccessClaims, id: DocumentId) -> String {
    let path = format!("/v1/documents/{id}/file");
    let file: DocumentFile = origin.get(teacher, &path).await.json().await.unwrap();
    file.media_type
}

#[tokio::test]
async fn a_browser_is_told_in_which_encoding_a_text_was_read() {
    let origin = Origin::start().await;
    for (file_name, before, charset, after) in [
        (
            "notes.txt",
            "text/plain; charset=utf-8",
            Some("windows-1252"),
            "text/plain; charset=windows-1252",
        ),
        (
            "notes.md",
            "text/plain; charset=utf-8",
            Some("UTF-8"),
            "text/plain; charset=utf-8",
        ),
        (
            "page.html",
            "text/html",
            Some("UTF-8"),
            "text/html; charset=utf-8",
        ),
        ("odd.html", "text/html", None, "text/html"),
        ("scales.pdf", "application/pdf", None, "application/pdf"),
    ] {
        let teacher = origin.database.person(Role::Teacher).await;
        let id = upload(&origin, &teacher, file_name).await;
        assert_eq!(media_type(&origin, &teacher, id).await, before);
        let ingest = &origin.database.ingest;
        let job = jobs::claim(ingest, "a worker", LEASE).await.unwrap();
        let passages = passages_of(&["Play slowly."]);
        let read = Processed {
            charset,
            ..processed(&passages)
        };
        jobs::complete(ingest, &job.unwrap().lease, &read)
            .await
            .unwrap();
        assert_eq!(media_type(&origin, &teacher, id).await, after);
    }
}
