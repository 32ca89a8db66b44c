//! `test`: every test there is.

use crate::{
    cache::Cache,
    checkout::{Checkout, cargo},
    fetch,
    native::Native,
    pgbouncer, process, prometheus,
    setup::{self, Ready, Wanted},
    steps::Steps,
};
use anyhow::{Context, Result};
use local_stack::{
    Encoder, LanguageModel, Lifetime,
    postgres::{Cluster, ClusterConfig, Pooler, PoolerConfig, Purpose, SHARED_BUFFERS_MB},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::process::Command;

/// What the tests need: the small encoder, and nothing that takes seconds for a sentence.
pub const WANTED: Wanted = Wanted {
    encoders: &[Encoder::Small],
    language_model: LanguageModel::Extractive,
    native: Native::ProgramsAndTests,
};
/// Each test that talks to the database has connections of its own.
const MAX_CONNECTIONS: u32 = 200;
/// Connections of the tests' pooler for each role and database, as production has it.
const POOLED_CONNECTIONS: u32 = 10;
const POOLER_CLIENTS: u32 = 500;

pub async fn run(checkout: &Checkout, arguments: &[String]) -> Result<ExitCode> {
    let mut steps = Steps::start();
    let cache = Cache::open()?;
    let mut wanted = WANTED;
    if names_packages(arguments) {
        wanted.native = Native::Programs;
    }
    let ready = setup::run(&cache, checkout, wanted, &mut steps).await?;
    let failures = run_all(checkout, &cache, &ready, arguments, &mut steps).await?;
    steps.print();
    for failure in &failures {
        eprintln!("{failure}");
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the tests; returns what failed. Named tests are of the Rust packages.
pub async fn run_all(
    checkout: &Checkout,
    cache: &Cache,
    ready: &Ready,
    arguments: &[String],
    steps: &mut Steps,
) -> Result<Vec<String>> {
    let folder = server_folder(cache, checkout)?;
    let config = server(ready, &folder);
    let mut server = steps
        .run("start the tests' database server", async {
            Ok(Cluster::start(&config).await?)
        })
        .await?;

    let program = pgbouncer::ensure(cache, steps).await?;
    let mut pooler = Pooler::start(&pooler(program, &server, &folder)?).await?;

    let mut failures = Vec::new();
    let mut rust = runner(arguments).await;
    rust.args(arguments)
        .current_dir(&checkout.root)
        .env("ETUDE_TEST_DATABASE_URL", server.url())
        .env("ETUDE_TEST_POOLER_URL", pooler.url().as_str())
        .envs(ready.install.to_env());
    if prometheus::can_be_had() {
        let programs = prometheus::ensure(cache).await?;
        rust.env("ETUDE_PROMETHEUS", programs.join("prometheus"));
    }
    let result = steps
        .run_visibly("Rust tests", process::visibly("the Rust tests", &mut rust))
        .await;
    failures.extend(result.err().map(|error| error.to_string()));

    if arguments.is_empty() {
        let mut edge = Command::new(&ready.install.node);
        edge.arg("--test")
            .args(edge_tests(checkout)?)
            .current_dir(&checkout.root)
            .envs(ready.install.to_env());
        let work = process::visibly("the tests of the edge's runner", &mut edge);
        let result = steps.run_visibly("tests of the edge's runner", work).await;
        failures.extend(result.err().map(|error| error.to_string()));
    }
    pooler.stop().await;
    server.stop().await;
    fetch::remove(&folder)?;
    Ok(failures)
}

async fn runner(arguments: &[String]) -> Command {
    let mut nextest = Command::new(cargo());
    nextest.args(["nextest", "--version"]);
    let mut command = Command::new(cargo());
    if process::quietly("cargo nextest", &mut nextest)
        .await
        .is_ok()
    {
        command.args(["nextest", "run"]);
    } else {
        command.arg("test");
    }
    command.arg("--no-fail-fast");
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    command
}

fn names_packages(arguments: &[String]) -> bool {
    arguments
        .iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// Node takes a folder in some versions and only files in others.
fn edge_tests(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let folder = checkout.root.join("local-cloud/edge");
    let mut tests: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    tests.sort();
    Ok(tests)
}

fn server(ready: &Ready, folder: &Path) -> ClusterConfig {
    ClusterConfig {
        installation: ready.install.postgres.clone(),
        folder: folder.join("postgres"),
        stack: folder.to_owned(),
        logs: folder.to_owned(),
        port: 0,
        // The server holds nothing, and listens on this machine for as long as the tests run.
        password: "tests".into(),
        max_connections: MAX_CONNECTIONS,
        shared_buffers_mb: SHARED_BUFFERS_MB,
        purpose: Purpose::Tests,
        lifetime: Lifetime::WithParent,
    }
}

fn pooler(program: PathBuf, server: &Cluster, folder: &Path) -> Result<PoolerConfig> {
    Ok(PoolerConfig {
        program,
        folder: folder.join("pooler"),
        stack: folder.to_owned(),
        server: server.url().parse()?,
        roles: vec!["etude_origin".into()],
        connections: POOLED_CONNECTIONS,
        clients: POOLER_CLIENTS,
    })
}

/// A folder of this very run. Those of killed runs are removed; their servers ended with them.
fn server_folder(cache: &Cache, checkout: &Checkout) -> Result<PathBuf> {
    let parent = cache.path("tests").join(checkout.name());
    fs::create_dir_all(&parent).with_context(|| parent.display().to_string())?;
    for entry in fs::read_dir(&parent)?.flatten() {
        let is_alive = Path::new("/proc").join(entry.file_name()).exists();
        if !is_alive {
            fetch::remove(&entry.path())?;
        }
    }
    let folder = parent.join(std::process::id().to_string());
    fetch::clear(&folder)?;
    Ok(folder)
}
