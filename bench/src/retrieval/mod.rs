//! Retrieval under row-level security, as the origin searches: how good it is, how fast in a large library that nobody
//! wrote, and how much of it the origin serves.
//! `docs/benchmarks.md` says how, and what the figures mean.

mod corpus;
mod crowd;
mod curves;
mod measure;
mod quality;
mod school;
mod shelf;
mod throughput;

use crate::report::{Report, quantile};
use clap::{Args, ValueEnum};
use corpus::Library;
use local_stack::Install;
use measure::Cell;
use school::{Caller, STAGES};
use shelf::{Server, Shelf};
use std::path::PathBuf;
use storage::search::CorpusMemory;
use tokio::time::Instant;

#[derive(Args)]
pub struct Options {
    /// 10,000 passages and fewer questions: good for development, too few to judge by
    #[arg(long)]
    quick: bool,
    /// 1,000,000 passages as well: takes hours
    #[arg(long)]
    million: bool,
    /// One part alone
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// The Cranfield collection with its vectors; left out without
    #[arg(long, env = "ETUDE_CRANFIELD")]
    cranfield: Option<PathBuf>,
    /// Where libraries are kept between runs
    #[arg(long, env = "ETUDE_BENCH_FOLDER")]
    folder: PathBuf,
    /// PgBouncer, 1.21 or later
    #[arg(long, env = "ETUDE_PGBOUNCER")]
    pgbouncer: PathBuf,
    /// What makes the load: `oha`
    #[arg(long, env = "ETUDE_OHA", default_value = "oha")]
    oha: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How good what is found is, by labels
    Quality,
    /// How fast it is found, and how much of what comparing everything would find
    Speed,
    /// How much the origin serves, beside pgbench and services in Python
    Throughput,
}

const MIN_RECALL: f64 = 0.99;

/// A library and what a search in it may take.
struct Size {
    passages: usize,
    max_p95_ms: Option<f64>,
}

/// Measures each library, one after the other.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let install = Install::from_env()?;
    let mut server = Server::start(&install, &options.folder).await?;
    let mut report = Report::default();
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    if is_wanted(Part::Quality) {
        let cranfield = options.cranfield.as_deref();
        quality::measure(&server, &install, &options.folder, cranfield, &mut report).await?;
    }
    if is_wanted(Part::Speed) {
        let library = Library::new();
        let questions = if options.quick { 40 } else { 200 };
        let mut libraries = Vec::new();
        for size in sizes(options) {
            let (shelf, cells) =
                measure_size(&server, &library, &size, questions, &mut report).await?;
            libraries.push((size.passages, cells));
            let path = options.folder.join(format!("graph-{}.svg", size.passages));
            curves::graph(&shelf, &library, questions, &path, &mut report).await?;
            let passages = size.passages;
            let pgbouncer = &options.pgbouncer;
            crowd::measure(&server, &shelf, &library, passages, pgbouncer, &mut report).await?;
            server.discard(shelf).await?;
        }
        curves::sizes(&libraries, &options.folder.join("latency.svg"))?;
    }
    if is_wanted(Part::Throughput) {
        throughput::measure(&install, options, &server, &mut report).await?;
    }
    server.stop().await;
    Ok(report)
}

fn sizes(options: &Options) -> Vec<Size> {
    let mut sizes = vec![Size {
        passages: 10_000,
        max_p95_ms: Some(8.0),
    }];
    if !options.quick {
        sizes.push(Size {
            passages: 100_000,
            max_p95_ms: Some(20.0),
        });
    }
    if options.million {
        sizes.push(Size {
            passages: 1_000_000,
            max_p95_ms: None,
        });
    }
    sizes
}

async fn measure_size(
    server: &Server,
    library: &Library,
    size: &Size,
    questions: u64,
    report: &mut Report,
) -> anyhow::Result<(Shelf, Vec<(Caller, Cell)>)> {
    let shelf = server.open(library, size.passages).await?;
    let memory = CorpusMemory::new(passages_bytes(size.passages));
    let mut cells = Vec::new();
    let (mut published, mut publishing_s) = (0, 0.0);
    for stage in 0..STAGES.len() {
        let start = Instant::now();
        published += shelf.publish(size.passages, stage).await?;
        publishing_s += start.elapsed().as_secs_f64();
        let callers = school::callers(stage);
        let bar = shelf::bar(&format!("ask at stage {stage}"), callers.len())?;
        for caller in callers {
            let cell = measure::cell(&shelf, library, &caller, questions, &memory).await?;
            cells.push((caller, cell));
            bar.inc(1);
        }
        bar.finish_and_clear();
    }

    let passages = size.passages;
    report.begin(
        &format!("Search in {passages} passages"),
        &[
            "readable",
            "caller",
            "questions",
            "recall@10",
            "recall@20",
            "p50 ms",
            "p95 ms",
            "CPU p50 ms",
            "by SQL: plan",
            "recall@10",
            "recall@20",
            "p50 ms",
            "p95 ms",
            "CPU p50 ms",
            "words p50 ms",
        ],
    );
    for (caller, cell) in &cells {
        let share = cell.readable as f64 / passages as f64;
        report.row(vec![
            format!("{:.1} %", 100.0 * share),
            caller.name.to_owned(),
            caller.questions.name().to_owned(),
            format!("{:.4}", cell.in_memory.recall_10),
            format!("{:.4}", cell.in_memory.recall_20),
            format!("{:.2}", quantile(&cell.in_memory.ms, 0.5)),
            format!("{:.2}", quantile(&cell.in_memory.ms, 0.95)),
            format!("{:.2}", quantile(&cell.in_memory.cpu_ms, 0.5)),
            cell.by_sql.plan_names(),
            format!("{:.4}", cell.by_sql.recall_10),
            format!("{:.4}", cell.by_sql.recall_20),
            format!("{:.2}", quantile(&cell.by_sql.ms, 0.5)),
            format!("{:.2}", quantile(&cell.by_sql.ms, 0.95)),
            format!("{:.2}", quantile(&cell.by_sql.cpu_ms, 0.5)),
            format!("{:.2}", quantile(&cell.words_ms, 0.5)),
        ]);
        let what = format!(
            "{passages} passages, {:.1} % readable, {}, {}",
            100.0 * share,
            caller.name,
            caller.questions.name()
        );
        hold(report, &what, cell, size);
    }
    let loading_ms = cells.iter().map(|(_, cell)| cell.loading_ms).sum();
    let loaded = (memory.bytes(), loading_ms);
    kept(&shelf, size, (published, publishing_s), loaded, report).await?;
    Ok((shelf, cells))
}

/// Room for all of them, and as many again while they move from one corpus to another.
fn passages_bytes(passages: usize) -> usize {
    6_000 * passages
}

fn hold(report: &mut Report, what: &str, cell: &Cell, size: &Size) {
    for (how, searches) in [("", &cell.in_memory), (" by SQL", &cell.by_sql)] {
        let recall = [("10", searches.recall_10), ("20", searches.recall_20)];
        for (depth, recall) in recall {
            report.at_least(&format!("{what}{how}: recall@{depth}"), recall, MIN_RECALL);
        }
    }
    if let Some(bound) = size.max_p95_ms {
        report.at_most(
            &format!("{what}: p95"),
            quantile(&cell.in_memory.ms, 0.95),
            bound,
            "ms",
        );
    }
}

/// What is stored, and how long storing it took.
async fn kept(
    shelf: &Shelf,
    size: &Size,
    (published, publishing_s): (usize, f64),
    (bytes, loading_ms): (usize, f64),
    report: &mut Report,
) -> anyhow::Result<()> {
    let passages = size.passages;
    report.begin(
        &format!("What {passages} passages take"),
        &["what", "measured"],
    );
    for (what, relation) in [
        ("passages with vectors", "document_chunks"),
        (
            "graph of the public vectors",
            "document_chunks_public_embedding",
        ),
        ("signs", "document_chunks_signs"),
        ("postings, table", "document_postings"),
        ("postings, index", "document_postings_pkey"),
    ] {
        let mb = shelf.size_mb(relation).await?;
        report.row(vec![what.to_owned(), format!("{mb:.0} MB")]);
    }
    let each =
        |s: f64, passages: usize| format!("{s:.0} s, {:.2} ms each", 1e3 * s / passages as f64);
    let storing_s = shelf.storing_s().await?;
    report.row(vec!["storing".to_owned(), each(storing_s, passages)]);
    report.row(vec![
        "publishing, with the graph".to_owned(),
        each(publishing_s, published),
    ]);
    report.row(vec![
        "in memory".to_owned(),
        format!("{:.0} MB", bytes as f64 / 1e6),
    ]);
    report.row(vec![
        "reading into memory, stage by stage".to_owned(),
        each(loading_ms / 1e3, passages),
    ]);
    Ok(())
}
