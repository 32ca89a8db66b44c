//! `ingest-worker run` works the queue; `ingest-worker receive` has it worked when Pub/Sub says so; `ingest-worker
//! nightly` mends what was left undone; `ingest-worker extract` is the child that reads one PDF, `ingest-worker recognize`
//! the one that reads its scanned pages, and `ingest-worker read-source` the one that reads files without pages;
//! `ingest-worker reembed` is an operator's.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use ingest_worker::{
    config::{Config, EmbeddingConfig, ReceiveConfig, ReembedConfig},
    embedder::Embedder,
    extract::child,
    metrics::metrics,
    nightly,
    receive::{self, Receiver},
    recognize,
    reembed::{self, Progress},
    sources,
    worker::{Until, Worker},
};
use secrecy::ExposeSecret;
use std::{io::Write, process::ExitCode};
use storage::{PoolSettings, reembedding};
use telemetry::Telling;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[derive(Parser)]
#[command(version, about = "Makes uploaded documents searchable.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Works the queue; settings come from the environment.
    Run {
        /// Ends when the queue is empty.
        #[arg(long)]
        once: bool,
    },
    /// Hears the pushes of Pub/Sub and starts the Cloud Run job that works the queue; settings come from the environment.
    Receive,
    /// Does what was left undone and says what that was; settings come from the environment.
    Nightly,
    /// Reads one PDF and writes its pages to standard output, in frames.
    Extract(child::Options),
    /// Recognises the text of pages and writes them in the same way.
    Recognize(recognize::child::Options),
    /// Reads one file that is made of text and writes what stands in it to standard output, as one JSON document.
    ReadSource(sources::child::Options),
    /// Changes the model that the library is searched by; settings come from the environment.
    #[command(subcommand)]
    Reembed(Reembed),
}

#[derive(Subcommand)]
enum Reembed {
    /// Embeds every passage with another model, beside the live vectors.
    Build(Target),
    /// Embeds what is left and switches over.
    Switch(Target),
    /// Says where things stand.
    Status,
    /// Drops the vectors beside the live ones: the former model's, or those of a building that is given up.
    Clear,
}

#[derive(Args)]
struct Target {
    /// The model, as Workers AI calls it
    #[arg(long, value_name = "MODEL")]
    to: String,
}

fn main() -> ExitCode {
    // The children's too, which read the documents.
    telemetry::panics::keep_to_the_place();
    let result = match Arguments::parse().command {
        Command::Run { once } => told(async |telling| run(once, telling).await),
        Command::Receive => told(async |_| receive().await),
        Command::Nightly => told(async |_| nightly().await),
        Command::Reembed(step) => told(async |_| reembed(step).await),
        Command::Extract(options) => {
            child::run(&options, std::io::stdout().lock()).map_err(anyhow::Error::from)
        }
        Command::Recognize(options) => {
            recognize::child::run(&options, std::io::stdout().lock()).map_err(anyhow::Error::from)
        }
        Command::ReadSource(options) => {
            sources::child::run(&options, std::io::stdout().lock()).map_err(anyhow::Error::from)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingest-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Does the work of a process that tells of itself, and tells what is left of it however it ends.
#[tokio::main]
async fn told(work: impl AsyncFnOnce(&Telling) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let telling = Telling::begin("ingest-worker", &variable)?;
    let outcome = work(&telling).await;
    telling.end().await;
    outcome
}

/// A worker of the queue, by the name of its `kind`.
async fn worker(kind: &str) -> anyhow::Result<Worker> {
    let program = std::env::current_exe().context("can't find this program itself")?;
    let config = Config::read(variable, program)?;
    let name = format!("{kind}-{}", std::process::id());
    Worker::start(config, name).await
}

async fn run(once: bool, telling: &Telling) -> anyhow::Result<()> {
    let stop = told_to_stop()?;
    let worker = worker("ingest").await?;
    telling
        .serve_metrics(|registry, durations| {
            metrics().register(registry, worker.pool().clone());
            durations.register_stages(registry);
        })
        .await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, r#"{{"ready":true}}"#)?;
    stdout.flush()?;
    let until = if once { Until::Drained } else { Until::Stopped };
    worker.run(until, stop).await;
    Ok(())
}

async fn nightly() -> anyhow::Result<()> {
    let stop = told_to_stop()?;
    let worker = worker("nightly").await?;
    let report = nightly::run(&worker, stop).await?;
    println!("{report}");
    anyhow::ensure!(report.is_whole(), "told to stop before everything was done");
    Ok(())
}

async fn receive() -> anyhow::Result<()> {
    let config = ReceiveConfig::read(variable)?;
    let stop = told_to_stop()?;
    let receiver = Receiver::start(&config).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let port = listener.local_addr()?.port();
    let mut stdout = std::io::stdout();
    writeln!(stdout, r#"{{"ready":true,"port":{port}}}"#)?;
    stdout.flush()?;
    axum::serve(listener, receive::app(receiver))
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}

/// Ready once the process is asked to end.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn reembed(step: Reembed) -> anyhow::Result<()> {
    let config = ReembedConfig::read(variable)?;
    let settings = PoolSettings {
        max_connections: 2,
        application_name: "etude-reembed",
        ..PoolSettings::default()
    };
    let pool = storage::connect(config.database_url.expose_secret(), settings).await?;
    let embedder = |to: Target| {
        Embedder::new(&EmbeddingConfig {
            model: to.to,
            ..config.embedding.clone()
        })
    };
    let tell = |Progress { done, total }| println!("{done} of {total} passages");
    match step {
        Reembed::Build(to) => reembed::build(&pool, &embedder(to)?, tell).await?,
        Reembed::Switch(to) => reembed::switch(&pool, &embedder(to)?, tell).await?,
        Reembed::Status => {}
        Reembed::Clear => reembedding::clear(&pool).await?,
    }
    println!(
        "{}",
        reembed::describe(&reembedding::standing(&pool).await?)
    );
    Ok(())
}
