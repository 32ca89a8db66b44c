//! The services that are compared, each a process of its own, over the same library.

use super::super::shelf::Shelf;
use crate::{clock, cpu, load, python, token};
use anyhow::ensure;
use axum::{Router, body::Bytes, http::header::CONTENT_TYPE, routing::get};
use local_stack::{
    Install, Lifetime, Stopwatch,
    ports::ReservedPort,
    process::{Process, Program, Readiness, RunAs},
};
use nix::sys::signal::Signal;
use shared_types::{headers::EDGE_TOKEN, ids::UserId};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command, task::AbortHandle};
use url::Url;

const AUDIENCE: &str = "authenticated";
/// Not secret: it is known to nobody but the services of one run.
const EDGE_SECRET: &str = "bench-edge-token";
/// Connections of a service to the database, the origin's default; shared out among its workers.
const CONNECTIONS: u32 = 16;
/// How long a service may take to answer for the first time, and to answer anything.
const READY_PATIENCE: Duration = Duration::from_mins(1);
const REPLY_PATIENCE: Duration = Duration::from_secs(30);
/// What is part of an origin and not called here leads nowhere.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A service in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Python {
    /// One hand-written statement. Its list by words finds what holds any word of the question, as the origin's does.
    ByHandAnyWord,
    /// The same, but a passage must hold every word, as most write it: cheaper, and mostly an empty list.
    ByHandEveryWord,
    /// LangChain's PGVectorStore; its list by words demands every word.
    LangChain,
}

impl Python {
    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ByHandAnyWord => "FastAPI + asyncpg, any word",
            Self::ByHandEveryWord => "FastAPI + asyncpg, every word",
            Self::LangChain => "FastAPI + LangChain",
        }
    }

    /// Its log's name.
    fn part(self) -> &'static str {
        match self {
            Self::ByHandAnyWord => "any-word",
            Self::ByHandEveryWord => "every-word",
            Self::LangChain => "langchain",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::ByHandAnyWord | Self::ByHandEveryWord => "by_hand",
            Self::LangChain => "by_langchain",
        }
    }
}

/// Who issues tokens and shows its keys; it ends with this.
struct Issuer {
    url: String,
    token: String,
    key_set: String,
    serving: AbortHandle,
}

impl Issuer {
    async fn start(person: UserId) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (token, key_set) = token::issue(&token::Claims {
            person,
            issuer: &format!("{url}/auth/v1"),
            audience: AUDIENCE,
            issued_at_s: clock::now_s(),
        })?;
        let key_set = key_set.to_string();
        let reply = Bytes::from(key_set.clone());
        let router = Router::new().route(
            "/auth/v1/.well-known/jwks.json",
            get(async move || ([(CONTENT_TYPE, "application/json")], reply)),
        );
        let serving = tokio::spawn(async move {
            // Ends with the process at the latest; a service that can't reach it answers nothing.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            token,
            key_set,
            serving: serving.abort_handle(),
        })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What the services are started with.
pub struct Site {
    repository: PathBuf,
    origin: PathBuf,
    packages: PathBuf,
    reader_url: Url,
    owner_url: Url,
    issuer: Issuer,
    logs: TempDir,
}

impl Site {
    /// Builds the origin as it is deployed and installs the packages, where they are not there yet.
    pub async fn prepare(
        install: &Install,
        folder: &Path,
        shelf: &Shelf,
        server: &str,
        person: UserId,
    ) -> anyhow::Result<Self> {
        let repository = install.repository.clone();
        Ok(Self {
            origin: build_origin(&repository).await?,
            packages: python::packages(python::SEARCH, &repository, folder).await?,
            reader_url: shelf.reader_url(server)?,
            owner_url: shelf.owner_url(server)?,
            issuer: Issuer::start(person).await?,
            logs: tempfile::Builder::new().prefix("etude-bench-").tempdir()?,
            repository,
        })
    }

    /// The origin.
    pub async fn origin(&self) -> anyhow::Result<Service> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut environment = vec![
            set("DATABASE_URL", self.reader_url.as_str()),
            set("DATABASE_MAX_CONNECTIONS", &CONNECTIONS.to_string()),
            set("EDGE_TOKEN", EDGE_SECRET),
            set("SUPABASE_URL", &self.issuer.url),
            set("VERTEX_BASE_URL", &format!("{NOWHERE}/v1")),
            set("VERTEX_PROJECT", "bench"),
            set("VERTEX_LOCATION", "global"),
            set("R2_ENDPOINT", NOWHERE),
            set("R2_ACCESS_KEY_ID", "bench"),
            set("R2_SECRET_ACCESS_KEY", "bench"),
            set("LOG_FORMAT", "json"),
        ];
        let port = ReservedPort::reserve(0)?.release();
        environment.push(set("ORIGIN_PORT", &port.to_string()));
        let program = self.program(
            "origin",
            self.origin.clone(),
            vec!["serve".into()],
            environment,
            port,
        );
        let service = Service::start(program, self.logs.path(), "Etude's origin", 1, port);
        self.await_first_reply(service?, "api/health").await
    }

    /// A service in Python with so many workers.
    pub async fn python(&self, python: Python, workers: u32) -> anyhow::Result<Service> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let database = match python {
            Python::ByHandAnyWord | Python::ByHandEveryWord => self.reader_url.to_string(),
            Python::LangChain => self.sqlalchemy_url(),
        };
        let words = match python {
            Python::ByHandAnyWord => "any",
            // LangChain can do no other, and does not ask.
            Python::ByHandEveryWord | Python::LangChain => "every",
        };
        let connections = (CONNECTIONS / workers).to_string();
        let mut environment = self.python_path();
        environment.extend([
            set("DATABASE_URL", &database),
            set("DATABASE_CONNECTIONS", &connections),
            set("WORDS", words),
            set("EDGE_TOKEN", EDGE_SECRET),
            set("JWT_ISSUER", &format!("{}/auth/v1", self.issuer.url)),
            set("JWT_AUDIENCE", AUDIENCE),
            set("JWT_KEY_SET", &self.issuer.key_set),
        ]);
        let port = ReservedPort::reserve(0)?.release();
        let arguments = format!(
            "-m uvicorn {}:app --host 127.0.0.1 --port {port} --workers {workers} --loop uvloop --http httptools \
             --no-access-log --log-level warning",
            python.module()
        );
        let arguments = arguments.split_whitespace().map(Into::into).collect();
        let python3 = PathBuf::from("python3");
        let program = self.program(python.part(), python3, arguments, environment, port);
        let service = Service::start(program, self.logs.path(), python.name(), workers, port);
        self.await_first_reply(service?, "health").await
    }

    /// Makes LangChain's table.
    pub async fn fill_langchain(&self) -> anyhow::Result<()> {
        let script = self.services().join("langchain_table.py");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .envs(self.python_path())
            .env("DATABASE_URL", self.sqlalchemy_url());
        python::succeed(&mut command, "langchain_table.py").await
    }

    /// A question to a service.
    pub fn request(&self, service: &Service, body: load::Body) -> load::Request {
        load::Request {
            url: format!("{}/v1/retrieve", service.url),
            authorization: format!("Bearer {}", self.issuer.token),
            headers: vec![(EDGE_TOKEN, EDGE_SECRET.to_owned())],
            body,
            status: 200,
        }
    }

    fn services(&self) -> PathBuf {
        self.repository.join("bench/python/services")
    }

    fn python_path(&self) -> Vec<(String, String)> {
        let (packages, services) = (self.packages.display(), self.services());
        let path = format!("{packages}:{}", services.display());
        // No bytecode in the checkout.
        vec![
            ("PYTHONPATH".to_owned(), path),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        ]
    }

    /// As the owner of the tables, by asyncpg, which is LangChain's own choice.
    fn sqlalchemy_url(&self) -> String {
        let url = self.owner_url.as_str();
        let scheme = self.owner_url.scheme().len();
        format!("postgresql+asyncpg{}", &url[scheme..])
    }

    fn program(
        &self,
        name: &'static str,
        executable: PathBuf,
        arguments: Vec<std::ffi::OsString>,
        mut environment: Vec<(String, String)>,
        port: u16,
    ) -> Program {
        // A proxy must not be asked for what is on this machine.
        for name in ["NO_PROXY", "no_proxy"] {
            environment.push((name.to_owned(), "127.0.0.1,localhost".to_owned()));
        }
        Program {
            name,
            executable,
            arguments,
            environment,
            hidden: Vec::new(),
            folder: self.logs.path().to_owned(),
            run_as: RunAs::Caller,
            stop_signal: Signal::SIGTERM,
            readiness: Readiness::Port(port),
        }
    }

    async fn await_first_reply(&self, service: Service, path: &str) -> anyhow::Result<Service> {
        let mut service = service;
        service.process.ready().await?;
        let client = client()?;
        let waiting = Stopwatch::start();
        // Workers that have not started yet leave a caller waiting, or hang up.
        loop {
            let reply = client.get(format!("{}/{path}", service.url)).send().await;
            if reply.is_ok_and(|reply| reply.status().is_success()) {
                return Ok(service);
            }
            ensure!(
                waiting.elapsed() < READY_PATIENCE,
                "{} does not answer:\n{}",
                service.name,
                service.process.tail()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A running service; it ends with this.
pub struct Service {
    pub name: &'static str,
    pub workers: u32,
    url: String,
    process: Process,
}

impl Service {
    fn start(
        program: Program,
        logs: &Path,
        name: &'static str,
        workers: u32,
        port: u16,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name,
            workers,
            url: format!("http://127.0.0.1:{port}"),
            process: Process::start(program, logs, Lifetime::WithParent)?,
        })
    }

    /// CPU milliseconds that it and its workers have spent.
    pub fn cpu_ms(&self) -> anyhow::Result<f64> {
        cpu::ms_of_tree(self.process.id())
    }

    /// Where it writes what happens.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// Asks over HTTP, with a time limit.
pub fn client() -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy();
    Ok(client.timeout(REPLY_PATIENCE).build()?)
}

async fn build_origin(repository: &Path) -> anyhow::Result<PathBuf> {
    eprintln!("build the origin as it is deployed");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo says about the package that it runs: build scripts that watch it would run anew for nothing.
    let of_this_package = [
        "CARGO_BIN_",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if of_this_package
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--package=origin-api",
        ])
        .current_dir(repository);
    python::succeed(&mut command, "cargo build --release").await?;
    let program = repository.join("target/release/origin-api");
    ensure!(
        program.exists(),
        "cargo built no {}; unset CARGO_TARGET_DIR",
        program.display()
    );
    Ok(program)
}
