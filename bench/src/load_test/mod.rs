//! How much the whole system takes, and how it behaves beyond that. The stand-ins answer with the specification's
//! latencies. `docs/benchmarks.md` says what the figures mean.

mod capacity;
mod chaos;
mod crowd;
mod drive;
mod hits;
mod overload;
mod rag;
mod soak;
mod system;
mod tally;

use crate::report::Report;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use system::System;

/// What may be chosen.
#[derive(Args)]
pub struct Options {
    /// One run alone
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// The specification's own length, where the short form is a few minutes in all
    #[arg(long)]
    long: bool,
    /// How long the soak takes
    #[arg(long, default_value_t = 1)]
    soak_minutes: u32,
    /// Users at the most
    #[arg(long, default_value_t = 100)]
    users: u32,
    /// What makes the load of the specification
    #[arg(long, env = "ETUDE_K6", default_value = "k6")]
    k6: PathBuf,
}

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The specification's load, by k6
    Load,
    /// How often each cache answers
    Hits,
    /// Whether memory, file handles and connections stay what they are
    Soak,
    /// Five times of what the system can do
    Overload,
    /// Each dependency slow or gone, one after the other
    Chaos,
}

/// The columns of the one table.
const HEADINGS: [&str; 10] = [
    "run",
    "load",
    "asked",
    "a second",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "answered",
    "with less",
    "else",
];

/// Runs everything that is wanted, one after the other, in one system.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut system = System::start().await?;
    let measured = measure(options, &mut system).await;
    system.stop().await;
    measured
}

async fn measure(options: &Options, system: &mut System) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report.begin("Load", &HEADINGS);
    let is_wanted = |part| options.only.is_none_or(|only| only == part);
    if is_wanted(Part::Load) {
        rag::run(options, system, &mut report).await?;
    }
    if is_wanted(Part::Hits) {
        hits::run(options.long, system, &mut report).await?;
    }
    if is_wanted(Part::Soak) {
        soak::run(options.soak_minutes, options.users / 2, system, &mut report).await?;
    }
    if is_wanted(Part::Overload) {
        let capacity = capacity::measure(system, &mut report).await?;
        overload::run(options.long, capacity, system, &mut report).await?;
    }
    if is_wanted(Part::Chaos) {
        chaos::run(options.long, system, &mut report).await?;
    }
    Ok(report)
}
