//! `down`: nothing of this checkout runs any more.

use super::running::Home;
use crate::checkout::Checkout;
use anyhow::{Result, bail};
use local_stack::{Stopwatch, process::leftover};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{process::ExitCode, time::Duration};
use tokio::time::sleep;

/// How long a supervisor may take to stop everything by itself.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn run(checkout: &Checkout) -> Result<ExitCode> {
    let home = Home::open(checkout)?;
    let mut stopped = ask_supervisor(&home).await?;
    for folder in home.stacks() {
        stopped |= !leftover::end(&folder).await.is_empty();
    }
    home.forget()?;
    println!(
        "{}",
        if stopped {
            "stopped"
        } else {
            "nothing was running"
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// Asks an `up` in another terminal to end, and waits for it.
async fn ask_supervisor(home: &Home) -> Result<bool> {
    let waiting = Stopwatch::start();
    let mut asked = false;
    loop {
        match home.supervise()? {
            Ok(_) => return Ok(asked),
            Err(Some(pid)) if !asked => {
                // The lock shows that it is that very process. If it ends this moment, the lock goes too.
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                asked = true;
            }
            Err(pid) if waiting.elapsed() > PATIENCE => {
                let pid = pid
                    .map(|pid| format!(" (process {pid})"))
                    .unwrap_or_default();
                bail!("the `up` in another terminal{pid} does not end");
            }
            Err(_) => {}
        }
        sleep(Duration::from_millis(100)).await;
    }
}
