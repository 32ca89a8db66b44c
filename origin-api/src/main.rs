//! The process: settings, start, and a calm end.

use anyhow::Context;
use axum::serve::ListenerExt;
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use opentelemetry_sdk::trace::SpanProcessor;
use origin_api::{
    app,
    config::{self, Config, DatabaseConfig},
    metrics::metrics,
    readiness::Readiness,
    state::AppState,
};
use secrecy::ExposeSecret;
use std::{
    future::IntoFuture, io::Write, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration,
};
use storage::PoolSettings;
use telemetry::Telling;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};

/// A request makes thousands of small things, on whichever thread, and frees them on another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How long answers that are being told may take to end, once the process is asked to.
const DRAIN: Duration = Duration::from_secs(30);
/// How long each of these may take after that: the record of what those answers used, the connections, the edge's spans.
const SETTLE: Duration = Duration::from_secs(2);

/// Connections kept open: a new one costs its first request some tens of milliseconds.
const WARM_CONNECTIONS: u32 = 8;
/// A request that waits longer for a free connection is told to come back; the edge, which gives up on a
/// scope after two seconds, still hears it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The origin of Etude.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the edge. Settings come from the environment.
    Serve,
    /// Brings the database of MIGRATION_DATABASE_URL up to date, and ends.
    Migrate,
}

#[tokio::main]
async fn main() -> ExitCode {
    telemetry::panics::keep_to_the_place();
    let command = Arguments::parse().command;
    let telling = match Telling::begin("origin", &variable) {
        Ok(telling) => telling,
        Err(error) => {
            eprintln!("{:#}", anyhow::Error::from(error));
            return ExitCode::FAILURE;
        }
    };
    let outcome = run(command, &telling).await;
    if let Err(error) = &outcome {
        tracing::error!(cause = format!("{error:#}"), "origin gave up");
    }
    telling.end().await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn run(command: Command, telling: &Telling) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve(Config::read(&variable)?, telling).await,
        Command::Migrate => {
            let url = config::migration_database_url(&variable)?;
            storage::migrate(url.expose_secret())
                .await
                .context("migrating the database")?;
            tracing::info!("database is up to date");
            Ok(())
        }
    }
}

async fn serve(config: Config, telling: &Telling) -> anyhow::Result<()> {
    let DatabaseConfig {
        url,
        max_connections,
    } = &config.database;
    let settings = PoolSettings {
        max_connections: *max_connections,
        min_connections: WARM_CONNECTIONS.min(*max_connections),
        acquire_timeout: ACQUIRE_TIMEOUT,
        application_name: "etude-origin",
    };
    let pool = storage::connect(url.expose_secret(), settings)
        .await
        .context("connecting to DATABASE_URL")?;
    let counted = pool.clone();
    telling
        .serve_metrics(|registry, _| {
            metrics().register(registry, counted.clone());
            tokio::spawn(async move { metrics().database.keep_counting(&counted).await });
        })
        .await?;
    let mut state = AppState::new(&config, pool.clone())?;
    let edge_spans = telling.traces().on_behalf_of("edge")?.map(Arc::new);
    state.edge_spans.clone_from(&edge_spans);
    let ledger = state.ledger.clone();
    let address = SocketAddr::new(config.listen.address, config.listen.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}"))?;
    let port = listener.local_addr()?.port();

    let (asked_to_end, ending) = watch::channel(false);
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
        asked_to_end.send_replace(true);
    });

    // Answers are made of small pieces, each to be sent when it comes.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "connection keeps its delay");
        }
    });
    let readiness = Arc::clone(&state.readiness);
    let notice = config.listen.shutdown_notice;
    let leaving = asked(ending.clone(), readiness, notice);
    let server = axum::serve(listener, app(state)).with_graceful_shutdown(leaving);
    ready(port)?;
    tokio::select! {
        outcome = server.into_future() => outcome.context("serving")?,
        () = drained(ending, notice) => tracing::warn!("requests were cut off at the end of the drain"),
    }
    if timeout(SETTLE, ledger.settled()).await.is_err() {
        tracing::warn!("usage of the last answers was not recorded");
    }
    if timeout(SETTLE, pool.close()).await.is_err() {
        tracing::warn!("connections to the database were left");
    }
    if let Some(spans) = edge_spans {
        // It waits for the collector, and for nothing of ours.
        let _ = tokio::task::spawn_blocking(move || spans.shutdown_with_timeout(SETTLE)).await;
    }
    tracing::info!("origin ended");
    Ok(())
}

/// Tells whoever started the process that it listens, and where: one line on standard output.
fn ready(port: u16) -> anyhow::Result<()> {
    tracing::info!(port, "origin listens");
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, r#"{{"ready":true,"port":{port}}}"#)?;
    Ok(stdout.flush()?)
}

/// Resolves when no connection is to be taken any more: some time after the process is asked to end, so that load balancers
/// see it coming and send what is new elsewhere.
async fn asked(mut ending: watch::Receiver<bool>, readiness: Arc<Readiness>, notice: Duration) {
    if ending.wait_for(|ending| *ending).await.is_ok() {
        readiness.end();
        tracing::info!(
            notice_ms = notice.as_millis() as u64,
            "asked to end; not ready any more"
        );
        tokio::time::sleep(notice).await;
        tracing::info!(seconds = DRAIN.as_secs(), "draining");
    }
}

/// Resolves when the time for draining is over.
async fn drained(mut ending: watch::Receiver<bool>, notice: Duration) {
    // The sender never leaves before it has sent.
    let _ = ending.wait_for(|ending| *ending).await;
    tokio::time::sleep(notice + DRAIN).await;
}
