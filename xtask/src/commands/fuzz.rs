//! `fuzz`: runs fuzz targets under libFuzzer.

use crate::{
    cache::Cache,
    checkout::{Checkout, cargo},
    prerequisites, process,
    steps::Steps,
};
use anyhow::{Context, Result, ensure};
use std::{env::consts::ARCH, fs, path::Path, process::ExitCode};
use tokio::process::Command;

/// Coverage as libFuzzer counts it. cargo-fuzz passes the same, and wants nightly for the sanitizers that come with it:
/// safe code has little use for those.
const COVERAGE: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];
/// Larger inputs find little that smaller ones don't.
const MAX_INPUT_BYTES: u32 = 4096;
/// An input that takes longer is a finding.
const INPUT_TIMEOUT_S: u32 = 10;

/// Runs one target, or each in turn, for so long; ends at the first finding. What was found interesting is kept in the
/// cache, and the next run begins with it.
pub async fn run(checkout: &Checkout, target: Option<&str>, seconds: u32) -> Result<ExitCode> {
    prerequisites::check().await?;
    let mut steps = Steps::start();
    let cache = Cache::open()?;
    let folder = checkout.root.join("fuzz");
    let known = targets(&folder)?;
    let wanted: Vec<&String> = known
        .iter()
        .filter(|name| target.is_none_or(|target| target == name.as_str()))
        .collect();
    ensure!(
        !wanted.is_empty(),
        "there is no such fuzz target; there are {}",
        known.join(", ")
    );
    let triple = format!("{ARCH}-unknown-linux-gnu");
    let mut build = Command::new(cargo());
    build.args(["build", "--release", "--locked", "--target", &triple]);
    build.args(["--target-dir", "target"]);
    for name in &wanted {
        build.arg("--bin").arg(name);
    }
    build
        .current_dir(&folder)
        // For build scripts, which run on this machine, `--target` keeps the flags away.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("{} --cfg fuzzing", COVERAGE.join(" ")));
    let building = process::visibly("cargo build", &mut build);
    steps
        .run_visibly("build the fuzz targets", building)
        .await?;
    for name in wanted {
        let corpus = cache.path("fuzz").join(name);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        let program = folder.join("target").join(&triple).join("release");
        let mut fuzz = Command::new(program.join(name));
        fuzz.arg(&corpus)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_INPUT_BYTES}"))
            .arg(format!("-timeout={INPUT_TIMEOUT_S}"))
            .args(["-print_final_stats=1", "-verbosity=0"])
            .current_dir(&folder);
        let fuzzing = process::visibly(name, &mut fuzz);
        steps.run_visibly(&format!("fuzz {name}"), fuzzing).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the targets, in their order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}
