//! `ingest-worker run` works the queue; `ingest-worker extract` is the child that reads one PDF.

use anyhow::Context;
use clap::{Parser, Subcommand};
use ingest_worker::{
    config::Config,
    extract::child,
    telemetry,
    worker::{Until, Worker},
};
use std::{io::Write, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "Makes uploaded PDFs searchable.")]
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
    /// Reads one PDF and writes its pages to standard output, one JSON document per line.
    Extract(child::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { once } => run(once),
        Command::Extract(options) => {
            child::run(&options, std::io::stdout().lock()).map_err(anyhow::Error::from)
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

#[tokio::main]
async fn run(once: bool) -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).ok();
    telemetry::init(variable("LOG_FORMAT").as_deref());
    let program = std::env::current_exe().context("can't find this program itself")?;
    let config = Config::read(variable, program)?;
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let worker = Worker::start(config, format!("ingest-{}", std::process::id())).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, r#"{{"ready":true}}"#)?;
    stdout.flush()?;
    let until = if once { Until::Drained } else { Until::Stopped };
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    worker.run(until, stop).await;
    Ok(())
}
