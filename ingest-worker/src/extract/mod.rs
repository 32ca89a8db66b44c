//! Reading a PDF in a child process that may die without harm.

pub mod child;
mod limits;
pub mod protocol;
mod words;

pub use limits::Limits;
pub use protocol::Refusal;

use crate::{failure::Rejection, layout::RawPage};
use nix::sys::signal::Signal;
use protocol::{MAX_LINE_BYTES, MAX_TOTAL_BYTES, ProtocolError, Reader};
use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
};

/// How much of the child's complaints is kept.
const MAX_STDERR_BYTES: u64 = 4 * 1024;

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
        progress: impl FnMut(u32, u32),
    ) -> Result<Vec<RawPage>, ExtractError> {
        match tokio::time::timeout(self.deadline, self.run(file, progress)).await {
            Ok(result) => result,
            Err(_) => Err(ExtractError::Overdue(self.deadline)),
        }
    }

    async fn run(
        &self,
        file: &Path,
        mut progress: impl FnMut(u32, u32),
    ) -> Result<Vec<RawPage>, ExtractError> {
        let mut child = self.command(file).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // Read at the same time, or a child with much to complain about would wait for ever.
        let complaints = tokio::spawn(complaints(stderr));
        let mut reader = Reader::new(self.limits.max_pages);
        if let Some(stdout) = stdout {
            read_lines(stdout, &mut reader, &mut progress).await?;
        }
        let status = child.wait().await?;
        let stderr = complaints.await.unwrap_or_default();
        match reader.finish() {
            Some(Ok(pages)) if status.success() => Ok(pages),
            Some(Err(refusal)) if status.success() => {
                Err(Rejection::of(refusal, self.limits.max_pages).into())
            }
            _ => Err(judge(status, stderr)),
        }
    }

    fn command(&self, file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("extract")
            .arg("--library")
            .arg(&self.library)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--memory-bytes")
            .arg(self.limits.memory_bytes.to_string())
            .arg("--cpu-s")
            .arg(self.limits.cpu_s.to_string())
            .arg("--max-pages")
            .arg(self.limits.max_pages.to_string())
            .arg("--")
            .arg(file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

async fn read_lines(
    output: impl AsyncRead + Unpin,
    reader: &mut Reader,
    progress: &mut impl FnMut(u32, u32),
) -> Result<(), ExtractError> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut output).take(MAX_LINE_BYTES as u64);
        if bounded.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            // The child was killed in the middle of a line, or the line is longer than any may be.
            return if line.len() < MAX_LINE_BYTES {
                Ok(())
            } else {
                Err(Rejection::TooMuchText.into())
            };
        }
        reader.line(&line).map_err(|error| match error {
            ProtocolError::TooMuch => Rejection::TooMuchText.into(),
            other => ExtractError::Protocol(other),
        })?;
        let (done, total) = reader.progress();
        progress(done, total);
    }
}

async fn complaints(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut stderr) = stderr {
        // A failure to read complaints must not hide the failure itself.
        let _ = (&mut stderr)
            .take(MAX_STDERR_BYTES)
            .read_to_end(&mut kept)
            .await;
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// Whose fault it is that the child ended without a document.
fn judge(status: ExitStatus, stderr: String) -> ExtractError {
    match status.signal().map(Signal::try_from) {
        // Out of processor time; the others are how pdfium ends without memory, or where it stumbles.
        Some(Ok(
            Signal::SIGXCPU
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGFPE
            | Signal::SIGILL
            | Signal::SIGSEGV
            | Signal::SIGSYS
            | Signal::SIGTRAP
            | Signal::SIGXFSZ,
        )) => Rejection::TooComplex.into(),
        // The document opened once and then no more.
        None if status.success() => Rejection::Damaged.into(),
        // Killed from outside, or an error of the child's own.
        _ => ExtractError::Failed { status, stderr },
    }
}

const _: () = assert!(MAX_LINE_BYTES < MAX_TOTAL_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let endless = tokio::io::repeat(b'x');
        let result = read_lines(endless, &mut Reader::new(2_000), &mut |_, _| {}).await;
        assert!(matches!(
            result,
            Err(ExtractError::Rejected(Rejection::TooMuchText))
        ));
    }

    #[test]
    fn a_child_killed_from_outside_is_not_the_files_fault() {
        let killed = judge(ExitStatus::from_raw(9), String::new());
        assert!(matches!(killed, ExtractError::Failed { .. }));
        let out_of_time = judge(ExitStatus::from_raw(24), String::new());
        assert!(matches!(
            out_of_time,
            ExtractError::Rejected(Rejection::TooComplex)
        ));
    }
}
