//! A database of its own for every test, and people and documents to put into it.
//!
//! `ETUDE_TEST_DATABASE_URL` names a superuser of a running cluster that lets its roles in without
//! a password. The schema is made once and copied; the copy is dropped with [`Database`].

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]
#![expect(
    dead_code,
    reason = "every test binary compiles this file and uses a part of it"
)]

use rag_core::{
    access::Reader,
    chunking::{Chunk, Unit},
};
use sha2::{Digest, Sha256};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, AppMetadata, Role},
    documents::{CreateDocument, SourceFormat, Visibility},
    embedding::{DIMENSIONS, Embedding},
    ids::{DocumentId, UserId},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use std::{
    env,
    future::poll_fn,
    pin::pin,
    process,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
    thread,
    time::Duration,
};
use storage::{
    PoolSettings, ReaderTx, documents,
    jobs::{self, EmbeddedChunk, Legibility, Processed},
    reader,
};
use url::Url;
use uuid::Uuid;

pub const MODEL: &str = "@test/encoder#cls";
pub const LEASE: Duration = Duration::from_mins(1);

const BOOTSTRAP: &str = include_str!("../../../local-cloud/supabase/bootstrap.sql");
/// Any number, the same in every process: one of them makes the template.
const TEMPLATE_LOCK: i64 = 0x0065_7475_6465;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A database that lives as long as its test.
pub struct Database {
    name: String,
    /// As `etude_origin`, the role of the origin.
    pub origin: PgPool,
    /// As `etude_ingest`, the role of the ingest worker.
    pub ingest: PgPool,
    /// As the owner of the tables, who sees everything.
    pub owner: PgPool,
}

impl Database {
    pub async fn new() -> Self {
        let template = template().await;
        let name = format!(
            "etude_test_{}_{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut cluster = PgConnection::connect(cluster_url().as_str()).await.unwrap();
        // Left over from a test that was killed in a process of the same number.
        for statement in [
            format!("drop database if exists {name} with (force)"),
            format!("create database {name} template {template}"),
        ] {
            cluster.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        cluster.close().await.unwrap();
        Self {
            origin: pool(&url(&name, Some("etude_origin"))).await,
            ingest: pool(&url(&name, Some("etude_ingest"))).await,
            owner: pool(&url(&name, None)).await,
            name,
        }
    }

    /// As `etude_origin`, through the pooler that `ETUDE_TEST_POOLER_URL` names.
    pub fn pooler_url(&self) -> Url {
        let text = env::var("ETUDE_TEST_POOLER_URL").expect(
            "ETUDE_TEST_POOLER_URL is not set: it names a PgBouncer in transaction mode in front of \
             the server of ETUDE_TEST_DATABASE_URL; `cargo xtask test` sets it",
        );
        let mut url: Url = text.parse().expect("ETUDE_TEST_POOLER_URL is a URL");
        url.set_path(&self.name);
        url.set_username("etude_origin").unwrap();
        url.set_password(None).unwrap();
        url
    }

    pub fn origin_url(&self) -> String {
        url(&self.name, Some("etude_origin")).to_string()
    }

    pub fn ingest_url(&self) -> String {
        url(&self.name, Some("etude_ingest")).to_string()
    }

    /// Signs somebody up, as Supabase Auth does.
    pub async fn person(&self, role: Role) -> AccessClaims {
        let id = UserId(fresh_id());
        sqlx::query(
            "insert into auth.users (id, email, raw_app_meta_data, raw_user_meta_data) \
             values ($1, $2, jsonb_build_object('role', $3::text), '{\"full_name\": \"A. Person\"}')",
        )
        .bind(id.0)
        .bind(format!("{id}@example.com"))
        .bind(role.as_str())
        .execute(&self.owner)
        .await
        .unwrap();
        AccessClaims {
            email: Some(format!("{id}@example.com")),
            ..claims(id, role)
        }
    }

    pub async fn reader(&self, claims: &AccessClaims) -> ReaderTx {
        reader::begin(&self.origin, claims).await.unwrap()
    }

    /// Announces a document of this owner.
    pub async fn announce(&self, owner: &AccessClaims, visibility: Visibility) -> DocumentId {
        let id = DocumentId(fresh_id());
        let mut tx = self.reader(owner).await;
        documents::create(&mut tx, id, &announcement(visibility), SourceFormat::Pdf)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Announces and confirms a document: its job is queued.
    pub async fn queue(&self, owner: &AccessClaims, visibility: Visibility) -> DocumentId {
        let id = self.announce(owner, visibility).await;
        let mut tx = self.reader(owner).await;
        documents::confirm(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A document with these passages, one on a page, made searchable by a worker.
    pub async fn ready(
        &self,
        owner: &AccessClaims,
        visibility: Visibility,
        passages: &[&str],
    ) -> DocumentId {
        self.ready_with(owner, visibility, &passages_of(passages))
            .await
    }

    /// A document with these passages, made searchable by a worker.
    pub async fn ready_with(
        &self,
        owner: &AccessClaims,
        visibility: Visibility,
        passages: &[EmbeddedChunk],
    ) -> DocumentId {
        let id = self.queue(owner, visibility).await;
        self.work(id, passages).await;
        id
    }

    /// Has a document read once more, in which these passages are found.
    pub async fn read_again(&self, document: DocumentId, passages: &[&str]) {
        sqlx::query(
            "update ingest_jobs set state = 'queued', attempts = 0, finished_at = null \
             where doc_id = $1",
        )
        .bind(document.0)
        .execute(&self.owner)
        .await
        .unwrap();
        self.work(document, &passages_of(passages)).await;
    }

    /// Has its owner show a document to everybody, or not any more.
    pub async fn show(&self, owner: &AccessClaims, document: DocumentId, visibility: Visibility) {
        let mut tx = self.reader(owner).await;
        documents::set_visibility(&mut tx, document, visibility)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Removes a document with all that is known of it.
    pub async fn delete(&self, document: DocumentId) {
        sqlx::query("delete from knowledge_base_docs where id = $1")
            .bind(document.0)
            .execute(&self.owner)
            .await
            .unwrap();
    }

    /// The only queued job, done by a worker.
    async fn work(&self, document: DocumentId, passages: &[EmbeddedChunk]) {
        let job = jobs::claim(&self.ingest, "a worker", LEASE)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(job.file.document_id, document, "nothing else is queued");
        jobs::complete(&self.ingest, &job.lease, &processed(passages))
            .await
            .unwrap();
    }

    /// Makes somebody a teacher's student, whatever their roles by now.
    pub async fn link(&self, teacher: &AccessClaims, student: &AccessClaims) {
        sqlx::query(
            "insert into teacher_student_relationships (teacher_id, student_id) values ($1, $2) \
             on conflict do nothing",
        )
        .bind(teacher.sub.0)
        .bind(student.sub.0)
        .execute(&self.owner)
        .await
        .unwrap();
    }
}

/// Two studios and an admin.
pub struct Studios {
    pub first: AccessClaims,
    pub second: AccessClaims,
    pub admin: AccessClaims,
    /// A student of the first, of the second, of both and of none.
    pub students: Vec<(AccessClaims, Reader)>,
}

impl Studios {
    pub async fn new(db: &Database) -> Self {
        let (first, second) = (
            db.person(Role::Teacher).await,
            db.person(Role::Teacher).await,
        );
        let admin = db.person(Role::Admin).await;
        let studios: [&[&AccessClaims]; 4] = [&[&first], &[&second], &[&first, &second], &[]];
        let mut students = Vec::new();
        for teachers in studios {
            let student = db.person(Role::Student).await;
            for teacher in teachers {
                db.link(teacher, &student).await;
            }
            students.push(as_reader(student, teachers));
        }
        Self {
            first,
            second,
            admin,
            students,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.name.clone();
        // A thread of its own: the test's runtime may be stopping, or the test unwinding.
        let dropped = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let mut cluster = PgConnection::connect(cluster_url().as_str()).await?;
                    let statement = format!("drop database if exists {name} with (force)");
                    cluster.execute(AssertSqlSafe(statement)).await
                })
                .unwrap();
        });
        if dropped.join().is_err() {
            eprintln!("the database {} could not be dropped", self.name);
        }
    }
}

/// A database with the schema and nothing else, for `create database … template`.
async fn template() -> String {
    let mut hash = Sha256::new();
    hash.update(BOOTSTRAP);
    for migration in storage::MIGRATOR.iter() {
        hash.update(&migration.checksum);
    }
    let name = format!("etude_template_{}", &hex::encode(hash.finalize())[..16]);
    let mut cluster = PgConnection::connect(cluster_url().as_str()).await.unwrap();
    sqlx::query("select pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut cluster)
        .await
        .unwrap();
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut cluster)
            .await
            .unwrap();
    if !exists {
        let building = format!("{name}_building");
        for statement in [
            format!("drop database if exists {building} with (force)"),
            format!("create database {building}"),
        ] {
            cluster.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        let building_url = url(&building, None);
        let mut connection = PgConnection::connect(building_url.as_str()).await.unwrap();
        connection.execute(BOOTSTRAP).await.unwrap();
        connection.close().await.unwrap();
        storage::migrate(building_url.as_str()).await.unwrap();
        let statement = format!("alter database {building} rename to {name}");
        cluster.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    // The lock ends with the connection.
    cluster.close().await.unwrap();
    name
}

fn cluster_url() -> Url {
    let text = env::var("ETUDE_TEST_DATABASE_URL").expect(
        "ETUDE_TEST_DATABASE_URL is not set: it names a superuser of a running PostgreSQL with \
         pgvector, e.g. postgres://postgres@127.0.0.1:8791/postgres; `cargo xtask test` sets it",
    );
    text.parse().expect("ETUDE_TEST_DATABASE_URL is a URL")
}

fn url(database: &str, role: Option<&str>) -> Url {
    let mut url = cluster_url();
    url.set_path(database);
    if let Some(role) = role {
        url.set_username(role).unwrap();
        url.set_password(None).unwrap();
    }
    url
}

async fn pool(url: &Url) -> PgPool {
    let settings = PoolSettings {
        max_connections: 4,
        min_connections: 0,
        application_name: "etude-test",
        ..PoolSettings::default()
    };
    storage::connect(url.as_str(), settings).await.unwrap()
}

/// Goes away from a future that has been asked so often, unless it has ended by then; returns whether it has. What it asked
/// others for last is still under way.
pub async fn leave_after(polls: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Numbers below a bound each, without a pattern and the same on every run.
pub fn draws() -> impl FnMut(usize) -> usize {
    let mut drawn = 0x9e37_79b9_u64;
    move |bound| {
        drawn = drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(drawn >> 33).unwrap() % bound
    }
}

pub fn fresh_id() -> Uuid {
    Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())
}

pub fn claims(id: UserId, role: Role) -> AccessClaims {
    AccessClaims {
        sub: id,
        iss: "https://auth.school.example/auth/v1".into(),
        aud: "authenticated".into(),
        role: "authenticated".into(),
        app_metadata: AppMetadata { role },
        email: None,
        session_id: None,
    }
}

pub fn announcement(visibility: Visibility) -> CreateDocument {
    CreateDocument {
        title: "Hand position".into(),
        file_name: "hand position.pdf".into(),
        size_bytes: 12_345,
        sha256: "0123456789abcdef".repeat(4),
        visibility,
    }
}

/// Passages with these texts, one on a page.
pub fn passages_of(texts: &[&str]) -> Vec<EmbeddedChunk> {
    (0..)
        .zip(texts)
        .map(|(index, text)| {
            let chars = u32::try_from(text.chars().count()).unwrap();
            EmbeddedChunk {
                chunk: Chunk {
                    index,
                    content: (*text).into(),
                    units: vec![Unit {
                        page: index + 1,
                        page_start_char: 0,
                        page_end_char: chars,
                        chunk_start_char: 0,
                        chunk_end_char: chars,
                    }],
                    lines: Vec::new(),
                    page_start: index + 1,
                    page_end: index + 1,
                    section: None,
                    confidence: None,
                    token_count: 0,
                },
                embedding: embedding(text),
            }
        })
        .collect()
}

pub fn processed(chunks: &[EmbeddedChunk]) -> Processed<'_> {
    Processed {
        page_count: u32::try_from(chunks.len()).unwrap(),
        legibility: Legibility::default(),
        charset: None,
        embedding_model: MODEL,
        chunks,
    }
}

/// These documents alone; none stands for all.
pub fn within(documents: &[DocumentId]) -> SearchFilters {
    SearchFilters {
        document_ids: documents.to_vec(),
        ..SearchFilters::default()
    }
}

/// A vector that depends on the text and on nothing else, in a direction of its own.
pub fn embedding(text: &str) -> Embedding {
    let components = (0..DIMENSIONS / 32).flat_map(|block| {
        let digest = Sha256::digest(format!("{block} {text}"));
        digest
            .iter()
            .map(|byte| f32::from(*byte) / 127.5 - 1.0)
            .collect::<Vec<_>>()
    });
    Embedding::new(components.collect()).unwrap()
}

/// A person's claims beside what the access rules know of the person.
pub fn as_reader(claims: AccessClaims, teachers: &[&AccessClaims]) -> (AccessClaims, Reader) {
    let reader = Reader {
        user_id: claims.sub,
        role: claims.app_metadata.role,
        teachers: teachers.iter().map(|teacher| teacher.sub).collect(),
    };
    (claims, reader)
}
