//! What can go wrong when the system is started, used or stopped.

use shared_types::problem::{Problem, ProblemKind};
use std::{io, path::PathBuf, process::ExitStatus};
use thiserror::Error;

/// Why a stack can't be started, used or stopped. The text says what to do where that is known.
#[derive(Debug, Error)]
pub enum StackError {
    /// A file or folder can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program can't be started.
    #[error("{program} can't be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// A process ended before it was ready.
    #[error("{name} ended while starting ({status}); its last lines, from {}:\n{tail}", log.display())]
    EndedEarly {
        /// The part.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Where its log is.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// A process does not become ready.
    #[error("{name} is not ready after {seconds} s; its last lines, from {}:\n{tail}", log.display())]
    NotReady {
        /// The part.
        name: &'static str,
        /// How long was waited.
        seconds: u64,
        /// Where its log is.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// A command that prepares something fails.
    #[error("{what} failed ({status}):\n{output}")]
    Command {
        /// What the command does.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// A port is taken by somebody else.
    #[error("port {port}, wanted by {part}, is in use{}: stop that, or choose another with {flag}", holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default())]
    PortInUse {
        /// The port.
        port: u16,
        /// Who wants it.
        part: &'static str,
        /// Who has it, where that can be seen.
        holder: Option<String>,
        /// The option that chooses another.
        flag: &'static str,
    },
    /// The data folder was made by another version.
    #[error("the data folder {} was made by {found}, this is {expected}: start once with --fresh to begin anew", path.display())]
    StaleData {
        /// The folder.
        path: PathBuf,
        /// What made it.
        found: String,
        /// What would read it.
        expected: String,
    },
    /// A setting is missing or contradicts another.
    #[error("{0}")]
    Setting(String),
    /// A URL can't be read.
    #[error("{name} is not a URL: {source}")]
    Url {
        /// The setting.
        name: &'static str,
        /// Why not.
        source: url::ParseError,
    },
    /// A request got no answer.
    #[error("no answer from {what}: {}", reason(source))]
    Http {
        /// Who was asked.
        what: String,
        /// What the HTTP client says.
        source: reqwest::Error,
    },
    /// The system refused a request.
    #[error("{what} was refused: {}{}", problem.title, problem.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Refused {
        /// The request.
        what: String,
        /// The problem as it came.
        problem: Box<Problem>,
    },
    /// An answer that is neither what was asked for nor a problem.
    #[error("{what} answered something unexpected ({status}): {body}")]
    Unexpected {
        /// Who was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// The answer's event stream can't be read.
    #[error("the answer's event stream can't be read: {0}")]
    Stream(String),
}

impl StackError {
    /// Whether a request was refused with this kind of problem.
    #[must_use]
    pub fn is(&self, kind: ProblemKind) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.is(kind))
    }

    /// An error about this file, for `map_err`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// An error of a request, for `map_err`.
    pub fn http(what: impl Into<String>) -> impl FnOnce(reqwest::Error) -> Self {
        let what = what.into();
        move |source| Self::Http { what, source }
    }
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
