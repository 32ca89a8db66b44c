//! `bench/load/rag.js`, run by k6.

use super::{Options, drive, system::System};
use crate::report::Report;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::{fs, process::Stdio, time::Duration};
use tokio::process::Command;

/// The specification's stages.
const LENGTH: Duration = Duration::from_mins(14);
/// What is taken of it in the short form: a minute.
const SHORT: f64 = 1.0 / 14.0;
/// The specification's users do not read what they are answered. A hundred that ask without a pause are no users, but a
/// measurement of capacity, which has a row of its own.
const THINK_S: f64 = 1.0;
/// New questions that k6 asks in a minute at most: three tenths of what a hundred people ask.
const NEW_PER_MINUTE: u32 = 1_800;
/// k6's word for a threshold that was missed: what it measured is there all the same.
const MISSED: i32 = 99;

pub async fn run(
    options: &Options,
    system: &mut System,
    report: &mut Report,
) -> anyhow::Result<()> {
    let scale = if options.long { 1.0 } else { SHORT };
    let folder = tempfile::Builder::new().prefix("etude-load-").tempdir()?;
    let questions = folder.path().join("questions.json");
    fs::write(&questions, system.crowd.to_json().to_string())?;
    let summary = folder.path().join("summary.json");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/load/rag.js");
    let minutes = (LENGTH.as_secs_f64() / 60.0 * scale).ceil() as u32;
    let new = minutes * NEW_PER_MINUTE;
    system.prepare(new).await?;
    let first_new = system.crowd.reserve(new);
    let variables = [
        ("EDGE_URL", system.stack.edge_url()),
        ("QUESTIONS", questions.display().to_string()),
        ("SCALE", scale.to_string()),
        ("USERS", options.users.to_string()),
        ("THINK_S", THINK_S.to_string()),
        ("FIRST_NEW", first_new.to_string()),
    ];
    let mut command = Command::new(&options.k6);
    command
        .args(["run", "--quiet", "--no-usage-report"])
        .arg("--summary-export")
        .arg(&summary)
        .args(variables.map(|(name, value)| format!("--env={name}={value}")))
        .arg(script)
        .env("NO_PROXY", "127.0.0.1")
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let length = LENGTH.mul_f64(scale);
    let working = command.status();
    let status = drive::watched("the specification's load (k6)", length, working).await;
    let status = status.with_context(|| format!("can't run {}", options.k6.display()))?;
    ensure!(
        status.success() || status.code() == Some(MISSED),
        "k6 ended with {status}"
    );
    let summary = serde_json::from_slice(&fs::read(&summary)?)?;
    tell(&summary, options.users, report)
}

fn tell(summary: &Value, users: u32, report: &mut Report) -> anyhow::Result<()> {
    let figure = |metric: &str, name: &str| {
        let figure = summary["metrics"][metric][name].as_f64();
        figure.with_context(|| format!("k6 tells no {name} of {metric}"))
    };
    let latency = |name| figure("http_req_duration{type:rag}", name);
    let (p95, p99) = (latency("p(95)")?, latency("p(99)")?);
    let asked = figure("http_reqs", "count")?;
    let failed = figure("http_req_failed", "value")?;
    let unlike = 1.0 - figure("checks", "value")?;
    report.row(vec![
        "load".to_owned(),
        format!("up to {users} users"),
        format!("{asked:.0}"),
        format!("{:.0}", figure("http_reqs", "rate")?),
        format!("{:.0}", latency("med")?),
        format!("{p95:.0}"),
        format!("{p99:.0}"),
        format!("{:.0}", asked * (1.0 - failed)),
        String::new(),
        format!("{:.2} % failed", failed * 100.0),
    ]);
    report.below("load: p95", p95, 200.0, "ms");
    report.below("load: p99", p99, 500.0, "ms");
    report.below("load: failed", failed, 0.01, "of all");
    report.below("load: without answer or sources", unlike, 0.01, "of all");
    Ok(())
}
