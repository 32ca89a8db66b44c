//! The cached path of the edge, in real `workerd`: one question that every cache knows.
//!
//! Latency is what a client on this machine sees; CPU time is the whole process tree of the edge
//! (Node, which only hosts `workerd`, included) from `/proc`. Miniflare's simulation of KV costs
//! more than the real one, so the figures err on the high side.

use crate::report::{Report, quantile};
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use local_stack::{Client, Part, Role, Stack, StackConfig, Stopwatch, client::NewDocument};
use shared_types::{
    chat::{CacheOutcome, ChatAnswer},
    documents::{DocumentStatus, Visibility},
};
use std::{fs, path::Path};

const QUESTION: &str = "On which beat do I release the pedal in a light waltz?";
const PASSWORD: &str = "correct-horse-battery";

#[derive(Args)]
pub struct Options {
    /// Requests in each row.
    #[arg(long, default_value_t = 2_000)]
    requests: usize,
}

struct Load {
    name: &'static str,
    path: &'static str,
    accept: &'static str,
    connections: usize,
    target_p95_ms: Option<f64>,
}

const LOADS: [Load; 4] = [
    Load {
        name: "health",
        path: "/api/health",
        accept: "*/*",
        connections: 1,
        target_p95_ms: None,
    },
    Load {
        name: "cached answer, SSE",
        path: "/api/chat/query",
        accept: "text/event-stream",
        connections: 1,
        target_p95_ms: Some(10.0),
    },
    Load {
        name: "cached answer, SSE",
        path: "/api/chat/query",
        accept: "text/event-stream",
        connections: 4,
        target_p95_ms: Some(10.0),
    },
    Load {
        name: "cached answer, JSON",
        path: "/api/chat/query",
        accept: "application/json",
        connections: 4,
        target_p95_ms: Some(10.0),
    },
];

/// Starts a stack of its own, fills its caches, and measures.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
    let config = StackConfig::for_test(folder.path())?;
    let stack = Stack::start(config).await?;
    let measured = measure(&stack, options).await;
    stack.stop().await;
    measured
}

async fn measure(stack: &Stack, options: &Options) -> anyhow::Result<Report> {
    let browser = prepare(stack).await?;
    let edge = stack.process_id(Part::Edge).context("the edge runs")?;
    let mut report = Report::new(&[
        "what",
        "connections",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "req/s",
        "CPU ms/req",
    ]);
    for load in &LOADS {
        run_load(&browser, load, options.requests / 10).await?;
        let cpu_before = cpu_ms_of_tree(edge);
        let clock = Stopwatch::start();
        let latencies = run_load(&browser, load, options.requests).await?;
        let elapsed_s = clock.elapsed().as_secs_f64();
        let cpu_ms = (cpu_ms_of_tree(edge) - cpu_before) / latencies.len() as f64;
        let p95 = quantile(&latencies, 0.95);
        report.row(vec![
            load.name.to_owned(),
            load.connections.to_string(),
            format!("{:.2}", quantile(&latencies, 0.5)),
            format!("{p95:.2}"),
            format!("{:.2}", quantile(&latencies, 0.99)),
            format!("{:.0}", latencies.len() as f64 / elapsed_s),
            format!("{cpu_ms:.2}"),
        ]);
        if let Some(target) = load.target_p95_ms {
            let what = format!("p95 of {}, {} connection(s)", load.name, load.connections);
            report.at_most(&what, p95, target, "ms");
        }
    }
    Ok(report)
}

/// A signed-in browser whose question every cache knows.
async fn prepare(stack: &Stack) -> anyhow::Result<Client> {
    let people = stack.people();
    people
        .create("teacher@school.example", PASSWORD, "Teacher", Role::Teacher)
        .await?;
    let browser = stack
        .client()
        .signed_in("teacher@school.example", PASSWORD)
        .await?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-library/pdf/04-pedalling.pdf");
    let file = NewDocument {
        title: "Pedalling".into(),
        file_name: "04-pedalling.pdf".into(),
        bytes: fs::read(path)?,
        visibility: Visibility::Public,
    };
    let document = browser.upload(file).await?;
    let document = browser.wait_for(document.id, |_| ()).await?;
    ensure!(
        document.status == DocumentStatus::Ready,
        "the booklet failed: {:?}",
        document.failure
    );
    browser.ask_json(QUESTION).await?;
    let warm: ChatAnswer = browser.ask_json(QUESTION).await?;
    ensure!(
        warm.cache.answer == CacheOutcome::Hit,
        "the answer is not cached: {:?}",
        warm.cache
    );
    Ok(browser)
}

/// Sends `requests` over `load.connections` and returns the sorted latencies in milliseconds.
async fn run_load(browser: &Client, load: &Load, requests: usize) -> anyhow::Result<Vec<f64>> {
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {pos}/{len}")?;
    let bar = ProgressBar::new(requests as u64)
        .with_style(style)
        .with_message(load.name);
    let workers = (0..load.connections).map(|_| {
        let (browser, bar) = (browser.clone(), bar.clone());
        let (path, accept) = (load.path, load.accept);
        let share = requests.div_ceil(load.connections);
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(share);
            for _ in 0..share {
                latencies.push(one_request(&browser, path, accept).await?);
                bar.inc(1);
            }
            anyhow::Ok(latencies)
        })
    });
    let mut latencies = Vec::with_capacity(requests);
    for worker in workers.collect::<Vec<_>>() {
        latencies.extend(worker.await??);
    }
    bar.finish_and_clear();
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

async fn one_request(browser: &Client, path: &str, accept: &str) -> anyhow::Result<f64> {
    let request = if path == "/api/health" {
        browser.request(reqwest::Method::GET, path)
    } else {
        browser
            .request(reqwest::Method::POST, path)
            .json(&serde_json::json!({ "query": QUESTION }))
    };
    let clock = Stopwatch::start();
    let response = request
        .header("accept", accept)
        .send()
        .await?
        .error_for_status()?;
    let body = response.bytes().await?;
    let latency_ms = clock.elapsed().as_secs_f64() * 1e3;
    ensure!(!body.is_empty(), "{path} answered nothing");
    Ok(latency_ms)
}

/// CPU time of a process and its descendants so far, in milliseconds (`/proc`, 100 ticks a second).
fn cpu_ms_of_tree(root: u32) -> f64 {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may hold spaces; fields are counted after it.
        let Some((_, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |index: usize| fields.get(index).and_then(|text| text.parse::<u32>().ok());
        if let (Some(parent), Some(user), Some(system)) = (field(1), field(11), field(12)) {
            parents.push((pid, parent, f64::from(user + system) * 10.0));
        }
    }
    let mut tree = vec![root];
    let mut seen = 0;
    while let Some(&pid) = tree.get(seen) {
        tree.extend(
            parents
                .iter()
                .filter(|(_, parent, _)| *parent == pid)
                .map(|(child, ..)| *child),
        );
        seen += 1;
    }
    parents
        .iter()
        .filter(|(pid, ..)| tree.contains(pid))
        .map(|(.., ms)| ms)
        .sum()
}
