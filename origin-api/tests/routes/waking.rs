//! What the workers are told when a job is queued, and what becomes of the upload where they can't be.

use crate::{
    database::LEASE,
    documents::{FILE, announce, confirm, put},
    origin::Origin,
};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    google::{NewMessage, PublishRequest},
    ids::DocumentId,
};
use std::time::Duration;
use storage::jobs;

async fn start() -> (Origin, AccessClaims) {
    let topic = ("WAKE_TOPIC", "projects/piano/topics/ingest");
    let origin = Origin::start_with(&[topic]).await;
    let teacher = origin.database.person(Role::Teacher).await;
    (origin, teacher)
}

/// Uploads and confirms a file.
async fn upload(origin: &Origin, teacher: &AccessClaims) -> DocumentId {
    let created = announce(origin, teacher).await;
    put(&created, FILE).await;
    let confirmed = confirm(origin, teacher, created.document.id).await;
    assert_eq!(confirmed.status(), 202);
    created.document.id
}

/// What was published, once it was this often.
async fn published(origin: &Origin, times: usize) -> Vec<Value> {
    loop {
        let published = origin.clouds.inside().published.clone();
        if published.len() >= times {
            return published;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn about(id: DocumentId) -> Value {
    let data = json!({ "document_id": id }).to_string();
    let messages = vec![NewMessage::of(data.as_bytes())];
    serde_json::to_value(PublishRequest { messages }).unwrap()
}

#[tokio::test]
async fn workers_are_told_of_a_confirmed_upload_once_its_job_can_be_claimed() {
    let (origin, teacher) = start().await;
    let id = upload(&origin, &teacher).await;
    assert_eq!(published(&origin, 1).await, [about(id)]);
    let job = jobs::claim(&origin.database.ingest, "a worker", LEASE).await;
    assert_eq!(job.unwrap().unwrap().file.document_id, id);
}

#[tokio::test]
async fn workers_are_told_of_a_document_that_is_read_once_more() {
    let (origin, teacher) = start().await;
    let id = origin
        .database
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let path = format!("/v1/documents/{id}/reprocess");
    assert_eq!(origin.post(&teacher, &path, &json!({})).await.status(), 202);
    assert_eq!(published(&origin, 1).await, [about(id)]);
}

#[tokio::test]
async fn a_topic_that_takes_nothing_for_a_moment_is_told_again() {
    let (origin, teacher) = start().await;
    origin.clouds.inside().publish_refusals.extend([503, 429]);
    let id = upload(&origin, &teacher).await;
    assert_eq!(
        published(&origin, 3).await,
        [about(id), about(id), about(id)]
    );
}

#[tokio::test]
async fn an_upload_is_confirmed_although_nobody_can_be_told() {
    let (origin, teacher) = start().await;
    origin
        .clouds
        .inside()
        .publish_refusals
        .extend([500, 500, 500]);
    let id = upload(&origin, &teacher).await;
    published(&origin, 3).await;
    let job = jobs::claim(&origin.database.ingest, "a sweep", LEASE).await;
    assert_eq!(job.unwrap().unwrap().file.document_id, id);
}
