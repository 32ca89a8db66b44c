//! The edge, measured in real `workerd`: side by side with a Worker in TypeScript, and against fixed targets.
//! `docs/benchmarks.md` says how, and what the figures mean.

pub mod alone;
mod miniflare;
mod pairs;
mod question;
mod services;
mod sides;
mod start_up;
mod workerd;

use crate::report::Report;
use clap::Args;
use local_stack::Install;
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// Fewer and shorter runs: good for development, too few to judge by
    #[arg(long)]
    quick: bool,
    /// What makes the load: `oha`
    #[arg(long, env = "ETUDE_OHA", default_value = "oha")]
    oha: PathBuf,
    /// Only the comparison with the Worker in TypeScript
    #[arg(long)]
    pairs_only: bool,
}

/// The bound on the Worker in kB before compression.
const MAX_WASM_KB: f64 = 600.0;

/// Measures everything, one thing after the other.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let install = Install::from_env()?;
    let mut report = Report::default();
    if !options.pairs_only {
        size(&install, &mut report)?;
        start_up::measure(&install, options, &mut report).await?;
        miniflare::measure(options, &mut report).await?;
    }
    pairs::measure(&install, options, &mut report).await?;
    Ok(report)
}

fn size(install: &Install, report: &mut Report) -> anyhow::Result<()> {
    let wasm = install.repository.join("edge-worker/build/index_bg.wasm");
    let wasm_kb = std::fs::metadata(wasm)?.len() as f64 / 1e3;
    report.begin("Size and start-up", &["what", "measured", "target"]);
    report.row(vec![
        "wasm before compression".to_owned(),
        format!("{wasm_kb:.0} kB"),
        format!("< {MAX_WASM_KB} kB"),
    ]);
    report.below("wasm before compression", wasm_kb, MAX_WASM_KB, "kB");
    Ok(())
}
