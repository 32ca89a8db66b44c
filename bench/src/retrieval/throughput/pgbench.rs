//! pgbench: what a client can get out of the database that does nothing else.

use super::{sample::Sample, script::Script};
use crate::{clock, cpu, report::quantile};
use anyhow::{Context, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;
use url::Url;

/// Connecting and preparing statements: not counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// How much longer than its run pgbench may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// pgbench on a database.
#[derive(Clone)]
pub struct Pgbench {
    program: PathBuf,
    database: Url,
    constants: Vec<(String, String)>,
}

impl Pgbench {
    pub fn new(installation: &Path, database: Url, script: &Script) -> Self {
        Self {
            program: installation.join("bin/pgbench"),
            database,
            constants: script.constants.clone(),
        }
    }

    /// Runs the script at `file` with so many clients for so many seconds after its warm-up.
    pub async fn run(
        &self,
        file: &Path,
        clients: u32,
        seconds: u64,
        server: u32,
    ) -> anyhow::Result<Sample> {
        let logs = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
        let whole = WARM_UP + Duration::from_secs(seconds);
        let mut command = Command::new(&self.program);
        command
            .args(["--no-vacuum", "--protocol=prepared", "--log"])
            .arg(format!(
                "--log-prefix={}",
                logs.path().join("log").display()
            ))
            .arg(format!("--file={}", file.display()))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", clients.min(2)))
            .arg(format!("--time={}", whole.as_secs()));
        for (name, value) in &self.constants {
            command.arg(format!("--define={name}={value}"));
        }
        let child = command
            .arg(self.database.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't run {}", self.program.display()))?;
        tokio::time::sleep(WARM_UP).await;
        let (from, cpu_before) = (clock::since_1970(), cpu::ms_of_server(server)?);
        let ending = tokio::time::timeout(whole + PATIENCE, child.wait_with_output());
        let output = ending.await.context("pgbench does not end")??;
        let spent_ms = cpu::ms_of_server(server)? - cpu_before;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench: {errors}");

        let mut took_ms = Vec::new();
        let mut until = from;
        for entry in fs::read_dir(logs.path())? {
            let text = fs::read_to_string(entry?.path())?;
            for line in text.lines() {
                let (ended, latency_ms) =
                    transaction(line).with_context(|| format!("pgbench's log says {line:?}"))?;
                if ended > from {
                    took_ms.push(latency_ms);
                    until = until.max(ended);
                }
            }
        }
        ensure!(!took_ms.is_empty(), "pgbench did nothing: {errors}");
        took_ms.sort_by(f64::total_cmp);
        let count = took_ms.len() as f64;
        Ok(Sample {
            per_second: count / until.saturating_sub(from).as_secs_f64(),
            p50_ms: quantile(&took_ms, 0.5),
            p95_ms: quantile(&took_ms, 0.95),
            own_cpu_ms: None,
            postgres_cpu_ms: spent_ms / count,
        })
    }
}

/// When a transaction ended, since 1970, and how many milliseconds it took, out of a line of the log:
/// `client number latency_us script epoch_s epoch_us`.
fn transaction(line: &str) -> Option<(Duration, f64)> {
    let mut fields = line.split(' ').skip(2);
    let latency_us: f64 = fields.next()?.parse().ok()?;
    let s = fields.nth(1)?.parse().ok()?;
    let us = fields.next()?.parse().ok()?;
    Some((
        Duration::from_secs(s) + Duration::from_micros(us),
        latency_us / 1e3,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read() {
        let read = transaction("0 199 2241 0 1175850568 995598");
        let ended = Duration::from_micros(1_175_850_568_995_598);
        assert_eq!(read, Some((ended, 2.241)));
        assert_eq!(transaction("0 199 skipped 0 1175850569 608"), None);
    }
}
