//! A searchable document that is read once more: found as it was until the new reading is whole.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rag_core::scope::ScopeFacts;
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{Document, DocumentStatus, IngestStage, Visibility},
    ids::{ChunkId, DocumentId},
};
use std::time::Duration;
use storage::{
    documents,
    jobs::{self, Failure, Job},
    passages, scope,
};
use support::{Database, LEASE, passages_of, processed};
use uuid::Uuid;

const OLD: &str = "Curve the fingers.";
const NEW: &str = "Let the arm carry the hand.";

/// A teacher, a student of theirs, and a private document that both find.
struct Studio {
    db: Database,
    teacher: AccessClaims,
    student: AccessClaims,
    id: DocumentId,
}

impl Studio {
    async fn new() -> Self {
        let db = Database::new().await;
        let teacher = db.person(Role::Teacher).await;
        let student = db.person(Role::Student).await;
        db.link(&teacher, &student).await;
        let id = db.ready(&teacher, Visibility::Private, &[OLD]).await;
        Self {
            db,
            teacher,
            student,
            id,
        }
    }

    async fn read_again(&self) -> Document {
        let mut tx = self.db.reader(&self.teacher).await;
        let document = documents::read_again(&mut tx, self.id).await.unwrap();
        tx.commit().await.unwrap();
        document
    }

    async fn claim(&self) -> Job {
        let job = jobs::claim(&self.db.ingest, "a worker", LEASE).await;
        job.unwrap().unwrap()
    }

    /// The document as its owner sees it.
    async fn document(&self) -> Document {
        let mut tx = self.db.reader(&self.teacher).await;
        documents::get(&mut tx, self.id).await.unwrap().document
    }

    /// What the student finds in it.
    async fn found(&self) -> Vec<String> {
        let ids: Vec<Uuid> = sqlx::query_scalar("select id from document_chunks where doc_id = $1")
            .bind(self.id.0)
            .fetch_all(&self.db.owner)
            .await
            .unwrap();
        let ids: Vec<ChunkId> = ids.into_iter().map(ChunkId).collect();
        let mut tx = self.db.reader(&self.student).await;
        let counted: i64 = sqlx::query_scalar("select sum(chunk_count)::int8 from corpus_versions")
            .fetch_one(tx.connection())
            .await
            .unwrap();
        assert_eq!(
            usize::try_from(counted).unwrap(),
            ids.len(),
            "statistics are of what is found"
        );
        let found = passages::by_ids(&mut tx, &ids).await.unwrap();
        documents::open(&mut tx, self.id)
            .await
            .expect("its file is theirs to open all the time");
        found.into_iter().map(|passage| passage.content).collect()
    }

    /// What every cache key of the student's rests on.
    async fn version(&self) -> ScopeFacts {
        let mut tx = self.db.reader(&self.student).await;
        scope::facts(&mut tx).await.unwrap()
    }
}

#[tokio::test]
async fn a_document_is_found_as_it_was_until_the_new_reading_is_whole() {
    let studio = Studio::new().await;
    let before = studio.version().await;
    let queued = studio.read_again().await;
    assert_eq!(queued.status, DocumentStatus::Ready);
    assert_eq!(queued.stage, Some(IngestStage::Extracting));
    assert_eq!(studio.found().await, [OLD]);

    let job = studio.claim().await;
    assert!(
        jobs::progress(&studio.db.ingest, &job.lease, IngestStage::Embedding, 3, 9)
            .await
            .unwrap()
    );
    let seen = studio.document().await;
    assert_eq!(
        (seen.status, seen.stage, seen.progress_done),
        (DocumentStatus::Ready, Some(IngestStage::Embedding), 3)
    );
    assert_eq!(studio.found().await, [OLD]);
    assert_eq!(
        studio.version().await,
        before,
        "nothing that a reader finds has changed, and no cache is thrown away"
    );

    let passages = passages_of(&[NEW]);
    jobs::complete(&studio.db.ingest, &job.lease, &processed(&passages))
        .await
        .unwrap();
    assert_eq!(studio.found().await, [NEW]);
    assert_ne!(studio.version().await, before);
    let done = studio.document().await;
    assert_eq!(
        (done.status, done.stage, done.failure),
        (DocumentStatus::Ready, None, None)
    );
}

#[tokio::test]
async fn a_reading_that_fails_leaves_the_old_passages_and_its_owner_reads_why() {
    let studio = Studio::new().await;
    let before = studio.version().await;
    studio.read_again().await;
    let first = studio.claim().await;
    let passing = Failure::Passing {
        reason: "The embedding service did not answer.",
        retry_in: Duration::ZERO,
    };
    jobs::fail(&studio.db.ingest, &first.lease, passing)
        .await
        .unwrap();
    let waiting = studio.document().await;
    assert_eq!(
        (waiting.status, waiting.stage, waiting.failure),
        (DocumentStatus::Ready, Some(IngestStage::Extracting), None)
    );

    let second = studio.claim().await;
    let reason = "The file is damaged.";
    jobs::fail(
        &studio.db.ingest,
        &second.lease,
        Failure::ForGood { reason },
    )
    .await
    .unwrap();
    let failed = studio.document().await;
    assert_eq!(
        (failed.status, failed.stage, failed.failure.as_deref()),
        (DocumentStatus::Ready, None, Some(reason))
    );
    assert_eq!(studio.found().await, [OLD]);
    assert_eq!(studio.version().await, before);

    let again = studio.read_again().await;
    assert_eq!(again.failure, None, "it may be tried again at any time");
}

#[tokio::test]
async fn a_reading_that_kills_every_worker_leaves_the_old_passages() {
    let studio = Studio::new().await;
    studio.read_again().await;
    for _ in 0..jobs::MAX_ATTEMPTS {
        let job = jobs::claim(&studio.db.ingest, "a worker", Duration::ZERO).await;
        assert!(job.unwrap().is_some());
    }
    let none = jobs::claim(&studio.db.ingest, "a worker", LEASE).await;
    assert_eq!(none.unwrap(), None);
    let buried = studio.document().await;
    assert_eq!(buried.status, DocumentStatus::Ready);
    assert!(buried.failure.unwrap().contains("worker stopped each time"));
    assert_eq!(studio.found().await, [OLD]);
}
