//! The binary around the stand-ins: arguments, logs, signals.

use anyhow::Context;
use clap::{Parser, Subcommand};
use local_cloud::{LocalCloud, ServeConfig};
use serde::Serialize;
use std::{
    io::{IsTerminal, Write},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing_subscriber::EnvFilter;

/// How long running requests may take to end after a signal.
const DRAIN: Duration = Duration::from_secs(5);

/// The line on standard output once requests are answered.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    port: u16,
}

/// Local stand-ins for the managed services that Etude runs on.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves all of them on one port of 127.0.0.1. Prints `{"ready":true,"port":…}` once it does.
    Serve(Box<ServeConfig>),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let Command::Serve(config) = Arguments::parse().command;

    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    let local_cloud = LocalCloud::start(*config).await?;
    let ready = serde_json::to_string(&Ready {
        ready: true,
        port: local_cloud.port(),
    })?;
    writeln!(std::io::stdout(), "{ready}").context("can't announce readiness")?;

    let (stop, stopped) = oneshot::channel();
    let serving = local_cloud.serve(async {
        // A sender that is gone stops as well.
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return Ok(served?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down");
    let _ = stop.send(());
    if let Ok(served) = tokio::time::timeout(DRAIN, serving).await {
        served?;
    } else {
        tracing::warn!("requests were still running");
    }
    Ok(())
}
