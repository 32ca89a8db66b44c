//! Building the native programs.

use crate::{
    checkout::{Checkout, cargo},
    process,
};
use anyhow::Result;
use tokio::process::Command;

/// Builds what a running system consists of.
pub async fn build(checkout: &Checkout) -> Result<()> {
    let mut command = Command::new(cargo());
    command
        .args([
            "build",
            "--package=origin-api",
            "--package=ingest-worker",
            "--package=local-cloud",
        ])
        .current_dir(&checkout.root);
    process::visibly("cargo build", &mut command).await
}
