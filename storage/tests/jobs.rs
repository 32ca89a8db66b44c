//! What was accepted is never lost, and never done by two at a time.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    claims::{AccessClaims, Role},
    documents::{Document, DocumentStatus, IngestStage, Visibility},
    ids::DocumentId,
};
use std::{collections::BTreeSet, time::Duration};
use storage::{
    Error, documents,
    jobs::{self, AfterFailure, Failure, MAX_ATTEMPTS, WakeUp},
};
use support::{Database, LEASE, passages_of, processed};

const AT_ONCE: Duration = Duration::ZERO;
const PASSING: Failure<'_> = Failure::Passing {
    reason: "The embedding service did not answer.",
    retry_in: AT_ONCE,
};

async fn document(db: &Database, owner: &AccessClaims, id: DocumentId) -> Document {
    let mut tx = db.reader(owner).await;
    documents::get(&mut tx, id).await.unwrap().document
}

async fn stored_passages(db: &Database) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from document_chunks), (select count(*) from document_postings)",
    )
    .fetch_one(&db.owner)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_confirmed_upload_is_queued_once_however_often_it_is_confirmed() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let mut tx = db.reader(&teacher).await;
    let again = documents::confirm(&mut tx, id).await;
    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
    drop(tx);
    assert_eq!(jobs::backlog(&db.ingest).await.unwrap().queued, 1);
    assert_eq!(
        document(&db, &teacher, id).await.status,
        DocumentStatus::Queued
    );
}

#[tokio::test]
async fn nobody_confirms_the_upload_of_somebody_else() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let id = db.announce(&teacher, Visibility::Public).await;
    for person in [&colleague, &db.person(Role::Admin).await] {
        let mut tx = db.reader(person).await;
        let refused = documents::confirm(&mut tx, id).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    assert_eq!(jobs::backlog(&db.ingest).await.unwrap().queued, 0);
}

#[tokio::test]
async fn a_job_ends_as_a_searchable_document() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    assert_eq!((job.file.document_id, job.attempt), (id, 1));
    assert_eq!(
        document(&db, &teacher, id).await.status,
        DocumentStatus::Processing
    );

    let told = jobs::progress(&db.ingest, &job.lease, IngestStage::Embedding, 1, 2).await;
    assert!(told.unwrap());
    let shown = document(&db, &teacher, id).await;
    assert_eq!(
        (shown.stage, shown.progress_done, shown.progress_total),
        (Some(IngestStage::Embedding), 1, 2)
    );

    let passages = passages_of(&["Curve the fingers.", "Sit upright."]);
    jobs::complete(&db.ingest, &job.lease, &processed(&passages))
        .await
        .unwrap();
    let shown = document(&db, &teacher, id).await;
    assert_eq!(
        (shown.status, shown.page_count),
        (DocumentStatus::Ready, Some(2))
    );
    assert_eq!(shown.stage, None);
    let backlog = jobs::backlog(&db.ingest).await.unwrap();
    assert_eq!((backlog.queued, backlog.running), (0, 0));
}

#[tokio::test]
async fn two_workers_never_get_the_same_job() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    for _ in 0..12 {
        db.queue(&teacher, Visibility::Private).await;
    }
    let workers = (0..4).map(|worker| {
        let ingest = db.ingest.clone();
        tokio::spawn(async move {
            let mut claimed = Vec::new();
            let name = format!("worker {worker}");
            while let Some(job) = jobs::claim(&ingest, &name, LEASE).await.unwrap() {
                claimed.push(job.file.document_id);
            }
            claimed
        })
    });
    let mut claimed = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        claimed.extend(worker.await.unwrap());
    }
    assert_eq!(claimed.len(), 12);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 12);
}

#[tokio::test]
async fn a_worker_that_died_loses_the_job_to_another_and_can_do_no_harm() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let dead = jobs::claim(&db.ingest, "dead", AT_ONCE)
        .await
        .unwrap()
        .unwrap();
    let alive = jobs::claim(&db.ingest, "alive", LEASE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((alive.file.document_id, alive.attempt), (id, 2));

    let passages = passages_of(&["Out of date."]);
    let late = jobs::complete(&db.ingest, &dead.lease, &processed(&passages)).await;
    assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
    let late = jobs::fail(&db.ingest, &dead.lease, PASSING).await;
    assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
    assert!(
        !jobs::heartbeat(&db.ingest, &dead.lease, LEASE)
            .await
            .unwrap()
    );
    assert!(
        !jobs::progress(&db.ingest, &dead.lease, IngestStage::Storing, 1, 1)
            .await
            .unwrap()
    );
    assert_eq!(stored_passages(&db).await, (0, 0));

    assert!(
        jobs::heartbeat(&db.ingest, &alive.lease, LEASE)
            .await
            .unwrap()
    );
    jobs::complete(&db.ingest, &alive.lease, &processed(&passages))
        .await
        .unwrap();
    assert_eq!(
        document(&db, &teacher, id).await.status,
        DocumentStatus::Ready
    );
}

#[tokio::test]
async fn a_heartbeat_keeps_the_job() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.queue(&teacher, Visibility::Private).await;
    let job = jobs::claim(&db.ingest, "slow", AT_ONCE)
        .await
        .unwrap()
        .unwrap();
    assert!(
        jobs::heartbeat(&db.ingest, &job.lease, LEASE)
            .await
            .unwrap()
    );
    assert_eq!(jobs::claim(&db.ingest, "idle", LEASE).await.unwrap(), None);
}

#[tokio::test]
async fn completing_twice_duplicates_nothing() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.queue(&teacher, Visibility::Private).await;
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    let passages = passages_of(&["Curve the fingers.", "Sit upright."]);
    jobs::complete(&db.ingest, &job.lease, &processed(&passages))
        .await
        .unwrap();
    let once = stored_passages(&db).await;
    let twice = jobs::complete(&db.ingest, &job.lease, &processed(&passages)).await;
    assert!(matches!(twice, Err(Error::LeaseLost)), "{twice:?}");
    assert_eq!(stored_passages(&db).await, once);
}

#[tokio::test]
async fn a_document_that_is_read_again_keeps_the_ids_of_unchanged_passages() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let ids = "select id from document_chunks order by chunk_index";
    let first_texts = ["Curve the fingers.", "Sit upright.", "Breathe."];
    db.ready(&teacher, Visibility::Private, &first_texts).await;
    let first: Vec<uuid::Uuid> = sqlx::query_scalar(ids).fetch_all(&db.owner).await.unwrap();
    sqlx::query("update ingest_jobs set state = 'queued', finished_at = null")
        .execute(&db.owner)
        .await
        .unwrap();
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    let passages = passages_of(&["Curve the fingers.", "Sit well."]);
    jobs::complete(&db.ingest, &job.lease, &processed(&passages))
        .await
        .unwrap();
    let second: Vec<uuid::Uuid> = sqlx::query_scalar(ids).fetch_all(&db.owner).await.unwrap();
    assert_eq!(second.len(), 2);
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
}

#[tokio::test]
async fn a_job_that_fails_each_time_ends_with_a_reason_that_its_owner_can_read() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    for attempt in 1..=MAX_ATTEMPTS {
        let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
        assert_eq!(job.attempt, attempt);
        let after = jobs::fail(&db.ingest, &job.lease, PASSING).await.unwrap();
        let shown = document(&db, &teacher, id).await;
        if attempt < MAX_ATTEMPTS {
            assert_eq!(after, AfterFailure::WillRetry);
            assert_eq!(
                (shown.status, shown.failure),
                (DocumentStatus::Queued, None)
            );
        } else {
            assert_eq!(after, AfterFailure::Dead);
            assert_eq!(shown.status, DocumentStatus::Failed);
            assert_eq!(
                shown.failure.as_deref(),
                Some("The embedding service did not answer.")
            );
        }
    }
    assert_eq!(jobs::claim(&db.ingest, "w", LEASE).await.unwrap(), None);
}

#[tokio::test]
async fn a_job_whose_workers_all_died_ends_with_a_reason_too() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    for _ in 0..MAX_ATTEMPTS {
        assert!(
            jobs::claim(&db.ingest, "dies", AT_ONCE)
                .await
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(jobs::claim(&db.ingest, "w", LEASE).await.unwrap(), None);
    let shown = document(&db, &teacher, id).await;
    assert_eq!(shown.status, DocumentStatus::Failed);
    assert!(shown.failure.is_some());
}

#[tokio::test]
async fn a_file_that_can_never_be_read_is_not_tried_again() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    let failure = Failure::ForGood {
        reason: "This file holds pictures of pages, and no text.",
    };
    let after = jobs::fail(&db.ingest, &job.lease, failure).await.unwrap();
    assert_eq!(after, AfterFailure::Dead);
    assert_eq!(
        document(&db, &teacher, id).await.status,
        DocumentStatus::Failed
    );
    assert_eq!(jobs::claim(&db.ingest, "w", LEASE).await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_job_waits_as_long_as_it_was_told_to() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.queue(&teacher, Visibility::Private).await;
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    let failure = Failure::Passing {
        reason: "The embedding service did not answer.",
        retry_in: Duration::from_mins(10),
    };
    jobs::fail(&db.ingest, &job.lease, failure).await.unwrap();
    assert_eq!(jobs::claim(&db.ingest, "w", LEASE).await.unwrap(), None);
    let backlog = jobs::backlog(&db.ingest).await.unwrap();
    assert_eq!(backlog.queued, 1);
    assert!(backlog.next_due_in.unwrap() > Duration::from_mins(9));
}

#[tokio::test]
async fn a_queued_job_wakes_a_worker_up() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut wake_up = WakeUp::listen(&db.ingest_url()).await.unwrap();
    db.queue(&teacher, Visibility::Private).await;
    wake_up.wait().await.unwrap();
    assert!(jobs::claim(&db.ingest, "w", LEASE).await.unwrap().is_some());
}

#[tokio::test]
async fn a_job_that_is_handed_back_is_due_at_once_and_has_lost_no_attempt() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let mut given_up = Vec::new();
    for _ in 0..2 * MAX_ATTEMPTS {
        let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
        assert_eq!(job.attempt, 1, "no attempt was counted");
        jobs::hand_back(&db.ingest, &job.lease).await.unwrap();
        given_up.push(job.lease);
        let waiting = document(&db, &teacher, id).await;
        assert_eq!(
            (waiting.status, waiting.stage),
            (DocumentStatus::Queued, None)
        );
    }
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    for lease in &given_up {
        let late = jobs::hand_back(&db.ingest, lease).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        assert!(!jobs::heartbeat(&db.ingest, lease, LEASE).await.unwrap());
    }
    jobs::fail(&db.ingest, &job.lease, PASSING).await.unwrap();
    for attempt in 2..=MAX_ATTEMPTS {
        let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
        assert_eq!(job.attempt, attempt);
        let after = jobs::fail(&db.ingest, &job.lease, PASSING).await.unwrap();
        assert_eq!(after == AfterFailure::Dead, attempt == MAX_ATTEMPTS);
    }
}

#[tokio::test]
async fn a_document_that_no_job_would_end_is_queued_again_and_no_other() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let whole = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let holed = db
        .ready(
            &teacher,
            Visibility::Private,
            &["Drop the wrist.", "Lift it."],
        )
        .await;
    let lost = db.queue(&teacher, Visibility::Private).await;
    for (statement, id) in [
        ("delete from ingest_jobs where doc_id = $1", lost),
        (
            "delete from document_chunks where doc_id = $1 and chunk_index = 1",
            holed,
        ),
    ] {
        let done = sqlx::query(statement).bind(id.0).execute(&db.owner).await;
        assert_eq!(done.unwrap().rows_affected(), 1);
    }
    let waiting = db.queue(&teacher, Visibility::Private).await;
    assert_eq!(jobs::requeue_stuck(&db.ingest).await.unwrap(), 2);
    assert_eq!(jobs::requeue_stuck(&db.ingest).await.unwrap(), 0);

    let mut claimed = BTreeSet::new();
    while let Some(job) = jobs::claim(&db.ingest, "w", LEASE).await.unwrap() {
        claimed.insert(job.file.document_id);
    }
    assert_eq!(claimed, BTreeSet::from([holed, lost, waiting]));
    let status = async |id| document(&db, &teacher, id).await.status;
    assert_eq!(
        status(holed).await,
        DocumentStatus::Ready,
        "what is left of it is found meanwhile"
    );
    assert_eq!(status(whole).await, DocumentStatus::Ready);
    assert_eq!(jobs::requeue_stuck(&db.ingest).await.unwrap(), 0);
}
