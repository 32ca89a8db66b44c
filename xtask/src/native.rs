//! Building the native programs.

use crate::{
    checkout::{Checkout, cargo},
    process,
};
use anyhow::Result;
use tokio::process::Command;

/// What is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// What a running system consists of.
    Programs,
    /// That and every test: cargo gives dependencies other features for the two, so whoever wants both
    /// would compile most of them twice.
    ProgramsAndTests,
    /// The program that reads PDFs.
    IngestWorker,
}

impl Native {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Programs => &[
                "build",
                "--package=origin-api",
                "--package=ingest-worker",
                "--package=local-cloud",
            ],
            Self::IngestWorker => &["build", "--package=ingest-worker"],
            // Integration tests bring the programs of their package.
            Self::ProgramsAndTests => &["test", "--workspace", "--no-run"],
        }
    }
}

/// Builds what is wanted.
pub async fn build(checkout: &Checkout, wanted: Native) -> Result<()> {
    let mut command = Command::new(cargo());
    command.args(wanted.words()).current_dir(&checkout.root);
    process::visibly("cargo build", &mut command).await
}
