//! The process: settings, start, and a calm end.

use anyhow::Context;
use axum::serve::ListenerExt;
use clap::{Parser, Subcommand};
use origin_api::{
    app,
    config::{self, Config, DatabaseConfig},
    state::AppState,
    telemetry,
};
use secrecy::ExposeSecret;
use std::{future::IntoFuture, io::Write, net::SocketAddr, process::ExitCode, time::Duration};
use storage::PoolSettings;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};

/// How long answers that are being told may take to end, once the process is asked to.
const DRAIN: Duration = Duration::from_secs(30);
/// How long the record of what those answers used may take after that.
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
    let command = Arguments::parse().command;
    match config::log_format(&variable) {
        Ok(format) => telemetry::init(format),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    match run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = format!("{error:#}"), "origin gave up");
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve(Config::read(&variable)?).await,
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

async fn serve(config: Config) -> anyhow::Result<()> {
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
    let state = AppState::new(&config, pool.clone())?;
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
    let server = axum::serve(listener, app(state)).with_graceful_shutdown(asked(ending.clone()));
    ready(port)?;
    tokio::select! {
        outcome = server.into_future() => outcome.context("serving")?,
        () = drained(ending) => tracing::warn!("requests were cut off at the end of the drain"),
    }
    if timeout(SETTLE, ledger.settled()).await.is_err() {
        tracing::warn!("usage of the last answers was not recorded");
    }
    pool.close().await;
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

/// Resolves when the process is asked to end.
async fn asked(mut ending: watch::Receiver<bool>) {
    if ending.wait_for(|ending| *ending).await.is_ok() {
        tracing::info!(seconds = DRAIN.as_secs(), "asked to end; draining");
    }
}

/// Resolves when the time for draining is over.
async fn drained(mut ending: watch::Receiver<bool>) {
    // The sender never leaves before it has sent.
    let _ = ending.wait_for(|ending| *ending).await;
    tokio::time::sleep(DRAIN).await;
}
