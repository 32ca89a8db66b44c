//! A library on a server of its own, its workers as processes, and what a whole document is.

use crate::{
    chance::Chance,
    studio::{BOOKLET, environment},
    support,
    world::World,
};
use local_stack::{
    Lifetime,
    postgres::{Cluster, ClusterConfig, Purpose, SHARED_BUFFERS_MB},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sha2::{Digest, Sha256};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{CreateDocument, SourceFormat, Visibility},
    ids::{DocumentId, UserId},
};
use sqlx::{Executor, PgPool};
use std::{
    collections::BTreeMap,
    env,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use storage::{Error, PoolSettings, documents, reader};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::sleep,
};
use uuid::Uuid;

const BOOTSTRAP: &str = include_str!("../../../local-cloud/supabase/bootstrap.sql");
const PASSWORD: &str = "of this test";
/// A worker that is killed is missed after this long.
const LEASE_S: &str = "2";

/// A file that is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Sixteen pages.
    Booklet,
    /// A few lines in a narrow column.
    Short,
    /// Opens with a password only.
    Locked,
    /// No PDF at all.
    Letter,
}

impl Kind {
    /// A document says its kind in its title.
    pub fn of(title: &str) -> Self {
        [Self::Booklet, Self::Short, Self::Locked, Self::Letter]
            .into_iter()
            .find(|kind| format!("{kind:?}") == title)
            .unwrap()
    }

    fn bytes(self) -> Vec<u8> {
        let file = |path: &str| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        match self {
            Self::Booklet => file(BOOKLET).unwrap(),
            Self::Short => file("tests/fixtures/narrow.pdf").unwrap(),
            Self::Locked => file("tests/fixtures/encrypted.pdf").unwrap(),
            Self::Letter => b"Dear teacher,\n".to_vec(),
        }
    }

    /// What its owner reads where it can never be read; `None`: it can.
    fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Booklet | Self::Short => None,
            Self::Locked => Some("password"),
            Self::Letter => Some("not a PDF"),
        }
    }
}

/// All that is stored of a document.
#[derive(Debug, PartialEq)]
pub struct Whole {
    /// Index, text, pages and vector of each passage.
    pub chunks: Vec<(i32, String, i32, i32, String)>,
    /// Stem, block and postings.
    pub postings: Vec<(String, i32, Vec<u8>)>,
    pages: Option<i32>,
    chunk_count: i32,
    stem_count: i64,
}

pub struct Library {
    pub world: World,
    cluster: Option<Cluster>,
    config: ClusterConfig,
    teacher: AccessClaims,
    documents: Vec<DocumentId>,
    workers: Vec<Child>,
    wanted: usize,
    _folder: TempDir,
}

impl Library {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let installation = env::var("ETUDE_POSTGRES")
            .expect("set ETUDE_POSTGRES to the folder with bin/postgres; `cargo xtask test` does");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = ClusterConfig {
            installation: PathBuf::from(installation),
            folder: folder.path().join("postgres"),
            stack: folder.path().to_owned(),
            logs: folder.path().to_owned(),
            port: free.local_addr().unwrap().port(),
            password: PASSWORD.replace(' ', "-"),
            max_connections: 60,
            shared_buffers_mb: SHARED_BUFFERS_MB,
            // What was committed must outlive a killed server.
            purpose: Purpose::Data,
            lifetime: Lifetime::WithParent,
        };
        drop(free);
        let cluster = Cluster::start(&config).await.unwrap();
        let mut library = Self {
            world: World::new().await,
            cluster: Some(cluster),
            config,
            teacher: support::claims(UserId(support::fresh_id()), Role::Teacher),
            documents: Vec::new(),
            workers: Vec::new(),
            wanted: 0,
            _folder: folder,
        };
        library.make_schema().await;
        library
    }

    async fn make_schema(&mut self) {
        let owner = self.pool(None).await;
        owner.execute(BOOTSTRAP).await.unwrap();
        storage::migrate(&self.server_url()).await.unwrap();
        for role in ["etude_origin", "etude_ingest"] {
            let statement = format!("alter role {role} password '{}'", self.config.password);
            owner.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        sqlx::query(
            "insert into auth.users (id, email, raw_app_meta_data) \
             values ($1, 'teacher@example.com', '{\"role\": \"teacher\"}')",
        )
        .bind(self.teacher.sub.0)
        .execute(&owner)
        .await
        .unwrap();
    }

    fn url(&self, role: &str) -> String {
        let ClusterConfig { password, port, .. } = &self.config;
        format!("postgres://{role}:{password}@127.0.0.1:{port}/postgres")
    }

    /// As the superuser.
    pub fn server_url(&self) -> String {
        self.url("postgres")
    }

    async fn pool(&self, role: Option<&str>) -> PgPool {
        let settings = PoolSettings {
            max_connections: 2,
            min_connections: 0,
            application_name: "etude-test",
            ..PoolSettings::default()
        };
        let url = self.url(role.unwrap_or("postgres"));
        storage::connect(&url, settings).await.unwrap()
    }

    pub fn documents(&self) -> &[DocumentId] {
        &self.documents
    }

    pub fn first(&self) -> DocumentId {
        self.documents[0]
    }

    /// Uploads and confirms a file; the server may have been killed a moment ago.
    pub async fn upload(&mut self, kind: Kind) {
        let (id, bytes) = (DocumentId(support::fresh_id()), kind.bytes());
        let announced = CreateDocument {
            title: format!("{kind:?}"),
            file_name: "a file.pdf".into(),
            size_bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            visibility: Visibility::Private,
        };
        let key = format!("teachers/{}/{id}/original.pdf", self.teacher.sub);
        self.world.put(&key, bytes);
        let origin = self.pool(Some("etude_origin")).await;
        let mut tx = reader::begin(&origin, &self.teacher).await.unwrap();
        documents::create(&mut tx, id, &announced, SourceFormat::Pdf)
            .await
            .unwrap();
        documents::confirm(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
        self.documents.push(id);
    }

    pub async fn read_again(&self, id: DocumentId) {
        let origin = self.pool(Some("etude_origin")).await;
        let mut tx = reader::begin(&origin, &self.teacher).await.unwrap();
        match documents::read_again(&mut tx, id).await {
            Ok(_) => tx.commit().await.unwrap(),
            Err(Error::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// One document of each readable kind, read by an undisturbed worker.
    pub async fn read_without_faults(&mut self) -> Arc<BTreeMap<Kind, Whole>> {
        for kind in [Kind::Booklet, Kind::Short] {
            self.upload(kind).await;
        }
        let mut worker = self.worker(&["run", "--once"]);
        assert!(worker.wait().await.unwrap().success());
        let owner = self.pool(None).await;
        let mut expected = BTreeMap::new();
        for (kind, id) in [Kind::Booklet, Kind::Short]
            .into_iter()
            .zip(&self.documents)
        {
            let whole = stored(&owner, *id).await;
            assert!(!whole.chunks.is_empty() && !whole.postings.is_empty());
            expected.insert(kind, whole);
        }
        Arc::new(expected)
    }

    /// Has the transaction that stores a document wait three times: before its passages, between them and their words,
    /// and before its end.
    pub async fn slow_down_storing(&self, pace: Duration) {
        let owner = self.pool(None).await;
        let seconds = pace.as_secs_f64() / 3.0;
        let slow = format!(
            "create function slow() returns trigger language plpgsql as \
             $$ begin perform pg_sleep({seconds}); return null; end $$; \
             create trigger slow before insert on document_chunks for each statement execute function slow(); \
             create trigger slow after insert on document_postings for each statement execute function slow(); \
             create trigger slow after update of ready_at on knowledge_base_docs \
                 for each statement execute function slow();"
        );
        owner.execute(sqlx::AssertSqlSafe(slow)).await.unwrap();
    }

    /// Attempts beyond the first of each job: what faults cost.
    pub async fn repeated(&self) -> u64 {
        let owner = self.pool(None).await;
        let repeated: i64 =
            sqlx::query_scalar("select sum(greatest(attempts - 1, 0))::int8 from ingest_jobs")
                .fetch_one(&owner)
                .await
                .unwrap();
        repeated.try_into().unwrap()
    }

    fn worker(&self, words: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_ingest-worker"))
            .args(words)
            .env_clear()
            .envs(environment(&self.url("etude_ingest"), &self.world))
            .env("INGEST_LEASE_S", LEASE_S)
            .env("INGEST_RETRY_S", "1")
            .env("INGEST_SWEEP_S", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    pub fn run_workers(&mut self, wanted: usize) {
        self.wanted = wanted;
        self.revive_workers();
    }

    /// Starts those that have ended, as whoever looks after processes does.
    pub fn revive_workers(&mut self) {
        self.workers
            .retain_mut(|worker| worker.try_wait().unwrap().is_none());
        while self.workers.len() < self.wanted {
            self.workers.push(self.worker(&["run"]));
        }
    }

    pub async fn kill_a_worker(&mut self, chance: &mut Chance) {
        if let Some(mut worker) = self.take_a_worker(chance) {
            worker.kill().await.unwrap();
        }
    }

    pub async fn stop_a_worker(&mut self, chance: &mut Chance) {
        if let Some(mut worker) = self.take_a_worker(chance) {
            if let Some(id) = worker.id() {
                kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGTERM).unwrap();
            }
            worker.wait().await.unwrap();
        }
    }

    fn take_a_worker(&mut self, chance: &mut Chance) -> Option<Child> {
        let places: Vec<usize> = (0..self.workers.len()).collect();
        (!places.is_empty()).then(|| self.workers.swap_remove(chance.one_of(&places)))
    }

    /// Kills the server, and starts it again after this long.
    pub async fn restart_postgres(&mut self, outage: Duration) {
        self.cluster.take().unwrap().process_mut().kill();
        sleep(outage).await;
        self.cluster = Some(Cluster::start(&self.config).await.unwrap());
    }

    /// Waits until a worker has something in hand, or nothing is left.
    pub async fn until_busy(&mut self) {
        let owner = self.pool(None).await;
        loop {
            self.revive_workers();
            let (held, waiting): (i64, i64) = sqlx::query_as(
                "select count(*) filter (where state = 'running' and lease_expires_at > now()), \
                     count(*) filter (where state = 'queued') \
                 from ingest_jobs",
            )
            .fetch_one(&owner)
            .await
            .unwrap();
            if held > 0 || waiting == 0 {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until every job has ended.
    pub async fn settle(&mut self) {
        let owner = self.pool(None).await;
        loop {
            self.revive_workers();
            let left: i64 = sqlx::query_scalar(
                "select count(*) from ingest_jobs where state in ('queued', 'running')",
            )
            .fetch_one(&owner)
            .await
            .unwrap();
            if left == 0 {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Those whose attempts ran out, although their files can be read; each says why.
    pub async fn failed_by_faults(&self) -> Vec<DocumentId> {
        let owner = self.pool(None).await;
        let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
            "select id, title, failure from knowledge_base_docs where failure is not null",
        )
        .fetch_all(&owner)
        .await
        .unwrap();
        let mut failed = Vec::new();
        for (id, title, failure) in rows {
            if Kind::of(&title).refusal().is_none() {
                println!("{title} {id}: {failure}");
                assert!(failure.ends_with('.') && failure.contains(' '), "{failure}");
                failed.push(DocumentId(id));
            }
        }
        failed
    }

    /// Every document is whole and the same as without faults, or refused with the reason that its file deserves; and
    /// the corpus counts what is there.
    pub async fn check(&self, expected: &BTreeMap<Kind, Whole>) {
        let owner = self.pool(None).await;
        let rows: Vec<(Uuid, String, String, Option<String>, i32)> = sqlx::query_as(
            "select d.id, d.title, d.status, d.failure, j.attempts - j.handed_back \
             from knowledge_base_docs d join ingest_jobs j on j.doc_id = d.id",
        )
        .fetch_all(&owner)
        .await
        .unwrap();
        assert_eq!(rows.len(), self.documents.len(), "each has one job");
        let (mut chunks, mut stems) = (0, 0);
        for (id, title, status, failure, attempts) in rows {
            let kind = Kind::of(&title);
            assert!((1..=3).contains(&attempts), "{title}: {attempts} attempts");
            let found = stored(&owner, DocumentId(id)).await;
            if let Some(words) = kind.refusal() {
                assert_eq!(status, "failed");
                assert!(failure.unwrap().contains(words));
                assert!(found.chunks.is_empty() && found.postings.is_empty());
                continue;
            }
            assert_eq!((status.as_str(), failure), ("ready", None));
            let places: Vec<i32> = found.chunks.iter().map(|chunk| chunk.0).collect();
            assert!((0..).zip(&places).all(|(place, index)| place == *index));
            assert_eq!(found, expected[&kind]);
            chunks += i64::from(found.chunk_count);
            stems += found.stem_count;
        }
        let counted: Vec<(i64, i64)> =
            sqlx::query_as("select chunk_count, stem_count from corpus_versions")
                .fetch_all(&owner)
                .await
                .unwrap();
        assert_eq!(counted, [(chunks, stems)]);
    }
}

async fn stored(owner: &PgPool, id: DocumentId) -> Whole {
    let chunks = sqlx::query_as(
        "select chunk_index, content, page_start, page_end, md5(embedding::text) \
         from document_chunks where doc_id = $1 order by chunk_index",
    )
    .bind(id.0)
    .fetch_all(owner)
    .await
    .unwrap();
    let postings = sqlx::query_as(
        "select stem, block::int4, postings from document_postings where doc_id = $1 order by stem, block",
    )
    .bind(id.0)
    .fetch_all(owner)
    .await
    .unwrap();
    let (pages, chunk_count, stem_count) = sqlx::query_as(
        "select page_count, chunk_count, stem_count from knowledge_base_docs where id = $1",
    )
    .bind(id.0)
    .fetch_one(owner)
    .await
    .unwrap();
    Whole {
        chunks,
        postings,
        pages,
        chunk_count,
        stem_count,
    }
}
