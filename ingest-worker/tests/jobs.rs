//! Jobs from the queue in a real Postgres to their end.
//!
//! Needs `ETUDE_TEST_DATABASE_URL` (see `storage/tests/support`), `PDFIUM_LIBRARY` and `ETUDE_MODELS_DIR`.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

#[path = "../../storage/tests/support/mod.rs"]
mod support;
mod world;

use ingest_worker::{
    config::{Config, EdgeConfig, EmbeddingConfig, R2Config, Rhythm},
    extract::{Extractor, Limits},
    worker::{Until, Worker},
};
use rag_core::lines::{Line, highlight};
use sha2::{Digest, Sha256};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{CreateDocument, Document, DocumentStatus, IngestStage, Visibility},
    ids::DocumentId,
};
use sqlx::types::Json;
use std::{future::pending, path::Path, process::Stdio, time::Duration};
use storage::{
    documents, jobs,
    reembedding::{self, Place},
};
use support::Database;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};
use world::{EDGE_TOKEN, World, until};

const MODEL: &str = "@local/all-minilm-l6-v2";
const BOOKLET: &str = "../sample-library/pdf/05-practice-and-memory.pdf";

/// A teacher with a database and a cloud.
struct Studio {
    db: Database,
    world: World,
    teacher: AccessClaims,
}

impl Studio {
    async fn new() -> Self {
        let db = Database::new().await;
        let teacher = db.person(Role::Teacher).await;
        let world = World::new().await;
        Self { db, world, teacher }
    }

    /// Uploads and confirms a file of this crate's folder.
    async fn upload(&self, path: &str) -> DocumentId {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        self.upload_bytes(std::fs::read(file).unwrap()).await
    }

    async fn upload_bytes(&self, bytes: Vec<u8>) -> DocumentId {
        let id = DocumentId(support::fresh_id());
        let announced = CreateDocument {
            title: "Practice and Memory".into(),
            file_name: "practice.pdf".into(),
            size_bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            visibility: Visibility::Private,
        };
        let owner = self.teacher.sub;
        self.world
            .put(&format!("teachers/{owner}/{id}/original.pdf"), bytes);
        let mut tx = self.db.reader(&self.teacher).await;
        documents::create(&mut tx, id, &announced).await.unwrap();
        documents::confirm(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    fn config(&self) -> Config {
        Config {
            database_url: self.db.ingest_url().into(),
            r2: R2Config {
                endpoint: self.world.url("r2"),
                region: "auto".into(),
                library_bucket: "piano-knowledge".into(),
                access_key_id: "key".into(),
                secret_access_key: "secret".into(),
            },
            embedding: EmbeddingConfig {
                api_base: self.world.url("ai"),
                account_id: "account".into(),
                api_token: "token".into(),
                model: MODEL.into(),
                retry_delay: Duration::from_millis(1),
            },
            edge: EdgeConfig {
                url: self.world.url("edge"),
                token: EDGE_TOKEN.into(),
            },
            tokenizer_file: tokenizer_file().into(),
            extractor: Extractor {
                program: env!("CARGO_BIN_EXE_ingest-worker").into(),
                library: pdfium_library().into(),
                limits: Limits::default(),
                deadline: Duration::from_mins(5),
            },
            concurrency: 2,
            rhythm: Rhythm {
                heartbeat: Duration::from_millis(50),
                sweep: Duration::from_millis(50),
                retry: Duration::from_millis(1),
                ..Rhythm::default()
            },
        }
    }

    /// Works until the queue is empty.
    async fn drain(&self) {
        let worker = Worker::start(self.config(), "a worker".into());
        worker.await.unwrap().run(Until::Drained, pending()).await;
    }

    /// A worker that drains the queue.
    async fn spawn_with_heartbeat(&self, heartbeat: Duration) -> JoinHandle<()> {
        let mut config = self.config();
        config.rhythm.heartbeat = heartbeat;
        // With a free hand it would claim the job again itself.
        config.concurrency = 1;
        let worker = Worker::start(config, "slow".into()).await.unwrap();
        tokio::spawn(async move { worker.run(Until::Drained, pending()).await })
    }

    /// Takes the one running job over and completes it with this passage.
    async fn do_it_elsewhere(&self, passage: &str) {
        let job = loop {
            self.expire_leases().await;
            let claimed = jobs::claim(&self.db.ingest, "another", support::LEASE).await;
            // The slow worker's heartbeat may have come first.
            if let Some(job) = claimed.unwrap() {
                break job;
            }
        };
        assert_eq!(job.attempt, 2);
        let passages = support::passages_of(&[passage]);
        let processed = support::processed(&passages);
        jobs::complete(&self.db.ingest, &job.lease, &processed)
            .await
            .unwrap();
    }

    /// A worker as a process.
    fn process(&self) -> Child {
        let config = self.config();
        Command::new(env!("CARGO_BIN_EXE_ingest-worker"))
            .arg("run")
            .env_clear()
            .env("DATABASE_URL", self.db.ingest_url())
            .env("R2_ENDPOINT", config.r2.endpoint.as_str())
            .env("R2_ACCESS_KEY_ID", "key")
            .env("R2_SECRET_ACCESS_KEY", "secret")
            .env("CLOUDFLARE_API_BASE", config.embedding.api_base.as_str())
            .env("CLOUDFLARE_ACCOUNT_ID", "account")
            .env("CLOUDFLARE_API_TOKEN", "token")
            .env("EMBEDDING_MODEL", MODEL)
            .env("TOKENIZER_FILE", tokenizer_file())
            .env("PDFIUM_LIBRARY", pdfium_library())
            .env("EDGE_URL", config.edge.url.as_str())
            .env("EDGE_TOKEN", EDGE_TOKEN)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn document(&self, id: DocumentId) -> Document {
        let mut tx = self.db.reader(&self.teacher).await;
        documents::get(&mut tx, id).await.unwrap().document
    }

    async fn contents(&self, id: DocumentId) -> Vec<String> {
        sqlx::query_scalar(
            "select content from document_chunks where doc_id = $1 order by chunk_index",
        )
        .bind(id.0)
        .fetch_all(&self.db.owner)
        .await
        .unwrap()
    }

    async fn attempts(&self, id: DocumentId) -> i32 {
        sqlx::query_scalar("select attempts from ingest_jobs where doc_id = $1")
            .bind(id.0)
            .fetch_one(&self.db.owner)
            .await
            .unwrap()
    }

    /// As if the worker had not been heard of for a minute.
    async fn expire_leases(&self) {
        sqlx::query("update ingest_jobs set lease_expires_at = now() where state = 'running'")
            .execute(&self.db.owner)
            .await
            .unwrap();
    }
}

fn tokenizer_file() -> String {
    let models = std::env::var("ETUDE_MODELS_DIR").expect(
        "set ETUDE_MODELS_DIR to a folder with minilm/tokenizer.json; `cargo xtask test` does",
    );
    format!("{models}/minilm/tokenizer.json")
}

fn pdfium_library() -> String {
    std::env::var("PDFIUM_LIBRARY")
        .expect("set PDFIUM_LIBRARY to the path of libpdfium.so; `cargo xtask test` does")
}

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
    let scan = studio.upload("tests/fixtures/scan.pdf").await;
    let unmapped = studio.upload("tests/fixtures/all-unmapped.pdf").await;
    let letter = studio.upload_bytes(b"Dear teacher,\n".to_vec()).await;
    studio.drain().await;
    for (id, words) in [
        (encrypted, "Save a copy without a password"),
        (scan, "Run text recognition (OCR)"),
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
