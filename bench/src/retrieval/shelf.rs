//! The library in a real PostgreSQL: made once by the product's own ingestion, copied for each run.

use super::{
    corpus::{self, Library},
    school::{self, Planned},
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use local_stack::{
    Install, Lifetime,
    postgres::{Cluster, ClusterConfig, Pooler, PoolerConfig, Purpose},
};
use rag_core::chunking::{Chunk, Unit};
use shared_types::{
    claims::Role,
    documents::{CreateDocument, SourceFormat, Visibility},
    embedding::Embedding,
    ids::{DocumentId, UserId},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};
use storage::{
    PgPool, PoolSettings, documents,
    jobs::{self, EmbeddedChunk, Legibility, Processed},
    reader,
};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// Model and pooling of every vector.
pub const MODEL: &str = "@bench/clustered#none";
/// What a server for this much data has, not what the smallest machine has.
const SHARED_BUFFERS_MB: u32 = 2_048;
/// For four services with pools of their own beside 32 clients.
const MAX_CONNECTIONS: u32 = 150;
const LEASE: Duration = Duration::from_mins(10);

/// The server; it ends with this.
pub struct Server {
    cluster: Cluster,
    folder: PathBuf,
    bootstrap: String,
}

impl Server {
    pub async fn start(install: &Install, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("retrieval");
        fs::create_dir_all(&folder)?;
        let config = ClusterConfig {
            installation: install.postgres.clone(),
            folder: folder.join("postgres"),
            stack: folder.clone(),
            logs: folder.clone(),
            port: 0,
            // It listens on this machine, for as long as the benchmark runs, and holds nothing.
            password: "bench".to_owned(),
            max_connections: MAX_CONNECTIONS,
            shared_buffers_mb: SHARED_BUFFERS_MB,
            purpose: Purpose::Tests,
            lifetime: Lifetime::WithParent,
        };
        let bootstrap = install
            .repository
            .join("local-cloud/supabase/bootstrap.sql");
        Ok(Self {
            cluster: Cluster::start(&config).await?,
            folder,
            bootstrap: fs::read_to_string(bootstrap)?,
        })
    }

    pub async fn stop(&mut self) {
        self.cluster.stop().await;
    }

    /// The superuser's URL.
    pub fn url(&self) -> &str {
        self.cluster.url()
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.cluster.process().id()
    }

    /// Where it writes what happens.
    pub fn log(&self) -> &Path {
        self.cluster.process().log()
    }

    /// PgBouncer in front of it.
    pub async fn pooler(
        &self,
        program: &Path,
        connections: u32,
        clients: u32,
    ) -> anyhow::Result<Pooler> {
        let config = PoolerConfig {
            program: program.to_owned(),
            folder: self.folder.join("pooler"),
            stack: self.folder.clone(),
            server: self.cluster.url().parse()?,
            roles: vec!["etude_origin".to_owned()],
            connections,
            clients,
        };
        Ok(Pooler::start(&config).await?)
    }

    /// An empty database without the product's tables, and its URL as the owner.
    pub async fn bare(&self, name: &str) -> anyhow::Result<Url> {
        let mut admin = self.connect("postgres").await?;
        run(
            &mut admin,
            format!("drop database if exists {name} with (force)"),
        )
        .await?;
        run(&mut admin, format!("create database {name}")).await?;
        self.url_of(name, None)
    }

    /// A library of nobody and nothing, in a database of its own.
    pub async fn empty(&self, name: &str) -> anyhow::Result<Shelf> {
        let url = self.bare(name).await?;
        let mut owner = self.connect(name).await?;
        owner.execute(AssertSqlSafe(self.bootstrap.clone())).await?;
        owner.close().await?;
        storage::migrate(url.as_str()).await?;
        Shelf::open(self, name.to_owned()).await
    }

    fn url_of(&self, database: &str, role: Option<&str>) -> anyhow::Result<Url> {
        url_at(self.url(), database, role)
    }

    async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(self.url_of(database, None)?.as_str()).await?)
    }

    /// A library of this many passages with nothing public yet, in a database of its own.
    pub async fn open(&self, library: &Library, passages: usize) -> anyhow::Result<Shelf> {
        let base = self.base(library, passages).await?;
        let name = format!("run_{passages}");
        let mut admin = self.connect("postgres").await?;
        run(
            &mut admin,
            format!("drop database if exists {name} with (force)"),
        )
        .await?;
        run(
            &mut admin,
            format!("create database {name} template {base} strategy file_copy"),
        )
        .await?;
        Shelf::open(self, name).await
    }

    /// The library as it is kept between runs.
    async fn base(&self, library: &Library, passages: usize) -> anyhow::Result<String> {
        let mut hasher = DefaultHasher::new();
        (corpus::EDITION, &self.bootstrap).hash(&mut hasher);
        for migration in storage::MIGRATOR.iter() {
            migration.checksum.hash(&mut hasher);
        }
        let name = format!("library_{passages}_{:016x}", hasher.finish());
        let mut admin = self.connect("postgres").await?;
        let others: Vec<String> = sqlx::query_scalar(
            "select datname::text from pg_database where datname like $1 and datname <> $2",
        )
        .bind(format!("library_{passages}_%"))
        .bind(&name)
        .fetch_all(&mut admin)
        .await?;
        for other in others {
            run(&mut admin, format!("drop database {other} with (force)")).await?;
        }
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(&name)
                .fetch_one(&mut admin)
                .await?;
        if !exists {
            let unfinished = format!("{name}_unfinished");
            let new = self.empty(&unfinished).await?;
            let mut owner = self.connect(&unfinished).await?;
            new.fill(library, passages, &mut owner).await?;
            new.close().await;
            owner.close().await?;
            run(
                &mut admin,
                format!("alter database {unfinished} rename to {name}"),
            )
            .await?;
        }
        Ok(name)
    }

    pub async fn discard(&self, used: Shelf) -> anyhow::Result<()> {
        let name = used.name.clone();
        used.close().await;
        let mut admin = self.connect("postgres").await?;
        run(&mut admin, format!("drop database {name} with (force)")).await
    }
}

fn url_at(server: &str, database: &str, role: Option<&str>) -> anyhow::Result<Url> {
    let mut url: Url = server.parse()?;
    url.set_path(database);
    if let Some(role) = role {
        url.set_username(role)
            .map_err(|()| anyhow::anyhow!("the server's URL takes no user"))?;
    }
    Ok(url)
}

/// Makes an account.
pub async fn sign_up<'a>(
    owner: impl Executor<'a, Database = Postgres>,
    id: Uuid,
    role: Role,
) -> anyhow::Result<()> {
    sqlx::query(
        "insert into auth.users (id, email, raw_app_meta_data) \
         values ($1, $1 || '@school.example', jsonb_build_object('role', $2::text))",
    )
    .bind(id)
    .bind(role.as_str())
    .execute(owner)
    .await?;
    Ok(())
}

async fn link(owner: &mut PgConnection, teacher: UserId, student: UserId) -> anyhow::Result<()> {
    sqlx::query(
        "insert into teacher_student_relationships (teacher_id, student_id) values ($1, $2)",
    )
    .bind(teacher.0)
    .bind(student.0)
    .execute(owner)
    .await?;
    Ok(())
}

async fn run(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// A database that holds the library.
pub struct Shelf {
    name: String,
    /// One connection, as the origin makes it.
    pub origin: PgPool,
    ingest: PgPool,
    /// As the owner of the tables.
    pub owner: PgPool,
}

impl Shelf {
    async fn open(server: &Server, name: String) -> anyhow::Result<Self> {
        let pool = async |role| {
            let settings = PoolSettings {
                max_connections: 1,
                application_name: "bench",
                ..PoolSettings::default()
            };
            anyhow::Ok(storage::connect(server.url_of(&name, role)?.as_str(), settings).await?)
        };
        Ok(Self {
            origin: pool(Some("etude_origin")).await?,
            ingest: pool(Some("etude_ingest")).await?,
            owner: pool(None).await?,
            name,
        })
    }

    /// As the origin connects, at this server or in front of it.
    pub fn reader_url(&self, server: impl AsRef<str>) -> anyhow::Result<Url> {
        url_at(server.as_ref(), &self.name, Some("etude_origin"))
    }

    /// As the owner of the tables connects.
    pub fn owner_url(&self, server: impl AsRef<str>) -> anyhow::Result<Url> {
        url_at(server.as_ref(), &self.name, None)
    }

    /// The database.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn close(&self) {
        for pool in [&self.origin, &self.ingest, &self.owner] {
            pool.close().await;
        }
    }

    /// Makes everybody and everything, as sign-up, upload and ingestion would.
    async fn fill(
        &self,
        library: &Library,
        passages: usize,
        owner: &mut PgConnection,
    ) -> anyhow::Result<()> {
        for (id, role) in school::people() {
            sign_up(&mut *owner, id, role).await?;
        }
        for (teacher, student) in school::relationships() {
            link(&mut *owner, teacher, student).await?;
        }
        let documents = school::documents(passages);
        let bar = bar(&format!("ingest {passages} passages"), passages)?;
        let mut storing = Duration::ZERO;
        for planned in documents {
            let chunks = chunks(library, &planned);
            let start = Instant::now();
            self.ingest(&planned, &chunks).await?;
            storing += start.elapsed();
            bar.inc(planned.passages as u64);
        }
        bar.finish_and_clear();
        run(
            owner,
            format!(
                "create schema bench; create table bench.took as \
                 select {}::float8 as storing_s",
                storing.as_secs_f64()
            ),
        )
        .await?;
        self.settle().await
    }

    async fn ingest(&self, planned: &Planned, chunks: &[EmbeddedChunk]) -> anyhow::Result<()> {
        let owner = UserId(planned.owner);
        self.store(document_id(planned), owner, MODEL, chunks).await
    }

    /// Stores a private document of a teacher, as upload and ingestion would.
    pub async fn store(
        &self,
        id: DocumentId,
        owner: UserId,
        embedding_model: &str,
        chunks: &[EmbeddedChunk],
    ) -> anyhow::Result<()> {
        let claims = school::claims(owner, Role::Teacher);
        let mut tx = reader::begin(&self.origin, &claims).await?;
        let announced = CreateDocument {
            title: "Book".to_owned(),
            file_name: "book.pdf".to_owned(),
            size_bytes: 1,
            sha256: "0".repeat(64),
            visibility: Visibility::Private,
        };
        documents::create(&mut tx, id, &announced, SourceFormat::Pdf).await?;
        documents::confirm(&mut tx, id).await?;
        tx.commit().await?;
        let job = jobs::claim(&self.ingest, "bench", LEASE)
            .await?
            .context("a job was queued")?;
        let processed = Processed {
            page_count: chunks.len() as u32,
            legibility: Legibility::default(),
            charset: None,
            embedding_model,
            chunks,
        };
        jobs::complete(&self.ingest, &job.lease, &processed).await?;
        Ok(())
    }

    /// Publishes what becomes public at this stage; returns how many passages that are.
    pub async fn publish(&self, passages: usize, stage: usize) -> anyhow::Result<usize> {
        let documents: Vec<Planned> = school::documents(passages)
            .into_iter()
            .filter(|document| document.public_from == Some(stage))
            .collect();
        let published = documents.iter().map(|document| document.passages).sum();
        let bar = bar(&format!("publish {published} passages"), published)?;
        for planned in documents {
            let claims = school::claims(UserId(planned.owner), Role::Teacher);
            let mut tx = reader::begin(&self.origin, &claims).await?;
            documents::set_visibility(&mut tx, document_id(&planned), Visibility::Public).await?;
            tx.commit().await?;
            bar.inc(planned.passages as u64);
        }
        bar.finish_and_clear();
        self.settle().await?;
        Ok(published)
    }

    /// What autovacuum would have done by the time that anybody looks.
    pub async fn settle(&self) -> anyhow::Result<()> {
        // Vacuum marks no page whose last transaction has not reached the disk.
        self.owner.execute("checkpoint").await?;
        for table in [
            "document_chunks",
            "document_postings",
            "knowledge_base_docs",
            "corpus_versions",
            "teacher_student_relationships",
        ] {
            let statement = format!("vacuum (analyze) {table}");
            self.owner.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(())
    }

    /// Seconds that storing took when the library was made.
    pub async fn storing_s(&self) -> anyhow::Result<f64> {
        Ok(sqlx::query_scalar("select storing_s from bench.took")
            .fetch_one(&self.owner)
            .await?)
    }

    /// Size of a table or an index in MB.
    pub async fn size_mb(&self, relation: &str) -> anyhow::Result<f64> {
        let bytes: i64 = sqlx::query_scalar("select pg_relation_size(to_regclass($1))")
            .bind(relation)
            .fetch_one(&self.owner)
            .await?;
        Ok(bytes as f64 / 1e6)
    }
}

fn document_id(planned: &Planned) -> DocumentId {
    DocumentId(Uuid::from_u128(
        0xd0c0_0000_0000 + u128::from(planned.number),
    ))
}

fn chunks(library: &Library, planned: &Planned) -> Vec<EmbeddedChunk> {
    let written = library.document(planned.number, planned.passages, planned.is_hidden);
    (0..)
        .zip(written)
        .map(|(index, written)| passage(index, written.text, written.embedding))
        .collect()
}

/// A passage on a page of its own.
pub fn passage(index: u32, text: String, embedding: Embedding) -> EmbeddedChunk {
    let chars = text.chars().count() as u32;
    let unit = Unit {
        page: index + 1,
        page_start_char: 0,
        page_end_char: chars,
        chunk_start_char: 0,
        chunk_end_char: chars,
    };
    EmbeddedChunk {
        chunk: Chunk {
            index,
            content: text,
            units: vec![unit],
            lines: Vec::new(),
            page_start: index + 1,
            page_end: index + 1,
            section: None,
            confidence: None,
            token_count: 0,
        },
        embedding,
    }
}

/// A progress bar over passages.
pub fn bar(what: &str, passages: usize) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?;
    Ok(ProgressBar::new(passages as u64)
        .with_style(style)
        .with_message(what.to_owned()))
}
