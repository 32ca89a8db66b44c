//! `bench`: sets everything up and hands over to the package `bench`.

use crate::{
    cache::Cache,
    checkout::{Checkout, cargo},
    native::Native,
    process,
    setup::{self, Wanted},
    steps::Steps,
};
use anyhow::Result;
use local_stack::{Encoder, LanguageModel};
use tokio::process::Command;

const WANTED: Wanted = Wanted {
    encoders: &[Encoder::Small],
    language_model: LanguageModel::Extractive,
    native: Native::Programs,
};

pub async fn run(checkout: &Checkout, name: &str, check: bool) -> Result<()> {
    let mut steps = Steps::start();
    let cache = Cache::open()?;
    let ready = setup::run(&cache, checkout, WANTED, &mut steps).await?;
    let mut command = Command::new(cargo());
    command.args(["run", "--quiet", "--package=bench", "--", name]);
    if check {
        command.arg("--check");
    }
    command
        .current_dir(&checkout.root)
        .envs(ready.install.to_env());
    process::visibly("the benchmark", &mut command).await
}
