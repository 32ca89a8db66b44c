//! Documents after their upload.

use crate::{
    database::LEASE,
    origin::{Origin, problem},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{Document, DocumentStatus, Visibility},
    ids::DocumentId,
    origin::Changed,
    problem::ProblemKind,
};
use storage::jobs::{self, Failure};

async fn change(origin: &Origin, who: &AccessClaims, id: DocumentId, change: Value) -> Response {
    let path = format!("/v1/documents/{id}");
    let request = origin.by(who, Method::PATCH, &path).json(&change);
    request.send().await.unwrap()
}

async fn delete(origin: &Origin, who: &AccessClaims, id: DocumentId) -> Response {
    let path = format!("/v1/documents/{id}");
    let request = origin.by(who, Method::DELETE, &path);
    request.send().await.unwrap()
}

async fn changed(response: Response) -> (Document, Changed) {
    assert_eq!(response.status(), 200);
    let changed: Changed = response.json().await.unwrap();
    (serde_json::from_str(&changed.reply).unwrap(), changed)
}

#[tokio::test]
async fn the_edge_is_told_what_a_document_is_now_and_whom_that_concerns() {
    let origin = Origin::start().await;
    let (teacher, student) = (
        origin.database.person(Role::Teacher).await,
        origin.database.person(Role::Student).await,
    );
    origin.database.link(&teacher, &student).await;
    let id = origin
        .database
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let renamed = json!({ "title": "  Hands ", "visibility": "public" });
    let (document, told) = changed(change(&origin, &teacher, id, renamed).await).await;
    assert_eq!(
        (&*document.title, document.visibility),
        ("Hands", Visibility::Public)
    );
    let mut concerned = [teacher.sub, student.sub];
    concerned.sort_unstable();
    let mut readers = told.readers;
    readers.sort_unstable();
    assert_eq!(readers, concerned);

    let deleted = delete(&origin, &teacher, id).await;
    let told: Changed = deleted.json().await.unwrap();
    assert_eq!((&*told.reply, told.readers.len()), ("", 2));
    problem(delete(&origin, &teacher, id).await, ProblemKind::NotFound).await;
}

#[tokio::test]
async fn a_change_that_says_nothing_or_nonsense_is_refused() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let id = origin
        .database
        .announce(&teacher, Visibility::Private)
        .await;
    for wrong in [
        json!({}),
        json!({ "title": "   " }),
        json!({ "title": "two\nlines" }),
        json!({ "title": "x".repeat(301) }),
        json!({ "visibility": "friends" }),
        json!({ "owner_id": teacher.sub }),
        json!({ "status": "ready" }),
    ] {
        problem(
            change(&origin, &teacher, id, wrong).await,
            ProblemKind::BodyInvalid,
        )
        .await;
    }
}

#[tokio::test]
async fn nobody_changes_or_deletes_what_is_another_s() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let id = origin
        .database
        .ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    for role in [Role::Student, Role::Teacher] {
        let other = origin.database.person(role).await;
        let mine = json!({ "title": "Mine" });
        problem(
            change(&origin, &other, id, mine).await,
            ProblemKind::NotFound,
        )
        .await;
        problem(delete(&origin, &other, id).await, ProblemKind::NotFound).await;
    }
    let admin = origin.database.person(Role::Admin).await;
    assert_eq!(delete(&origin, &admin, id).await.status(), 200);
}

#[tokio::test]
async fn a_failed_document_is_queued_once_more_for_its_owner() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let id = origin.database.queue(&teacher, Visibility::Private).await;
    let path = format!("/v1/documents/{id}/reprocess");
    let refused = origin.post(&teacher, &path, &json!({})).await;
    problem(refused, ProblemKind::Conflict).await;

    let ingest = &origin.database.ingest;
    let job = jobs::claim(ingest, "a worker", LEASE)
        .await
        .unwrap()
        .unwrap();
    let failure = Failure::ForGood {
        reason: "The file is damaged.",
    };
    jobs::fail(ingest, &job.lease, failure).await.unwrap();

    let colleague = origin.database.person(Role::Teacher).await;
    let refused = origin.post(&colleague, &path, &json!({})).await;
    problem(refused, ProblemKind::NotFound).await;
    let response = origin.post(&teacher, &path, &json!({})).await;
    assert_eq!(response.status(), 202);
    let document: Document = response.json().await.unwrap();
    assert_eq!(document.status, DocumentStatus::Queued);
}

#[tokio::test]
async fn a_searchable_document_is_read_once_more_and_stays_searchable() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let id = origin
        .database
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let path = format!("/v1/documents/{id}/reprocess");
    let response = origin.post(&teacher, &path, &json!({})).await;
    assert_eq!(response.status(), 202);
    let document: Document = response.json().await.unwrap();
    assert_eq!(document.status, DocumentStatus::Ready);
    assert!(document.stage.is_some(), "its owner sees that it is read");
    let refused = origin.post(&teacher, &path, &json!({})).await;
    problem(refused, ProblemKind::Conflict).await;
}
