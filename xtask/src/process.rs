//! Running other programs to their end.

use anyhow::{Context, Result, bail};
use std::{env, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// How much output of a failed program is repeated.
const TAIL_LINES: usize = 40;
/// What `cargo run` says to this program about this package. A cargo below it would hand it on, and build
/// scripts that watch these variables would run anew whenever the way of starting cargo changes.
const OF_THIS_PACKAGE: [&str; 5] = [
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "OUT_DIR",
];

/// Runs a program whose output matters only if it fails; returns its standard output.
pub async fn quietly(what: &str, command: &mut Command) -> Result<String> {
    let output = apart(command)
        .output()
        .await
        .with_context(|| format!("{what}: {} can't be started", program(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let all = text + &String::from_utf8_lossy(&output.stderr);
    bail!("{what} failed ({}):\n{}", output.status, tail(&all))
}

/// The same, given up after `limit`.
pub async fn quietly_within(limit: Duration, what: &str, command: &mut Command) -> Result<String> {
    match timeout(limit, quietly(what, command)).await {
        Ok(result) => result,
        Err(_) => bail!("{what} took longer than {} s", limit.as_secs()),
    }
}

/// Runs a program that shows its own progress.
pub async fn visibly(what: &str, command: &mut Command) -> Result<()> {
    let status = apart(command)
        .status()
        .await
        .with_context(|| format!("{what}: {} can't be started", program(command)))?;
    if status.success() {
        Ok(())
    } else {
        bail!("{what} failed ({status})")
    }
}

/// Ends with this program, reads nothing from the terminal, and is told nothing about this package.
fn apart(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_PACKAGE
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true)
}

fn program(command: &Command) -> String {
    command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_failure_repeats_what_the_program_said() {
        let mut command = shell("echo half done; echo no space left >&2; exit 4");
        let error = quietly("unpacking", &mut command)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("unpacking failed"), "{error}");
        assert!(error.contains("half done\nno space left"), "{error}");
    }

    #[tokio::test]
    async fn a_program_is_not_told_about_this_package() {
        assert!(
            env::var_os("CARGO_PKG_NAME").is_some(),
            "cargo runs tests with it"
        );
        let told = quietly("asking", &mut shell("env")).await.unwrap();
        assert!(!told.contains("CARGO_PKG_NAME="), "{told}");
        assert!(told.contains("PATH="), "{told}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let limit = Duration::from_millis(50);
        let error = quietly_within(limit, "asking", &mut shell("exec sleep 1000"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("took longer"), "{error}");
    }
}
