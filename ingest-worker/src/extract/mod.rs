//! Reading a PDF in a child process that may die without harm.

pub mod child;
pub(crate) mod limits;
mod memory;
mod pages;
pub(crate) mod process;
pub mod protocol;
mod scans;
pub(crate) mod words;

pub use limits::Limits;
pub use pages::{Legible, Pages};
pub use protocol::Refusal;

use crate::failure::Rejection;
use protocol::{ProtocolError, Reader};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use thiserror::Error;

/// Starts the child that reads a PDF.
#[derive(Clone, Debug)]
pub struct Extractor {
    /// The program with the `extract` subcommand: this one.
    pub program: PathBuf,
    /// Path of `libpdfium.so`.
    pub library: PathBuf,
    /// What the child may use.
    pub limits: Limits,
    /// How long the child may take by the clock.
    pub deadline: Duration,
}

/// Why there are no pages.
#[derive(Debug, Error)]
pub enum ExtractError {
    /// The file's fault.
    #[error("the file was rejected")]
    Rejected(#[from] Rejection),
    /// The child could not be started, or its output not be read.
    #[error("the extraction process can't be run")]
    Run(#[from] io::Error),
    /// The child failed at something that has nothing to do with the file.
    #[error("the extraction process failed ({status}): {stderr}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// The child said what it must not say.
    #[error("the extraction process broke its protocol")]
    Protocol(#[source] ProtocolError),
    /// Its pages could not be kept.
    #[error("a temporary file can't be written or read")]
    Spool(#[source] io::Error),
    /// The child was still at work at the deadline.
    #[error("the extraction process took longer than {0:?}")]
    Overdue(Duration),
}

impl Extractor {
    /// The pages of `file`, in order. `progress` is told pages read and pages announced.
    ///
    /// Dropping the future kills the child; so does the end of this process.
    pub async fn extract(
        &self,
        file: &Path,
        mut progress: impl FnMut(u32, u32),
    ) -> Result<Pages, ExtractError> {
        let mut command = process::command(&self.program, "extract", &self.limits);
        command
            .arg("--library")
            .arg(&self.library)
            .arg("--")
            .arg(file);
        let reader = Reader::new(self.limits.max_pages);
        let mut pages = Pages::new().map_err(ExtractError::Spool)?;
        process::pages(command, reader, self.deadline, |page, (done, total)| {
            if let Some(page) = page {
                pages.push(&page)?;
            }
            progress(done, total);
            Ok(())
        })
        .await?;
        Ok(pages)
    }
}
