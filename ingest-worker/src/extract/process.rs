//! Running a child that reads a file.

use super::{
    ExtractError, Limits,
    protocol::{MAX_MESSAGE_BYTES, MAX_TOTAL_BYTES, ProtocolError, Reader},
};
use crate::{failure::Rejection, layout::RawPage};
use nix::sys::signal::Signal;
use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

/// How much of the child's complaints is kept.
const MAX_STDERR_BYTES: u64 = 4 * 1024;

/// `program` with a subcommand, without an environment, told its parent and its limits.
pub(crate) fn command(program: &Path, subcommand: &str, limits: &Limits) -> Command {
    let mut command = Command::new(program);
    command
        .arg(subcommand)
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg("--memory-bytes")
        .arg(limits.memory_bytes.to_string())
        .arg("--cpu-s")
        .arg(limits.cpu_s.to_string())
        .arg("--max-pages")
        .arg(limits.max_pages.to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Hands over each page that the child writes and `reader` accepts, with pages read and pages announced; those alone,
/// too, when they change. What was handed over before a failure stands, but is not all. A failure of `heard` is that of
/// keeping a page, and ends the child.
///
/// Dropping the future kills the child; so does the end of this process.
pub(crate) async fn pages(
    command: Command,
    reader: Reader,
    deadline: Duration,
    heard: impl FnMut(Option<RawPage>, (u32, u32)) -> io::Result<()>,
) -> Result<(), ExtractError> {
    within(deadline, run(command, reader, heard)).await
}

/// All that the child writes: at most `most` bytes, after which it holds too much text.
///
/// Dropping the future kills the child; so does the end of this process.
pub(crate) async fn output(
    command: Command,
    most: u64,
    deadline: Duration,
) -> Result<Vec<u8>, ExtractError> {
    within(deadline, run_for_output(command, most)).await
}

async fn within<T>(
    deadline: Duration,
    run: impl Future<Output = Result<T, ExtractError>>,
) -> Result<T, ExtractError> {
    match tokio::time::timeout(deadline, run).await {
        Ok(result) => result,
        Err(_) => Err(ExtractError::Overdue(deadline)),
    }
}

async fn run_for_output(mut command: Command, most: u64) -> Result<Vec<u8>, ExtractError> {
    let mut running = Running::start(&mut command)?;
    let mut output = Vec::new();
    if let Some(stdout) = running.child.stdout.take() {
        stdout.take(most + 1).read_to_end(&mut output).await?;
    }
    if output.len() as u64 > most {
        return Err(Rejection::TooMuchText.into());
    }
    match running.end().await? {
        (status, _) if status.success() => Ok(output),
        (status, stderr) => Err(judge(status, stderr)),
    }
}

/// A child and what hears its complaints.
struct Running {
    child: Child,
    complaints: JoinHandle<String>,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        // Read at the same time, or a child with much to complain about would wait for ever.
        let complaints = tokio::spawn(complaints(child.stderr.take()));
        Ok(Self { child, complaints })
    }

    /// How it ended, and of what it complained.
    async fn end(mut self) -> io::Result<(ExitStatus, String)> {
        let status = self.child.wait().await?;
        Ok((status, self.complaints.await.unwrap_or_default()))
    }
}

async fn run(
    mut command: Command,
    mut reader: Reader,
    mut heard: impl FnMut(Option<RawPage>, (u32, u32)) -> io::Result<()>,
) -> Result<(), ExtractError> {
    let mut running = Running::start(&mut command)?;
    if let Some(stdout) = running.child.stdout.take() {
        read_frames(stdout, &mut reader, &mut heard).await?;
    }
    let (status, stderr) = running.end().await?;
    let max_pages = reader.max_pages();
    match reader.finish() {
        Some(Ok(())) if status.success() => Ok(()),
        Some(Err(refusal)) if status.success() => Err(Rejection::of(refusal, max_pages).into()),
        _ => Err(judge(status, stderr)),
    }
}

async fn read_frames(
    output: impl AsyncRead + Unpin,
    reader: &mut Reader,
    heard: &mut impl FnMut(Option<RawPage>, (u32, u32)) -> io::Result<()>,
) -> Result<(), ExtractError> {
    let mut output = BufReader::new(output);
    let mut message = Vec::new();
    loop {
        let length = match output.read_u32_le().await {
            Ok(length) => length as usize,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if length > MAX_MESSAGE_BYTES {
            return Err(Rejection::TooMuchText.into());
        }
        message.clear();
        let mut bounded = (&mut output).take(length as u64);
        if bounded.read_to_end(&mut message).await? < length {
            // The child was killed in the middle of a frame.
            return Ok(());
        }
        let page = reader.message(&message).map_err(|error| match error {
            ProtocolError::TooMuch => Rejection::TooMuchText.into(),
            other => ExtractError::Protocol(other),
        })?;
        heard(page, reader.progress()).map_err(ExtractError::Spool)?;
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

const _: () = assert!(MAX_MESSAGE_BYTES < MAX_TOTAL_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_without_end_is_refused_before_it_fills_the_memory() {
        let endless = tokio::io::repeat(b'x');
        let result = read_frames(endless, &mut Reader::new(2_000), &mut |_, _| Ok(())).await;
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
