//! Load from a process of its own: `oha`.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};
use tokio::process::Command;

/// A request, sent over and over.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// The `Authorization` header.
    pub authorization: String,
    /// The body; `POST` either way.
    pub body: Option<String>,
    /// The status that every reply must have.
    pub status: u16,
}

/// What a run showed. Latencies in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Replies a second.
    pub per_second: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    summary: Summary,
    latency_percentiles: Percentiles,
    status_code_distribution: BTreeMap<String, u32>,
    error_distribution: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    requests_per_sec: f64,
}

#[derive(Deserialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

/// Sends `requests` requests over `connections` connections, each as soon as its last was answered.
pub async fn run(
    oha: &Path,
    request: &Request,
    connections: u32,
    requests: u32,
) -> anyhow::Result<Run> {
    let mut command = Command::new(oha);
    command
        .args(["--no-tui", "--output-format=json", "--disable-compression"])
        .args(["-m", "POST", "-H", "accept: text/event-stream"])
        .args(["-H", "content-type: application/json"])
        .args(["-H", &format!("authorization: {}", request.authorization)])
        .args(["-c", &connections.to_string(), "-n", &requests.to_string()])
        .kill_on_drop(true);
    if let Some(body) = &request.body {
        command.args(["-d", body]);
    }
    let output = command.arg(&request.url).output().await;
    let output = output.with_context(|| format!("can't run {}", oha.display()))?;
    if !output.status.success() {
        bail!("oha: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output: Output = serde_json::from_slice(&output.stdout).context("oha's report")?;
    let expected = BTreeMap::from([(request.status.to_string(), requests)]);
    ensure!(
        output.status_code_distribution == expected,
        "{requests} replies of {} were due, not {:?} and {:?}",
        request.status,
        output.status_code_distribution,
        output.error_distribution
    );
    Ok(Run {
        per_second: output.summary.requests_per_sec,
        p50_ms: output.latency_percentiles.p50 * 1e3,
        p95_ms: output.latency_percentiles.p95 * 1e3,
        p99_ms: output.latency_percentiles.p99 * 1e3,
    })
}
