//! What becomes of a document after its upload: it is changed, deleted, or read once more.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    claims::{AccessClaims, Role},
    documents::{ChangeDocument, Document, DocumentStatus, LibraryFile, SourceFormat, Visibility},
    ids::{ChunkId, DocumentId},
};
use storage::{
    Error, documents, files,
    jobs::{self, Failure},
    passages, scope,
};
use support::{Database, LEASE};
use uuid::Uuid;

async fn chunks(db: &Database, id: DocumentId) -> Vec<ChunkId> {
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from document_chunks where doc_id = $1")
        .bind(id.0)
        .fetch_all(&db.owner)
        .await
        .unwrap();
    ids.into_iter().map(ChunkId).collect()
}

/// The titles under which a reader finds these passages.
async fn titles(db: &Database, reader: &AccessClaims, ids: &[ChunkId]) -> Vec<String> {
    let found = passages::by_ids(&mut db.reader(reader).await, ids).await;
    let found = found.unwrap().into_iter();
    found.map(|passage| passage.document_title).collect()
}

async fn delete(db: &Database, reader: &AccessClaims, id: DocumentId) -> Result<(), Error> {
    let mut tx = db.reader(reader).await;
    documents::delete(&mut tx, id).await?;
    tx.commit().await
}

/// Makes a queued document fail for good.
async fn fail(db: &Database) -> jobs::Job {
    let job = jobs::claim(&db.ingest, "a worker", LEASE).await.unwrap();
    let job = job.unwrap();
    let reason = "The file is damaged.";
    jobs::fail(&db.ingest, &job.lease, Failure::ForGood { reason })
        .await
        .unwrap();
    job
}

async fn read_again(db: &Database, owner: &AccessClaims, id: DocumentId) -> Document {
    let mut tx = db.reader(owner).await;
    let document = documents::read_again(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    document
}

#[tokio::test]
async fn a_new_title_is_what_every_reader_finds_next() {
    let db = Database::new().await;
    let (teacher, student) = (
        db.person(Role::Teacher).await,
        db.person(Role::Student).await,
    );
    db.link(&teacher, &student).await;
    let id = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let before = scope::facts(&mut db.reader(&student).await).await.unwrap();
    let change = ChangeDocument {
        title: Some("Hands".into()),
        visibility: None,
    };
    let mut tx = db.reader(&teacher).await;
    let changed = documents::change(&mut tx, id, &change).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        (&*changed.title, changed.visibility),
        ("Hands", Visibility::Private)
    );
    assert_eq!(
        titles(&db, &student, &chunks(&db, id).await).await,
        ["Hands"]
    );
    let after = scope::facts(&mut db.reader(&student).await).await.unwrap();
    assert_ne!(before, after, "no cache serves the old title");
}

#[tokio::test]
async fn a_deleted_document_leaves_nothing_behind_but_a_note_of_its_file() {
    let db = Database::new().await;
    let (teacher, student) = (
        db.person(Role::Teacher).await,
        db.person(Role::Student).await,
    );
    db.link(&teacher, &student).await;
    let kept = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let empty = scope::facts(&mut db.reader(&student).await).await.unwrap();
    let id = db
        .ready(
            &teacher,
            Visibility::Private,
            &["Drop the wrist.", "Lift it."],
        )
        .await;
    let passages = chunks(&db, id).await;
    let before = scope::survey(&mut db.reader(&student).await).await.unwrap();

    delete(&db, &teacher, id).await.unwrap();

    assert_eq!(titles(&db, &student, &passages).await, [""; 0]);
    assert_eq!(
        titles(&db, &student, &chunks(&db, kept).await).await.len(),
        1
    );
    let (facts, readable) = scope::survey(&mut db.reader(&student).await).await.unwrap();
    assert_ne!(facts, before.0);
    assert_ne!(facts, empty, "a version never comes back");
    assert_ne!(
        readable.size, before.1.size,
        "what is readable is counted anew"
    );
    for table in [
        "document_chunks",
        "document_postings",
        "standby_document_chunks",
        "ingest_jobs",
    ] {
        let left = format!("select count(*) from {table} where doc_id = $1");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(left))
            .bind(id.0)
            .fetch_one(&db.owner)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let file = LibraryFile {
        document_id: id,
        owner_id: teacher.sub,
        format: SourceFormat::Pdf,
        is_base: false,
    };
    assert_eq!(files::due(&db.ingest).await.unwrap(), [file]);
    let again = delete(&db, &teacher, id).await;
    assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
}

#[tokio::test]
async fn a_file_is_removed_once_more_when_no_confirmation_can_bring_it_back() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.announce(&teacher, Visibility::Private).await;
    delete(&db, &teacher, id).await.unwrap();
    let [file] = files::due(&db.ingest).await.unwrap()[..] else {
        panic!("one file");
    };
    files::removed(&db.ingest, &file).await.unwrap();
    assert_eq!(files::due(&db.ingest).await.unwrap(), []);

    let hour = files::LAST_REMOVAL.as_secs_f64();
    sqlx::query(
        "update discarded_files set discarded_at = discarded_at - make_interval(secs => $1), \
             due_at = due_at - make_interval(secs => $1)",
    )
    .bind(hour)
    .execute(&db.owner)
    .await
    .unwrap();
    assert_eq!(files::due(&db.ingest).await.unwrap(), [file]);
    files::removed(&db.ingest, &file).await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from discarded_files")
        .fetch_one(&db.owner)
        .await
        .unwrap();
    assert_eq!(left, 0, "it is forgotten");
}

#[tokio::test]
async fn an_upload_that_nobody_confirmed_is_forgotten_after_a_day() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let forgotten = db.announce(&teacher, Visibility::Private).await;
    let confirmed = db.queue(&teacher, Visibility::Private).await;
    let life_s = files::UPLOAD_LIFE.as_secs_f64();
    sqlx::query(
        "update knowledge_base_docs set created_at = created_at - make_interval(secs => $1)",
    )
    .bind(life_s + 1.0)
    .execute(&db.owner)
    .await
    .unwrap();
    let fresh = db.announce(&teacher, Visibility::Private).await;
    assert_eq!(files::expire_uploads(&db.ingest).await.unwrap(), 1);
    let mut tx = db.reader(&teacher).await;
    let left = documents::list(&mut tx, None, 9).await.unwrap();
    let left: Vec<DocumentId> = left.items.iter().map(|stored| stored.document.id).collect();
    assert_eq!(left, [fresh, confirmed]);
    let due = files::due(&db.ingest).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        due[0].document_id, forgotten,
        "a confirmation may have broken off"
    );
    assert_eq!(files::expire_uploads(&db.ingest).await.unwrap(), 0);
}

#[tokio::test]
async fn the_files_of_a_deleted_account_are_noted_too() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db
        .ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    sqlx::query("delete from users where id = $1")
        .bind(teacher.sub.0)
        .execute(&db.owner)
        .await
        .unwrap();
    let due = files::due(&db.ingest).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].document_id, due[0].owner_id), (id, teacher.sub));
}

#[tokio::test]
async fn documents_are_changed_by_their_owners_and_deleted_by_admins_too() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db
        .ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    let student = db.person(Role::Student).await;
    db.link(&teacher, &student).await;
    let (colleague, admin) = (db.person(Role::Teacher).await, db.person(Role::Admin).await);
    let change = ChangeDocument {
        title: Some("Mine".into()),
        visibility: Some(Visibility::Private),
    };
    for other in [&student, &colleague, &admin] {
        let refused = documents::change(&mut db.reader(other).await, id, &change).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        let refused = documents::read_again(&mut db.reader(other).await, id).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    for other in [&student, &colleague] {
        let refused = delete(&db, other, id).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    delete(&db, &admin, id).await.unwrap();
}

#[tokio::test]
async fn a_failed_document_is_read_once_more_and_no_earlier_worker_can_spoil_it() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let first = fail(&db).await;

    let mut tx = db.reader(&teacher).await;
    let queued = documents::read_again(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        (queued.status, queued.failure),
        (DocumentStatus::Queued, None)
    );

    let second = jobs::claim(&db.ingest, "another worker", LEASE).await;
    let second = second.unwrap().unwrap();
    assert_eq!((second.file.document_id, second.attempt), (id, 1));
    assert_eq!(
        first.attempt, second.attempt,
        "both leases have the same number"
    );
    let spoilt = jobs::fail(
        &db.ingest,
        &first.lease,
        Failure::ForGood { reason: "Late." },
    )
    .await;
    assert!(matches!(spoilt, Err(Error::LeaseLost)), "{spoilt:?}");
    let beat = jobs::heartbeat(&db.ingest, &second.lease, LEASE).await;
    assert!(beat.unwrap());
}

#[tokio::test]
async fn a_document_that_is_on_its_way_is_not_read_once_more() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let uploading = db.announce(&teacher, Visibility::Private).await;
    let again = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    read_again(&db, &teacher, again).await;
    let queued = db.queue(&teacher, Visibility::Private).await;
    for id in [uploading, queued, again] {
        let refused = documents::read_again(&mut db.reader(&teacher).await, id).await;
        assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    }
}
