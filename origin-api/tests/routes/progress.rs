//! A document on its way, watched live.

use crate::{
    database::{LEASE, passages_of, processed},
    origin::{Origin, problem},
};
use futures_util::StreamExt;
use rag_core::sse::Decoder;
use reqwest::Response;
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{Document, DocumentStatus, IngestStage, Visibility},
    ids::DocumentId,
    problem::{Problem, ProblemKind},
};
use storage::{documents, jobs};

/// What comes, event by event.
struct Watch {
    decoder: Decoder,
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    events: std::collections::VecDeque<(String, String)>,
}

impl Watch {
    async fn over(origin: &Origin, owner: &AccessClaims, id: DocumentId) -> Self {
        let response = watch(origin, owner, id).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            decoder: Decoder::new(),
            body: Box::pin(response.bytes_stream()),
            events: std::collections::VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Option<(String, String)> {
        while self.events.is_empty() {
            let bytes = self.body.next().await?.unwrap();
            let events = self.decoder.push(&bytes).unwrap();
            let events = events.into_iter().map(|event| (event.name, event.data));
            self.events.extend(events);
        }
        self.events.pop_front()
    }

    async fn document(&mut self) -> Document {
        let (name, data) = self.next().await.unwrap();
        assert_eq!(name, "document");
        serde_json::from_str(&data).unwrap()
    }
}

async fn watch(origin: &Origin, owner: &AccessClaims, id: DocumentId) -> Response {
    origin
        .get(owner, &format!("/v1/documents/{id}/events"))
        .await
}

#[tokio::test]
async fn an_owner_sees_every_step_until_the_document_is_searchable() {
    let origin = Origin::start().await;
    let db = &origin.database;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let mut watch = Watch::over(&origin, &teacher, id).await;
    assert_eq!(watch.document().await.status, DocumentStatus::Queued);
    let job = jobs::claim(&db.ingest, "a worker", LEASE).await.unwrap();
    let job = job.unwrap();
    assert_eq!(watch.document().await.status, DocumentStatus::Processing);
    jobs::progress(&db.ingest, &job.lease, IngestStage::Extracting, 3, 7)
        .await
        .unwrap();
    let seen = watch.document().await;
    assert_eq!(seen.stage, Some(IngestStage::Extracting));
    assert_eq!((seen.progress_done, seen.progress_total), (3, 7));
    jobs::complete(&db.ingest, &job.lease, &processed(&passages_of(&["Wait."])))
        .await
        .unwrap();
    assert_eq!(watch.document().await.status, DocumentStatus::Ready);
    assert_eq!(watch.next().await, None, "there is no more to see");
}

#[tokio::test]
async fn who_comes_late_sees_how_it_ended() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let ready = origin
        .database
        .ready(&teacher, Visibility::Public, &["Wait."]);
    let id = ready.await;
    let mut watch = Watch::over(&origin, &teacher, id).await;
    assert_eq!(watch.document().await.status, DocumentStatus::Ready);
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_searchable_document_that_is_read_once_more_is_watched_to_the_end_of_that() {
    let origin = Origin::start().await;
    let db = &origin.database;
    let teacher = db.person(Role::Teacher).await;
    let id = db.ready(&teacher, Visibility::Public, &["Wait."]).await;
    let mut tx = db.reader(&teacher).await;
    documents::read_again(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let mut watch = Watch::over(&origin, &teacher, id).await;
    let seen = watch.document().await;
    let extracting = Some(IngestStage::Extracting);
    assert_eq!(
        (seen.status, seen.stage),
        (DocumentStatus::Ready, extracting)
    );
    let job = jobs::claim(&db.ingest, "a worker", LEASE).await.unwrap();
    jobs::complete(
        &db.ingest,
        &job.unwrap().lease,
        &processed(&passages_of(&["Go on."])),
    )
    .await
    .unwrap();
    let seen = watch.document().await;
    assert_eq!((seen.status, seen.stage), (DocumentStatus::Ready, None));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_document_that_is_deleted_meanwhile_ends_in_an_error() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let id = origin.database.queue(&teacher, Visibility::Private).await;
    let mut watch = Watch::over(&origin, &teacher, id).await;
    watch.document().await;
    let mut tx = origin.database.reader(&teacher).await;
    documents::delete(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let (name, data) = watch.next().await.unwrap();
    assert_eq!(name, "error");
    let told: Problem = serde_json::from_str(&data).unwrap();
    assert!(told.is(ProblemKind::NotFound) && told.instance.is_some());
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn others_see_nothing_of_it() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    let ready = origin
        .database
        .ready(&teacher, Visibility::Public, &["Wait."]);
    let id = ready.await;
    problem(watch(&origin, &student, id).await, ProblemKind::NotFound).await;
}

#[tokio::test]
async fn so_many_are_watched_by_one_person_and_who_leaves_makes_room() {
    let origin = Origin::start().await;
    let (teacher, colleague) = (
        origin.database.person(Role::Teacher).await,
        origin.database.person(Role::Teacher).await,
    );
    let id = origin.database.queue(&teacher, Visibility::Private).await;
    let other = origin.database.queue(&colleague, Visibility::Private).await;
    let mut watching = Vec::new();
    for _ in 0..8 {
        let response = watch(&origin, &teacher, id).await;
        assert_eq!(response.status(), 200);
        watching.push(response);
    }
    let refused = watch(&origin, &teacher, id).await;
    assert_eq!(refused.headers()["retry-after"], "10");
    problem(refused, ProblemKind::Overloaded).await;
    assert_eq!(watch(&origin, &colleague, other).await.status(), 200);
    drop(watching);
    let mut patience = 400;
    while watch(&origin, &teacher, id).await.status() != 200 {
        assert!(patience > 0, "no room is made");
        patience -= 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
