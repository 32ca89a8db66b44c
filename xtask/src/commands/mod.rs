//! One file per command.

mod add;
mod ask;
mod bench;
mod ci;
mod down;
mod fuzz;
mod library;
mod observe;
mod running;
mod test;
mod transcript;
mod up;

use crate::{
    checkout::Checkout,
    cli::{Arguments, Command},
};
use anyhow::Result;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a command until it ends or is interrupted.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let checkout = Checkout::find()?;
    let mut interrupted = Interruption::watch()?;
    // `up` ends in good order by itself; of the others nothing needs to be undone, and dropping them ends
    // the programs that they run.
    if let Command::Up(options) = arguments.command {
        return Box::pin(up::run(&checkout, &options, &mut interrupted)).await;
    }
    tokio::select! {
        result = dispatch(&checkout, arguments.command) => result,
        () = interrupted.wait() => Ok(ExitCode::from(130)),
    }
}

async fn dispatch(checkout: &Checkout, command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(_) => Ok(ExitCode::SUCCESS),
        Command::Down => down::run(checkout).await,
        Command::Ask(options) => ask::run(checkout, &options).await,
        Command::Add(options) => add::run(checkout, &options).await,
        Command::Token { email } => ask::token(checkout, &email).await,
        Command::Test { arguments } => test::run(checkout, &arguments).await,
        Command::Bench { name, options } => bench::run(checkout, &name, &options.words())
            .await
            .map(|()| ExitCode::SUCCESS),
        Command::Fuzz { target, seconds } => fuzz::run(checkout, target.as_deref(), seconds).await,
        Command::Ci => ci::run(checkout).await,
    }
}

/// Ctrl-C, `kill`, or a closed terminal.
pub struct Interruption {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Interruption {
    fn watch() -> Result<Self> {
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    /// Waits for the next one.
    pub async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
