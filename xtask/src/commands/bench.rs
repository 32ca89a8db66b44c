//! `bench`: sets everything up and hands over to the package `bench`.

use crate::{
    cache::Cache,
    checkout::{Checkout, cargo},
    setup::{self, Wanted},
    steps::Steps,
};
use anyhow::{Context, Result};
use local_stack::{Encoder, LanguageModel};
use std::process::{ExitCode, Stdio};
use tokio::process::Command;

const WANTED: Wanted = Wanted {
    encoders: &[Encoder::Mpnet, Encoder::Small],
    language_model: LanguageModel::Extractive,
};

pub async fn run(checkout: &Checkout, name: &str, check: bool) -> Result<ExitCode> {
    let mut steps = Steps::start();
    let cache = Cache::open()?;
    let ready = setup::run(&cache, checkout, WANTED, &mut steps).await?;
    let mut command = Command::new(cargo());
    command.args(["run", "--quiet", "--package=bench", "--", name]);
    if check {
        command.arg("--check");
    }
    let status = command
        .current_dir(&checkout.root)
        .envs(ready.install.to_env())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("the benchmark can't be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
