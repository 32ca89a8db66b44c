//! Load from a process of its own: `oha`.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;

/// How long one request may take.
const TIMEOUT: &str = "30s";

/// A request, sent over and over.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// The `Authorization` header.
    pub authorization: String,
    /// Other headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body; `POST` either way.
    pub body: Body,
    /// The status that every reply must have.
    pub status: u16,
}

impl Request {
    /// The same, to be sent once by `client`. Fails for a body that is drawn from a file.
    pub fn once_by(&self, client: &reqwest::Client) -> anyhow::Result<reqwest::RequestBuilder> {
        let mut builder = client
            .post(&self.url)
            .header("authorization", &self.authorization);
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        Ok(match &self.body {
            Body::Empty => builder,
            Body::Text(text) => builder
                .header("content-type", "application/json")
                .body(text.clone()),
            Body::LineOf(file) => bail!("{} holds many bodies", file.display()),
        })
    }
}

/// What requests carry.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// The same text, always.
    Text(String),
    /// A line of this file, drawn anew for each request.
    LineOf(PathBuf),
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// After so many requests.
    Requests(u32),
    /// After so long; requests under way are waited for.
    Time(Duration),
}

/// What a run showed. Latencies in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Replies.
    pub replies: u32,
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

/// Sends requests over `connections` connections, each as soon as its last was answered.
pub async fn run(
    oha: &Path,
    request: &Request,
    connections: u32,
    length: Length,
) -> anyhow::Result<Run> {
    let mut command = Command::new(oha);
    command
        .args(["--no-tui", "--output-format=json", "--disable-compression"])
        .args(["-m", "POST", "-t", TIMEOUT])
        .args(["-H", "content-type: application/json"])
        .args(["-H", &format!("authorization: {}", request.authorization)])
        .args(["-c", &connections.to_string()])
        .kill_on_drop(true);
    for (name, value) in &request.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    match length {
        Length::Requests(requests) => command.args(["-n", &requests.to_string()]),
        Length::Time(time) => command
            .arg("--wait-ongoing-requests-after-deadline")
            .args(["-z", &format!("{}ms", time.as_millis())]),
    };
    match &request.body {
        Body::Empty => {}
        Body::Text(text) => {
            command.args(["-d", text]);
        }
        Body::LineOf(file) => {
            command.arg("-Z").arg(file);
        }
    }
    let output = command.arg(&request.url).output().await;
    let output = output.with_context(|| format!("can't run {}", oha.display()))?;
    if !output.status.success() {
        bail!("oha: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output: Output = serde_json::from_slice(&output.stdout).context("oha's report")?;
    let statuses = &output.status_code_distribution;
    let replies = statuses.get(&request.status.to_string()).copied();
    let replies = replies.unwrap_or_default();
    let is_whole = match length {
        Length::Requests(requests) => replies == requests,
        Length::Time(_) => replies > 0 && output.error_distribution.is_empty(),
    };
    ensure!(
        is_whole && statuses.len() == 1,
        "{}: replies of {} alone were due ({length:?}), not {statuses:?} and {:?}",
        request.url,
        request.status,
        output.error_distribution
    );
    Ok(Run {
        replies,
        per_second: output.summary.requests_per_sec,
        p50_ms: output.latency_percentiles.p50 * 1e3,
        p95_ms: output.latency_percentiles.p95 * 1e3,
        p99_ms: output.latency_percentiles.p99 * 1e3,
    })
}
