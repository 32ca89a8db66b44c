//! `ci`: every check, to the end, even where one fails.

use super::test;
use crate::{
    cache::Cache,
    checkout::{Checkout, cargo},
    fetch::{self, manifest},
    process, prometheus, setup,
    steps::{Steps, say},
    terminal,
    wasm::Target,
};
use anyhow::{Context, Result};
use local_stack::Stopwatch;
use std::{fs, path::PathBuf, process::ExitCode, time::Duration};
use tokio::process::Command;

/// Packages that run in the Worker.
const ON_WASM: [&str; 3] = [
    "--package=shared-types",
    "--package=rag-core",
    "--package=edge-worker",
];
const CARGO_DENY: &str = "0.20.2";
/// The largest Worker, in bytes before compression. `bench edge` holds the same bound.
const MAX_WORKER_BYTES: u64 = 600_000;
/// Rules of the migration checker that do not fit here.
const SQUAWK_EXCLUDED: &[&str] = &[
    // Counters, page numbers and sizes are bounded by checks.
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    // Each file runs in a transaction.
    "prefer-robust-stmts",
    // Whoever runs migrations sets both for the session: how long is theirs to say.
    "require-lock-timeout",
    "require-statement-timeout",
];

struct Checks {
    outcomes: Vec<(String, Duration, Outcome)>,
}

enum Outcome {
    Passed,
    Failed,
    Skipped,
}

pub async fn run(checkout: &Checkout) -> Result<ExitCode> {
    let mut steps = Steps::start();
    let cache = Cache::open()?;
    let ready = setup::run(&cache, checkout, test::WANTED, &mut steps).await?;
    let mut checks = Checks {
        outcomes: Vec::new(),
    };

    checks
        .cargo(checkout, "formatting", &["fmt", "--all", "--check"])
        .await;
    let fuzz_formatting = ["fmt", "--manifest-path=fuzz/Cargo.toml", "--check"];
    checks
        .cargo(checkout, "formatting of fuzz targets", &fuzz_formatting)
        .await;
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    checks.cargo(checkout, "lints", &lints).await;
    checks
        .run("lints on wasm32", lints_on_wasm(checkout, &ready.target))
        .await;
    // A package of its own, whose dependencies are those of the workspace.
    let fuzz = [
        "check",
        "--locked",
        "--manifest-path=fuzz/Cargo.toml",
        "--target-dir=target",
    ];
    checks.cargo(checkout, "fuzz targets", &fuzz).await;
    checks.run("docs", docs(checkout)).await;
    checks
        .run("licences and sources", licences(checkout, &cache))
        .await;
    checks.run("advisories", advisories(checkout, &cache)).await;
    checks.run("migrations", migrations(checkout, &cache)).await;
    checks.run("alerts", alerts(checkout, &cache)).await;
    checks
        .run("tests", async {
            let failures = test::run_all(checkout, &cache, &ready, &[], &mut steps).await?;
            anyhow::ensure!(failures.is_empty(), "{}", failures.join("\n"));
            Ok(())
        })
        .await;
    checks
        .run("size of the Worker", async { worker_size(checkout) })
        .await;
    checks
        .run(
            "dry deployment",
            dry_deployment(checkout, &ready.target, &cache),
        )
        .await;

    steps.print();
    Ok(checks.print())
}

impl Checks {
    async fn cargo(&mut self, checkout: &Checkout, name: &str, words: &[&str]) {
        let mut command = Command::new(cargo());
        command.args(words).current_dir(&checkout.root);
        self.run(name, async { process::visibly(name, &mut command).await })
            .await;
    }

    async fn run(&mut self, name: &str, work: impl Future<Output = Result<()>>) {
        say(&format!("── {name}"));
        let clock = Stopwatch::start();
        let outcome = match work.await {
            Ok(()) => Outcome::Passed,
            Err(error) if error.is::<Unavailable>() => {
                eprintln!("SKIPPED: {error:#}");
                Outcome::Skipped
            }
            Err(error) => {
                eprintln!("{error:#}");
                Outcome::Failed
            }
        };
        self.outcomes
            .push((name.to_owned(), clock.elapsed(), outcome));
    }

    fn print(&self) -> ExitCode {
        let mut table = terminal::table(&["check", "seconds", "outcome"]);
        let mut failed = false;
        for (name, duration, outcome) in &self.outcomes {
            let outcome = match outcome {
                Outcome::Passed => "passed",
                Outcome::Skipped => "SKIPPED",
                Outcome::Failed => {
                    failed = true;
                    "FAILED"
                }
            };
            table.add_row([
                name.clone(),
                format!("{:.1}", duration.as_secs_f64()),
                outcome.into(),
            ]);
        }
        println!("\n{}", terminal::aligned(table, &[1]));
        if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// The check needs something that this machine can't get.
#[derive(Debug)]
struct Unavailable(String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

async fn lints_on_wasm(checkout: &Checkout, target: &Target) -> Result<()> {
    let mut command = Command::new(cargo());
    command
        .args(["clippy", "--locked", "--target=wasm32-unknown-unknown"])
        .args(ON_WASM)
        .args(["--", "-D", "warnings"])
        .current_dir(&checkout.root)
        .envs(target.variables(Vec::new())?);
    process::visibly("lints on wasm32", &mut command).await
}

async fn docs(checkout: &Checkout) -> Result<()> {
    let mut command = Command::new(cargo());
    command
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--locked",
            "--document-private-items",
        ])
        .current_dir(&checkout.root)
        .env("RUSTDOCFLAGS", "-D warnings");
    process::visibly("docs", &mut command).await
}

async fn licences(checkout: &Checkout, cache: &Cache) -> Result<()> {
    let mut command = cargo_deny(checkout, cache).await?;
    command.args(["--hide-inclusion-graph", "bans", "licenses", "sources"]);
    process::visibly("cargo deny", &mut command).await
}

/// Known faults of what is linked in. The list of them is on a server that not every machine reaches.
async fn advisories(checkout: &Checkout, cache: &Cache) -> Result<()> {
    let mut command = cargo_deny(checkout, cache).await?;
    command.arg("advisories");
    let checked = process::quietly("cargo deny check advisories", &mut command).await;
    match checked {
        Err(error) if format!("{error:#}").contains("failed to fetch advisory database") => {
            Err(Unavailable("the advisory database can't be fetched".into()).into())
        }
        other => other.map(drop),
    }
}

async fn cargo_deny(checkout: &Checkout, cache: &Cache) -> Result<Command> {
    let mut command = Command::new(ensure_cargo_deny(cache).await?);
    command
        .args(["--locked", "check"])
        .current_dir(&checkout.root);
    Ok(command)
}

/// The machine's own cargo-deny, else one built once into the cache.
async fn ensure_cargo_deny(cache: &Cache) -> Result<PathBuf> {
    if let Some(found) = crate::prerequisites::find("cargo-deny") {
        return Ok(found);
    }
    let folder = cache.path(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let target = cache.path("unfinished/cargo-deny");
        let mut command = crate::wasm::quick_install(&folder, &target);
        command
            .args(["--locked", "--no-default-features"])
            .arg(format!("cargo-deny@{CARGO_DENY}"));
        process::visibly("building cargo-deny", &mut command).await?;
        fetch::remove(&target)?;
    }
    Ok(program)
}

async fn migrations(checkout: &Checkout, cache: &Cache) -> Result<()> {
    let folder = fetch::ensure(cache, &manifest::SQUAWK).await?;
    let path = checkout.root.join("migrations");
    let mut files: Vec<PathBuf> = fs::read_dir(&path)
        .with_context(|| path.display().to_string())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let mut command = Command::new(folder.join("bin/squawk"));
    command
        .args([
            "--assume-in-transaction",
            "--pg-version=18.0",
            "--reporter=gcc",
        ])
        .arg(format!("--exclude={}", SQUAWK_EXCLUDED.join(",")))
        .args(files)
        .current_dir(&checkout.root);
    process::visibly("squawk", &mut command).await
}

/// Configuration, rules and their tests, judged by Prometheus itself.
async fn alerts(checkout: &Checkout, cache: &Cache) -> Result<()> {
    if !prometheus::can_be_had() {
        let reason = "promtool is Debian's: it needs apt and dpkg on x86-64";
        return Err(Unavailable(reason.into()).into());
    }
    let promtool = prometheus::ensure(cache).await?.join("promtool");
    let folder = checkout.root.join("deploy/observability");
    // The configuration names the rules.
    for words in [
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let mut command = Command::new(&promtool);
        command.args(words).current_dir(&folder);
        process::visibly(&format!("promtool {}", words.join(" ")), &mut command).await?;
    }
    Ok(())
}

/// The module as it was built for this very checkout.
fn worker_size(checkout: &Checkout) -> Result<()> {
    let module = checkout.root.join("edge-worker/build/index_bg.wasm");
    let metadata = fs::metadata(&module).with_context(|| module.display().to_string())?;
    let bytes = metadata.len();
    say(&format!(
        "{bytes} bytes before compression, of {MAX_WORKER_BYTES}"
    ));
    anyhow::ensure!(
        bytes < MAX_WORKER_BYTES,
        "the Worker has {bytes} bytes before compression, {MAX_WORKER_BYTES} or more are too many"
    );
    Ok(())
}

/// What `wrangler deploy` would upload.
async fn dry_deployment(checkout: &Checkout, target: &Target, cache: &Cache) -> Result<()> {
    let tools = crate::wasm::ensure_tools(cache).await?;
    let modules = checkout.root.join("node_modules/.bin");
    let mut command = Command::new(modules.join("wrangler"));
    command
        .args(["deploy", "--dry-run", "--env=production"])
        .current_dir(&checkout.root)
        .envs(target.variables(vec![tools.clone()])?)
        .env("WASM_BINDGEN_BIN", tools.join("wasm-bindgen"))
        .env("WASM_OPT_BIN", modules.join("wasm-opt"))
        .env("ESBUILD_BIN", modules.join("esbuild"))
        .env("WRANGLER_SEND_METRICS", "false");
    process::visibly("wrangler deploy --dry-run", &mut command).await
}
