//! A teacher with a database and a cloud, and the worker that serves them.

use crate::{
    support::{self, Database},
    world::{EDGE_TOKEN, World},
};
use ingest_worker::{
    config::{Config, EdgeConfig, EmbeddingConfig, R2Config, Rhythm},
    extract::{Extractor, Limits},
    recognize::Recognizer,
    worker::{Until, Worker},
};
use sha2::{Digest, Sha256};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{CreateDocument, Document, SourceFormat, Visibility},
    ids::DocumentId,
};
use std::{future::pending, path::Path, process::Stdio, time::Duration};
use storage::{documents, jobs};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

pub const MODEL: &str = "@local/all-minilm-l6-v2";
pub const BOOKLET: &str = "../sample-library/pdf/05-practice-and-memory.pdf";

/// A teacher with a database and a cloud.
pub struct Studio {
    pub db: Database,
    pub world: World,
    pub teacher: AccessClaims,
}

impl Studio {
    pub async fn new() -> Self {
        let db = Database::new().await;
        let teacher = db.person(Role::Teacher).await;
        let world = World::new().await;
        Self { db, world, teacher }
    }

    /// Uploads and confirms a file of this crate's folder.
    pub async fn upload(&self, path: &str) -> DocumentId {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        self.upload_bytes(std::fs::read(file).unwrap()).await
    }

    pub async fn upload_bytes(&self, bytes: Vec<u8>) -> DocumentId {
        self.upload_as(SourceFormat::Pdf, bytes).await
    }

    /// Uploads and confirms a file in this format.
    pub async fn upload_as(&self, format: SourceFormat, bytes: Vec<u8>) -> DocumentId {
        let id = DocumentId(support::fresh_id());
        let ending = format.endings()[0];
        let announced = CreateDocument {
            title: "Practice and Memory".into(),
            file_name: format!("practice.{ending}"),
            size_bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            visibility: Visibility::Private,
        };
        let owner = self.teacher.sub;
        self.world
            .put(&format!("teachers/{owner}/{id}/original.{ending}"), bytes);
        let mut tx = self.db.reader(&self.teacher).await;
        documents::create(&mut tx, id, &announced, format)
            .await
            .unwrap();
        documents::confirm(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub fn config(&self) -> Config {
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
                library: path("PDFIUM_LIBRARY").into(),
                limits: Limits::default(),
                deadline: Duration::from_mins(5),
            },
            recognizer: Recognizer {
                program: env!("CARGO_BIN_EXE_ingest-worker").into(),
                pdfium: path("PDFIUM_LIBRARY").into(),
                tesseract: path("TESSERACT_LIBRARY").into(),
                models: path("TESSDATA_DIR").into(),
                languages: "eng".into(),
                max_pages: 100,
                memory_bytes: Recognizer::MEMORY_BYTES,
                page_cpu_s: Recognizer::PAGE_CPU_S,
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
    pub async fn drain(&self) {
        let worker = Worker::start(self.config(), "a worker".into());
        worker.await.unwrap().run(Until::Drained, pending()).await;
    }

    /// A worker that drains the queue.
    pub async fn spawn_with_heartbeat(&self, heartbeat: Duration) -> JoinHandle<()> {
        let mut config = self.config();
        config.rhythm.heartbeat = heartbeat;
        // With a free hand it would claim the job again itself.
        config.concurrency = 1;
        let worker = Worker::start(config, "slow".into()).await.unwrap();
        tokio::spawn(async move { worker.run(Until::Drained, pending()).await })
    }

    /// Takes the one running job over and completes it with this passage.
    pub async fn do_it_elsewhere(&self, passage: &str) {
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
    pub fn process(&self) -> Child {
        self.command("run").spawn().unwrap()
    }

    /// The program with this subcommand and a worker's settings.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingest-worker"));
        command
            .arg(subcommand)
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// A worker's settings.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.db.ingest_url(), &self.world)
    }

    pub async fn document(&self, id: DocumentId) -> Document {
        let mut tx = self.db.reader(&self.teacher).await;
        documents::get(&mut tx, id).await.unwrap().document
    }

    pub async fn contents(&self, id: DocumentId) -> Vec<String> {
        sqlx::query_scalar(
            "select content from document_chunks where doc_id = $1 order by chunk_index",
        )
        .bind(id.0)
        .fetch_all(&self.db.owner)
        .await
        .unwrap()
    }

    pub async fn attempts(&self, id: DocumentId) -> i32 {
        sqlx::query_scalar("select attempts from ingest_jobs where doc_id = $1")
            .bind(id.0)
            .fetch_one(&self.db.owner)
            .await
            .unwrap()
    }

    /// As if the worker had not been heard of for a minute.
    pub async fn expire_leases(&self) {
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

fn path(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}; `cargo xtask test` does"))
}

/// The settings of a worker in this world.
pub fn environment(database_url: &str, world: &World) -> Vec<(String, String)> {
    let (r2, ai, edge) = (world.url("r2"), world.url("ai"), world.url("edge"));
    let (tokenizer, pdfium) = (tokenizer_file(), path("PDFIUM_LIBRARY"));
    let (tesseract, tessdata) = (path("TESSERACT_LIBRARY"), path("TESSDATA_DIR"));
    [
        ("DATABASE_URL", database_url),
        ("R2_ENDPOINT", r2.as_str()),
        ("R2_ACCESS_KEY_ID", "key"),
        ("R2_SECRET_ACCESS_KEY", "secret"),
        ("CLOUDFLARE_API_BASE", ai.as_str()),
        ("CLOUDFLARE_ACCOUNT_ID", "account"),
        ("CLOUDFLARE_API_TOKEN", "token"),
        ("EMBEDDING_MODEL", MODEL),
        ("TOKENIZER_FILE", &tokenizer),
        ("PDFIUM_LIBRARY", &pdfium),
        ("TESSERACT_LIBRARY", &tesseract),
        ("TESSDATA_DIR", &tessdata),
        ("EDGE_URL", edge.as_str()),
        ("EDGE_TOKEN", EDGE_TOKEN),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
