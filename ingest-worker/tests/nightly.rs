//! The night's run as a process, killed in the middle and done again.
//!
//! Needs what `jobs.rs` needs.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

#[expect(
    dead_code,
    reason = "several test binaries compile this file; this one uses a part of it"
)]
mod studio;
#[path = "../../storage/tests/support/mod.rs"]
mod support;
mod world;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shared_types::{
    documents::{DocumentStatus, Visibility},
    ids::DocumentId,
};
use std::process::{Output, Stdio};
use storage::{
    documents, jobs,
    reembedding::{self, Standby},
};
use studio::{BOOKLET, Studio};

const NEXT: &str = "@test/next";

/// Runs to its end; what it printed.
async fn night(studio: &Studio) -> String {
    let mut command = studio.command("nightly");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The number in the line of the report that begins with these words.
fn count(report: &str, what: &str) -> u64 {
    let line = report.lines().find(|line| line.starts_with(what));
    let line = line.unwrap_or_else(|| panic!("no line {what:?} in {report}"));
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// Takes a document's job away, as nothing in the product does.
async fn lose_the_job(studio: &Studio, id: DocumentId) {
    let done = sqlx::query("delete from ingest_jobs where doc_id = $1")
        .bind(id.0)
        .execute(&studio.db.owner)
        .await;
    assert_eq!(done.unwrap().rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_is_killed_is_made_good_by_the_next() {
    let studio = Studio::new().await;
    let deleted = studio.upload(BOOKLET).await;
    let whole = studio.upload(BOOKLET).await;
    studio.drain().await;
    let passages = studio.contents(whole).await.len() as u64;
    let stuck = studio.upload(BOOKLET).await;
    lose_the_job(&studio, stuck).await;
    reembedding::begin(&studio.db.ingest, NEXT, "cls")
        .await
        .unwrap();
    let mut tx = studio.db.reader(&studio.teacher).await;
    documents::delete(&mut tx, deleted).await.unwrap();
    tx.commit().await.unwrap();

    // In the middle of the stuck document.
    while studio.world.try_batch_arrived() {}
    studio.world.hold_embedding();
    let mut killed = studio.command("nightly").spawn().unwrap();
    studio.world.batch_arrived().await;
    killed.kill().await.unwrap();
    assert_eq!(
        studio.document(stuck).await.status,
        DocumentStatus::Processing
    );
    studio.expire_leases().await;

    studio.world.release_embedding();
    let report = night(&studio).await;
    for id in [whole, stuck] {
        assert_eq!(studio.document(id).await.status, DocumentStatus::Ready);
        assert_eq!(studio.contents(id).await.len() as u64, passages);
    }
    assert_eq!(count(&report, "documents that were stuck"), 0, "{report}");
    assert_eq!(count(&report, "documents made searchable"), 1, "{report}");
    assert_eq!(
        count(&report, "passages embedded"),
        2 * passages,
        "{report}"
    );
    assert_eq!(count(&report, "jobs left"), 0, "{report}");
    let standing = reembedding::standing(&studio.db.ingest).await.unwrap();
    assert_eq!(standing.beside, standing.passages);
    assert_eq!(standing.standby, Standby::Building("@test/next#cls".into()));
    assert_eq!(
        studio.world.stored().len(),
        2,
        "the deleted one's file is gone"
    );

    let report = night(&studio).await;
    let done: u64 = report
        .lines()
        .map(|line| {
            line.split_whitespace()
                .last()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(done, 0, "nothing is left to do: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_building_that_a_night_was_killed_in_goes_on_the_next() {
    let studio = Studio::new().await;
    let id = studio.upload(BOOKLET).await;
    studio.drain().await;
    let passages = studio.contents(id).await.len() as u64;
    reembedding::begin(&studio.db.ingest, NEXT, "cls")
        .await
        .unwrap();
    while studio.world.try_batch_arrived() {}
    studio.world.hold_embedding();
    let mut killed = studio.command("nightly").spawn().unwrap();
    studio.world.batch_arrived().await;
    killed.kill().await.unwrap();
    studio.world.release_embedding();
    let mut tx = studio.db.reader(&studio.teacher).await;
    let forgotten = studio
        .db
        .announce(&studio.teacher, Visibility::Private)
        .await;
    documents::delete(&mut tx, forgotten).await.unwrap();
    tx.commit().await.unwrap();
    let report = night(&studio).await;
    assert_eq!(count(&report, "passages embedded"), passages, "{report}");
    assert_eq!(count(&report, "files of deleted documents"), 1, "{report}");
    let standing = reembedding::standing(&studio.db.ingest).await.unwrap();
    assert_eq!(standing.beside, passages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_document_is_counted_and_read() {
    let studio = Studio::new().await;
    let stuck = studio.upload(BOOKLET).await;
    lose_the_job(&studio, stuck).await;
    let report = night(&studio).await;
    assert_eq!(count(&report, "documents that were stuck"), 1, "{report}");
    assert_eq!(count(&report, "documents made searchable"), 1, "{report}");
    assert_eq!(studio.document(stuck).await.status, DocumentStatus::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_is_told_to_stop_hands_back_what_it_holds() {
    let studio = Studio::new().await;
    studio.world.hold_embedding();
    let id = studio.upload(BOOKLET).await;
    let mut running = studio.command("nightly").spawn().unwrap();
    studio.world.batch_arrived().await;
    let pid = Pid::from_raw(running.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(!running.wait().await.unwrap().success(), "not all was done");
    let job = jobs::claim(&studio.db.ingest, "another", support::LEASE).await;
    let job = job.unwrap().unwrap();
    assert_eq!((job.file.document_id, job.attempt), (id, 1));
}
