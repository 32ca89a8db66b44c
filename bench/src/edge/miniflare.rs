//! The cached path of the edge, in real `workerd`: one question that every cache knows.
//!
//! At a steady rate latency counts from the moment that a request was due, so that a stall is seen by all that
//! wait behind it. On a number of busy connections the edge is saturated: those rows tell what it can take.
//! Latency is what a client on this machine sees; CPU time is the whole process tree of the edge
//! (Node, which only hosts `workerd`, included). Miniflare's simulation of KV costs
//! more than the real one, so the figures err on the high side.

use super::Options;
use crate::{
    cpu,
    report::{Report, quantile},
};
use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use local_stack::{Client, Part, Role, Stack, StackConfig, Stopwatch, client::NewDocument};
use reqwest::Method;
use shared_types::{
    chat::{CacheOutcome, ChatAnswer},
    documents::{DocumentStatus, Visibility},
};
use std::{
    fmt::{self, Display, Formatter},
    fs,
    path::Path,
    time::Duration,
};
use tokio::{task::JoinSet, time::interval};

const QUESTION: &str = "On which beat do I release the pedal in a light waltz?";
const PASSWORD: &str = "correct-horse-battery";

/// CPU milliseconds that a cached answer may take, Miniflare's simulation of KV included.
const MAX_CPU_MS: f64 = 3.0;

/// What is asked for.
struct Endpoint {
    name: &'static str,
    path: &'static str,
    accept: &'static str,
    body: Option<&'static str>,
}

const HEALTH: Endpoint = Endpoint {
    name: "health",
    path: "/api/health",
    accept: "*/*",
    body: None,
};
const SSE: Endpoint = Endpoint {
    name: "cached answer, SSE",
    path: "/api/chat/query",
    accept: "text/event-stream",
    body: Some(QUESTION),
};
const JSON: Endpoint = Endpoint {
    name: "cached answer, JSON",
    accept: "application/json",
    ..SSE
};

struct Load {
    endpoint: &'static Endpoint,
    pace: Pace,
    target_p95_ms: Option<f64>,
}

/// When the next request is sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Each of so many connections sends one as soon as its last was answered.
    Connections(usize),
    /// When it is due, however the others fare.
    PerSecond(u32),
}

impl Display for Pace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(1) => f.write_str("1 connection"),
            Self::Connections(count) => write!(f, "{count} connections"),
            Self::PerSecond(rate) => write!(f, "{rate} a second"),
        }
    }
}

const LOADS: [Load; 5] = [
    Load {
        endpoint: &HEALTH,
        pace: Pace::Connections(1),
        target_p95_ms: None,
    },
    Load {
        endpoint: &SSE,
        pace: Pace::Connections(1),
        target_p95_ms: Some(10.0),
    },
    Load {
        endpoint: &SSE,
        pace: Pace::PerSecond(100),
        target_p95_ms: Some(10.0),
    },
    Load {
        endpoint: &JSON,
        pace: Pace::PerSecond(100),
        target_p95_ms: Some(10.0),
    },
    Load {
        endpoint: &SSE,
        pace: Pace::Connections(16),
        target_p95_ms: None,
    },
];

/// Starts a stack of its own, fills its caches, and measures.
pub async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
    let config = StackConfig::for_test(folder.path())?;
    let stack = Stack::start(config).await?;
    let requests = if options.quick { 500 } else { 2_000 };
    let measured = measure_stack(&stack, requests, report).await;
    stack.stop().await;
    measured
}

async fn measure_stack(stack: &Stack, requests: usize, report: &mut Report) -> anyhow::Result<()> {
    let browser = prepare(stack).await?;
    let edge = stack.process_id(Part::Edge).context("the edge runs")?;
    report.begin(
        "The whole system, KV as Miniflare simulates it",
        &[
            "what",
            "load",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "req/s",
            "CPU ms/req",
        ],
    );
    for load in &LOADS {
        run_load(&browser, load, requests / 10).await?;
        let cpu_before = cpu::ms_of_tree(edge)?;
        let clock = Stopwatch::start();
        let latencies = run_load(&browser, load, requests).await?;
        let elapsed_s = clock.elapsed().as_secs_f64();
        let cpu_ms = (cpu::ms_of_tree(edge)? - cpu_before) / latencies.len() as f64;
        let p95 = quantile(&latencies, 0.95);
        report.row(vec![
            load.endpoint.name.to_owned(),
            load.pace.to_string(),
            format!("{:.2}", quantile(&latencies, 0.5)),
            format!("{p95:.2}"),
            format!("{:.2}", quantile(&latencies, 0.99)),
            format!("{:.0}", latencies.len() as f64 / elapsed_s),
            format!("{cpu_ms:.2}"),
        ]);
        if let Some(target) = load.target_p95_ms {
            let what = format!("p95 of {}, {}", load.endpoint.name, load.pace);
            report.at_most(&what, p95, target, "ms");
        }
        if load.endpoint.body.is_some() {
            let what = format!("CPU of {}, {}", load.endpoint.name, load.pace);
            report.below(&what, cpu_ms, MAX_CPU_MS, "ms");
        }
    }
    Ok(())
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

/// Sends that many requests at the load's pace and returns the sorted latencies in milliseconds.
async fn run_load(
    browser: &Client,
    load: &'static Load,
    requests: usize,
) -> anyhow::Result<Vec<f64>> {
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {pos}/{len}")?;
    let bar = ProgressBar::new(requests as u64)
        .with_style(style)
        .with_message(load.endpoint.name);
    let mut senders = JoinSet::new();
    match load.pace {
        Pace::Connections(count) => {
            let share = requests.div_ceil(count);
            for _ in 0..count {
                let (browser, bar) = (browser.clone(), bar.clone());
                senders.spawn(async move {
                    let mut latencies = Vec::with_capacity(share);
                    for _ in 0..share {
                        let clock = Stopwatch::start();
                        send(&browser, load.endpoint).await?;
                        latencies.push(clock.elapsed());
                        bar.inc(1);
                    }
                    anyhow::Ok(latencies)
                });
            }
        }
        Pace::PerSecond(rate) => {
            let mut ticks = interval(Duration::from_secs(1) / rate);
            for _ in 0..requests {
                let due = ticks.tick().await;
                let (browser, bar) = (browser.clone(), bar.clone());
                senders.spawn(async move {
                    send(&browser, load.endpoint).await?;
                    bar.inc(1);
                    Ok(vec![due.elapsed()])
                });
            }
        }
    }
    let mut latencies = Vec::with_capacity(requests);
    while let Some(sender) = senders.join_next().await {
        latencies.extend(sender??.iter().map(|latency| latency.as_secs_f64() * 1e3));
    }
    bar.finish_and_clear();
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

async fn send(browser: &Client, endpoint: &Endpoint) -> anyhow::Result<()> {
    let request = match endpoint.body {
        None => browser.request(Method::GET, endpoint.path),
        Some(question) => browser
            .request(Method::POST, endpoint.path)
            .json(&serde_json::json!({ "query": question })),
    };
    let response = request
        .header("accept", endpoint.accept)
        .send()
        .await?
        .error_for_status()?;
    let body = response.bytes().await?;
    ensure!(!body.is_empty(), "{} answered nothing", endpoint.path);
    Ok(())
}
