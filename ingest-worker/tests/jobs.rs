//! Jobs from the queue in a real Postgres to their end.
//!
//! Needs `ETUDE_TEST_DATABASE_URL` (see `storage/tests/support`), `PDFIUM_LIBRARY`, `TESSERACT_LIBRARY`,
//! `TESSDATA_DIR` and `ETUDE_MODELS_DIR`.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

mod studio;
#[path = "../../storage/tests/support/mod.rs"]
mod support;
mod world;

use ingest_worker::{
    recognize::Recognizer,
    worker::{Until, Worker},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rag_core::lines::{Line, highlight};
use shared_types::{
    claims::Role,
    documents::{DocumentStatus, IngestStage},
};
use sqlx::types::Json;
use std::time::Duration;
use storage::{
    documents, jobs,
    reembedding::{self, Place},
};
use studio::{BOOKLET, MODEL, Studio};
use world::until;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_searchable_and_its_readers_learn_of_it() {
    let studio = Studio::new().await;
    let student = studio.db.person(Role::Student).await;
    studio.db.link(&studio.teacher, &student).await;
    let id = studio.upload(BOOKLET).await;
    studio.drain().await;

    let document = studio.document(id).await;
    assert_eq!(document.status, DocumentStatus::Ready);
    assert_eq!(document.page_count, Some(16));
    let contents = studio.contents(id).await;
    assert!(contents.iter().any(|text| {
        text.contains("Short daily sessions do more than one long session at the weekend")
    }));
    assert_eq!(studio.world.embedded().concat(), contents);
    let models: Vec<String> =
        sqlx::query_scalar("select distinct embedding_model from document_chunks")
            .fetch_all(&studio.db.owner)
            .await
            .unwrap();
    assert_eq!(models, [format!("{MODEL}#cls")]);
    let mut readers = vec![studio.teacher.sub, student.sub];
    readers.sort_unstable();
    assert_eq!(studio.world.invalidated(), readers);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_word_of_a_stored_passage_can_be_marked_on_its_page() {
    let studio = Studio::new().await;
    let id = studio.upload(BOOKLET).await;
    studio.drain().await;
    let stored: Vec<(String, i32, i32, Json<Vec<Line>>)> = sqlx::query_as(
        "select content, page_start, page_end, metadata -> 'lines' from document_chunks where doc_id = $1",
    )
    .bind(id.0)
    .fetch_all(&studio.db.owner)
    .await
    .unwrap();
    assert!(!stored.is_empty());
    for (content, first, last, Json(lines)) in stored {
        let mut start = 0;
        for word in content.split([' ', '\n']) {
            let end = start + u32::try_from(word.chars().count()).unwrap();
            let marked = highlight(&content, &lines, &(start..end));
            let page = i32::try_from(marked[0].page).unwrap();
            assert!((first..=last).contains(&page), "{word}");
            start = end + 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_loses_nothing_and_repeats_nothing() {
    let studio = Studio::new().await;
    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    let mut worker = studio.process();
    studio.world.batch_arrived().await;
    worker.kill().await.unwrap();
    assert_eq!(studio.document(id).await.status, DocumentStatus::Processing);
    assert!(studio.contents(id).await.is_empty());

    studio.expire_leases().await;
    studio.world.release_embedding();
    studio.drain().await;
    assert_eq!(studio.document(id).await.status, DocumentStatus::Ready);
    assert_eq!(studio.attempts(id).await, 2);
    let after_kill = studio.contents(id).await;

    let undisturbed = studio.upload(BOOKLET).await;
    studio.drain().await;
    assert_eq!(after_kill, studio.contents(undisturbed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_unnoticed_changes_nothing_any_more() {
    let studio = Studio::new().await;
    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    let slow = studio.spawn_with_heartbeat(Duration::from_hours(1)).await;
    studio.world.batch_arrived().await;
    studio.do_it_elsewhere("Done by another worker.").await;

    studio.world.release_embedding();
    slow.await.unwrap();
    assert!(
        !studio.world.embedded().is_empty(),
        "the slow worker had its vectors"
    );
    assert_eq!(studio.contents(id).await, ["Done by another worker."]);
    assert!(studio.world.invalidated().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_notices_the_loss_of_its_lease_stops() {
    let studio = Studio::new().await;
    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    let slow = studio.spawn_with_heartbeat(Duration::from_millis(50)).await;
    studio.world.batch_arrived().await;
    studio.do_it_elsewhere("Done by another worker.").await;

    // The embedding service never answers it.
    slow.await.unwrap();
    assert_eq!(studio.contents(id).await, ["Done by another worker."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_being_embedded_while_the_model_changes_is_embedded_with_the_new_one() {
    const NEXT: &str = "@test/next#cls";
    let studio = Studio::new().await;
    studio.upload(BOOKLET).await;
    studio.drain().await;

    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    let worker = studio.spawn_with_heartbeat(Duration::from_millis(50)).await;
    while studio.document(id).await.stage != Some(IngestStage::Embedding) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ingest = &studio.db.ingest;
    reembedding::begin(ingest, "@test/next", "cls")
        .await
        .unwrap();
    let bare = reembedding::bare(ingest, Place::START, 1_000)
        .await
        .unwrap();
    let embedded: Vec<_> = bare
        .into_iter()
        .map(|bare| {
            let embedding = support::embedding(&bare.content);
            (bare, embedding)
        })
        .collect();
    reembedding::store(ingest, NEXT, &embedded).await.unwrap();
    assert_eq!(reembedding::switch(ingest, NEXT).await.unwrap(), 0);

    studio.world.release_embedding();
    worker.await.unwrap();
    assert_eq!(studio.document(id).await.status, DocumentStatus::Ready);
    assert_eq!(studio.attempts(id).await, 2);
    assert!(!studio.contents(id).await.is_empty());
    // The worker's settings still name the former one.
    let models: Vec<String> =
        sqlx::query_scalar("select distinct embedding_model from document_chunks")
            .fetch_all(&studio.db.owner)
            .await
            .unwrap();
    assert_eq!(models, [NEXT]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_embedding_service_is_asked_again() {
    let studio = Studio::new().await;
    studio.world.fail_embedding([429, 503]);
    let id = studio.upload(BOOKLET).await;
    studio.drain().await;
    assert_eq!(studio.document(id).await.status, DocumentStatus::Ready);
    assert_eq!(studio.attempts(id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stays_down_ends_the_job_after_three_attempts_with_a_reason() {
    let studio = Studio::new().await;
    studio.world.fail_embedding([503; 100]);
    let id = studio.upload(BOOKLET).await;
    studio.drain().await;
    let document = studio.document(id).await;
    assert_eq!(document.status, DocumentStatus::Failed);
    assert_eq!(studio.attempts(id).await, 3);
    let reason = document.failure.unwrap();
    assert!(
        reason.contains("the embedding service did not answer"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_can_never_be_read_fails_at_once_with_a_reason_for_its_owner() {
    let studio = Studio::new().await;
    let encrypted = studio.upload("tests/fixtures/encrypted.pdf").await;
    let drawing = studio.upload("tests/fixtures/drawing.pdf").await;
    let music = studio.upload("tests/fixtures/music.pdf").await;
    let unmapped = studio.upload("tests/fixtures/all-unmapped.pdf").await;
    let letter = studio.upload_bytes(b"Dear teacher,\n".to_vec()).await;
    studio.drain().await;
    for (id, words) in [
        (encrypted, "Save a copy without a password"),
        (drawing, "none could be recognised"),
        (music, "none could be recognised"),
        (unmapped, "can't be read on 1 of its pages"),
        (letter, "Export it as a PDF"),
    ] {
        let document = studio.document(id).await;
        assert_eq!(document.status, DocumentStatus::Failed);
        assert!(document.failure.unwrap().contains(words));
        assert_eq!(studio.attempts(id).await, 1);
    }
    assert!(studio.world.embedded().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_becomes_searchable() {
    let studio = Studio::new().await;
    let id = studio.upload("tests/fixtures/scan.pdf").await;
    studio.drain().await;
    let document = studio.document(id).await;
    assert_eq!(document.status, DocumentStatus::Ready);
    let contents = studio.contents(id).await.concat();
    assert!(contents.contains("an efficient fingering is to find fluent fingers"));
    // The owner is told how surely, and so is whoever asks the passages.
    assert_eq!(document.scanned_pages, document.page_count);
    assert!(document.scan_confidence.unwrap() > 80);
    assert_eq!(document.unreadable_pages, None);
    let unsure = "document_chunks where not (metadata ? 'confidence')";
    let unsure: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select count(*) from {unsure}"
    )))
    .fetch_one(&studio.db.owner)
    .await
    .unwrap();
    assert_eq!(unsure, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_too_many_scanned_pages_fails_with_their_number() {
    let studio = Studio::new().await;
    let mut config = studio.config();
    config.recognizer.max_pages = 3;
    let scan = studio.upload("tests/fixtures/scan.pdf").await;
    let mixed = studio.upload("tests/fixtures/mixed.pdf").await;
    let worker = Worker::start(config, "frugal".into()).await.unwrap();
    worker.run(Until::Drained, std::future::pending()).await;
    let failure = studio.document(scan).await.failure.unwrap();
    assert!(
        failure.starts_with(
            "4 pages of this PDF are scanned, and we read 3 at most. Split it into files with no more than 3 of them each"
        ),
        "{failure}"
    );
    assert_eq!(studio.document(mixed).await.status, DocumentStatus::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_text_do_not_go_with_scanned_ones_that_are_too_many_or_too_much() {
    for (max_pages, memory_bytes) in [(0, Recognizer::MEMORY_BYTES), (9, 64 << 20)] {
        let studio = Studio::new().await;
        let mut config = studio.config();
        config.recognizer.max_pages = max_pages;
        config.recognizer.memory_bytes = memory_bytes;
        let id = studio.upload("tests/fixtures/mixed.pdf").await;
        let worker = Worker::start(config, "frugal".into()).await.unwrap();
        worker.run(Until::Drained, std::future::pending()).await;
        let document = studio.document(id).await;
        assert_eq!(document.status, DocumentStatus::Ready, "{document:?}");
        assert_eq!(
            (document.scanned_pages, document.unreadable_pages),
            (None, Some(1))
        );
        assert_eq!(studio.attempts(id).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_other_than_the_announced_one_is_not_read() {
    let studio = Studio::new().await;
    let id = studio.upload(BOOKLET).await;
    let length = studio.document(id).await.size_bytes as usize;
    let key = format!("teachers/{}/{id}/original.pdf", studio.teacher.sub);
    studio.world.put(&key, vec![b'x'; length]);
    studio.drain().await;
    let document = studio.document(id).await;
    assert_eq!(document.status, DocumentStatus::Failed);
    assert!(document.failure.unwrap().contains("Upload it again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_job_wakes_an_idle_worker_and_a_stopped_one_finishes_its_work() {
    let studio = Studio::new().await;
    let mut config = studio.config();
    config.rhythm.sweep = Duration::from_hours(1);
    let worker = Worker::start(config, "idle".into()).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let work = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        worker.run(Until::Stopped, stopped).await;
    });
    let listens = || async {
        sqlx::query_scalar(
            "select exists (select from pg_stat_activity \
             where query like 'LISTEN%' and datname = current_database())",
        )
        .fetch_one(&studio.db.owner)
        .await
        .unwrap()
    };
    until(listens).await;
    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    studio.world.batch_arrived().await;
    stop.send(()).unwrap();
    studio.world.release_embedding();
    work.await.unwrap();
    assert_eq!(studio.document(id).await.status, DocumentStatus::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_hands_its_job_back() {
    let studio = Studio::new().await;
    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    let mut worker = studio.process();
    studio.world.batch_arrived().await;
    let pid = Pid::from_raw(worker.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(worker.wait().await.unwrap().success());
    assert_eq!(studio.document(id).await.status, DocumentStatus::Queued);

    // Nobody has to wait for a lease, and nothing was counted.
    studio.world.release_embedding();
    let job = jobs::claim(&studio.db.ingest, "another", support::LEASE).await;
    let job = job.unwrap().unwrap();
    assert_eq!((job.file.document_id, job.attempt), (id, 1));
    jobs::hand_back(&studio.db.ingest, &job.lease)
        .await
        .unwrap();
    studio.drain().await;
    assert_eq!(studio.document(id).await.status, DocumentStatus::Ready);
}

#[tokio::test]
async fn the_file_of_a_deleted_document_goes_however_often_the_store_fails() {
    let studio = Studio::new().await;
    let deleted = studio.upload(BOOKLET).await;
    let kept = studio.upload(BOOKLET).await;
    studio.drain().await;
    let mut tx = studio.db.reader(&studio.teacher).await;
    documents::delete(&mut tx, deleted).await.unwrap();
    tx.commit().await.unwrap();

    studio.world.break_store(true);
    studio.drain().await;
    assert_eq!(studio.world.stored().len(), 2, "it is still noted");
    studio.world.break_store(false);
    studio.drain().await;
    let owner = studio.teacher.sub;
    let left = format!("piano-knowledge/teachers/{owner}/{kept}/original.pdf");
    assert_eq!(studio.world.stored(), [left]);
}
