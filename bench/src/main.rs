//! Measurements of Etude: `cargo xtask bench NAME`.
//!
//! Each prints a table, and with `--check` names every target that is missed and exits 1. Figures of
//! a shared machine vary; compare them within one run.

mod answers;
mod chart;
mod clock;
mod cpu;
mod edge;
mod ingest;
mod library;
mod load;
mod load_test;
mod python;
mod relay;
mod report;
mod retrieval;
mod token;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "bench", about = "Measurements of Etude")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Exit with 1 and name every target that is missed.
    #[arg(long, global = true)]
    check: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// What is answered and what is refused, of questions with and without an answer.
    Answers,
    /// The edge's CPU time and latency, beside a Worker in TypeScript and against fixed targets.
    Edge(edge::Options),
    /// Reading PDFs: pages a second, memory and agreement of the text, beside Python libraries and bare pdfium.
    Ingest(ingest::Options),
    /// One reading of one file, which `ingest` measures.
    #[command(hide = true)]
    Read(ingest::ReadOptions),
    /// How much the whole system takes, and how it behaves beyond that.
    Load(load_test::Options),
    /// What edge and origin add to the words of an answer, of one stream and of many at once.
    Relay(relay::Options),
    /// Recall and latency of hybrid search under row-level security.
    Retrieval(retrieval::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = match arguments.bench {
        Bench::Read(options) => return ingest::read(&options).await,
        Bench::Answers => answers::run().await?,
        Bench::Ingest(options) => ingest::run(&options).await?,
        Bench::Edge(options) => edge::run(&options).await?,
        Bench::Load(options) => load_test::run(&options).await?,
        Bench::Relay(options) => relay::run(&options).await?,
        Bench::Retrieval(options) => retrieval::run(&options).await?,
    };
    Ok(report.conclude(arguments.check))
}
