//! In which encoding a text was read is kept with it.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    claims::{AccessClaims, Role},
    documents::{DocumentStatus, SourceFormat, Visibility},
    ids::DocumentId,
};
use storage::{
    Error, documents,
    jobs::{self, Job, Processed},
};
use support::{Database, LEASE, announcement, fresh_id, passages_of, processed};

/// A document in this format, in the hands of a worker.
async fn claimed(db: &Database, teacher: &AccessClaims, format: SourceFormat) -> Job {
    let id = DocumentId(fresh_id());
    let announced = announcement(Visibility::Private);
    let mut tx = db.reader(teacher).await;
    documents::create(&mut tx, id, &announced, format)
        .await
        .unwrap();
    documents::confirm(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    claim(db).await
}

async fn claim(db: &Database) -> Job {
    let job = jobs::claim(&db.ingest, "a worker", LEASE).await;
    job.unwrap().unwrap()
}

async fn complete(db: &Database, job: &Job, charset: Option<&str>) -> Result<(), Error> {
    let passages = passages_of(&["Play slowly."]);
    let read = Processed {
        charset,
        ..processed(&passages)
    };
    jobs::complete(&db.ingest, &job.lease, &read).await
}

/// What whoever opens the document's file is told.
async fn kept(db: &Database, teacher: &AccessClaims, id: DocumentId) -> Option<String> {
    let mut tx = db.reader(teacher).await;
    documents::open(&mut tx, id).await.unwrap().charset
}

#[tokio::test]
async fn the_encoding_of_a_text_is_that_of_its_last_reading() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let job = claimed(&db, &teacher, SourceFormat::Text).await;
    let id = job.file.document_id;
    assert_eq!(kept(&db, &teacher, id).await, None);
    complete(&db, &job, Some("windows-1252")).await.unwrap();
    assert_eq!(kept(&db, &teacher, id).await.unwrap(), "windows-1252");

    let mut tx = db.reader(&teacher).await;
    documents::read_again(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kept(&db, &teacher, id).await.unwrap(), "windows-1252");
    complete(&db, &claim(&db).await, Some("UTF-8"))
        .await
        .unwrap();
    assert_eq!(kept(&db, &teacher, id).await.unwrap(), "UTF-8");
}

#[tokio::test]
async fn an_encoding_that_nobody_knows_or_of_what_has_none_is_not_kept() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    for (format, charset) in [
        (SourceFormat::Text, "utf-7"),
        (SourceFormat::Html, "UTF-8\r\nset-cookie: a=b"),
        (SourceFormat::Pdf, "UTF-8"),
        (SourceFormat::Docx, "UTF-8"),
    ] {
        let job = claimed(&db, &teacher, format).await;
        let refused = complete(&db, &job, Some(charset)).await;
        assert!(refused.is_err(), "{charset} of {format:?}");
        let id = job.file.document_id;
        let mut tx = db.reader(&teacher).await;
        let document = documents::get(&mut tx, id).await.unwrap();
        assert_eq!(document.document.status, DocumentStatus::Processing);
        drop(tx);
        complete(&db, &job, None).await.unwrap();
        assert_eq!(kept(&db, &teacher, id).await, None);
    }
}
