//! One child process: start, readiness, log, end.

pub mod leftover;
mod spawner;

use crate::{StackError, clock::Stopwatch};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use std::{
    ffi::OsString,
    fs::{self, File},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tokio::time::sleep;

/// How often a starting or ending process is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long a process may take to become ready. Loading a model on a busy machine is slow.
const READY_PATIENCE: Duration = Duration::from_mins(4);
/// How long a process may take to end by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(12);
/// How much of a log an error repeats.
const TAIL_LINES: usize = 20;

/// Whether a process outlives the one that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends when the starter ends, even when that is killed.
    WithParent,
    /// It goes on until it is stopped.
    Detached,
}

/// As whom a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// As the caller.
    Caller,
    /// As another user and group.
    Account {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

/// What shows that a process is ready.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// A line `{"ready":true,…}` on standard output.
    Line,
    /// The last line of `PostgreSQL`'s pid file in this folder, as `pg_ctl` reads it.
    PostmasterFile(PathBuf),
    /// It takes connections at this port of 127.0.0.1.
    Port(u16),
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The part's name in messages; its log is `{name}.log`.
    pub name: &'static str,
    /// The executable.
    pub executable: PathBuf,
    /// Its arguments. No secrets: everyone on the machine can read them.
    pub arguments: Vec<OsString>,
    /// Variables on top of the inherited ones.
    pub environment: Vec<(String, String)>,
    /// Inherited variables that it must not see.
    pub hidden: Vec<String>,
    /// The working folder.
    pub folder: PathBuf,
    /// As whom it runs.
    pub run_as: RunAs,
    /// What ends it in good order.
    pub stop_signal: Signal,
    /// What shows that it is ready.
    pub readiness: Readiness,
}

/// A running child process. Dropping it kills it and its own children, unless it was left.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
    left: bool,
    log: PathBuf,
    output: PathBuf,
}

impl Process {
    /// Starts `program` in a session of its own. Its standard error goes to `{logs}/{name}.log`.
    pub fn start(program: Program, logs: &Path, lifetime: Lifetime) -> Result<Self, StackError> {
        let log = logs.join(format!("{}.log", program.name));
        let output = logs.join(format!("{}.out", program.name));
        let create = |path: &Path| File::create(path).map_err(StackError::file(path));
        let mut command = Command::new(&program.executable);
        command
            .args(&program.arguments)
            .current_dir(&program.folder)
            .stdin(Stdio::null())
            .stdout(create(&output)?)
            .stderr(create(&log)?);
        for name in &program.hidden {
            command.env_remove(name);
        }
        command.envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        let child =
            spawner::spawn(command, &program, lifetime).map_err(|source| StackError::Spawn {
                program: program.executable.display().to_string(),
                source,
            })?;
        Ok(Self {
            program,
            child,
            left: false,
            log,
            output,
        })
    }

    /// The part's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.program.name
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its standard error goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> Result<(), StackError> {
        let waiting = Stopwatch::start();
        loop {
            if self.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(StackError::EndedEarly {
                    name: self.program.name,
                    status,
                    log: self.log.clone(),
                    tail: self.tail(),
                });
            }
            if waiting.elapsed() > READY_PATIENCE {
                return Err(StackError::NotReady {
                    name: self.program.name,
                    seconds: READY_PATIENCE.as_secs(),
                    log: self.log.clone(),
                    tail: self.tail(),
                });
            }
            sleep(POLL).await;
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, waits, and kills what is left of it and of its own children.
    pub async fn stop(&mut self) {
        let waiting = Stopwatch::start();
        // The process may have ended by itself in this very moment; both signals then find nobody.
        let _ = kill(self.pid(), self.program.stop_signal);
        while self.ended().is_none() && waiting.elapsed() < STOP_PATIENCE {
            sleep(POLL).await;
        }
        self.kill();
    }

    /// Kills it and its own children at once, as a crash or the kernel's memory killer would.
    pub fn kill(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Lets it run on after this is dropped. Only for a detached one: another ends with this process.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// It leads its own process group, so this is the group's id too.
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn is_ready(&self) -> bool {
        match &self.program.readiness {
            Readiness::Line => {
                let text = fs::read_to_string(&self.output).unwrap_or_default();
                text.lines().any(announces_readiness)
            }
            Readiness::PostmasterFile(folder) => {
                let text = fs::read_to_string(folder.join("postmaster.pid")).unwrap_or_default();
                let mut lines = text.lines();
                // A file left by a killed server names that server's process.
                lines.next() == Some(self.id().to_string().as_str())
                    && lines.nth(6).is_some_and(|status| status.trim() == "ready")
            }
            Readiness::Port(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.left {
            self.kill();
        }
    }
}

fn announces_readiness(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line)
        .is_ok_and(|json| json.get("ready") == Some(&serde_json::Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &'static str, script: &str) -> Program {
        Program {
            name,
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
            hidden: Vec::new(),
            folder: "/".into(),
            run_as: RunAs::Caller,
            stop_signal: Signal::SIGTERM,
            readiness: Readiness::Line,
        }
    }

    fn is_alive(pid: u32) -> bool {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie has ended; its parent has not looked yet.
        !state.is_empty() && !state.contains(") Z ")
    }

    #[tokio::test]
    async fn a_process_is_ready_once_it_says_so_and_ends_when_asked() {
        let logs = tempfile::tempdir().unwrap();
        let script = "echo starting; echo '{\"ready\":true,\"port\":1}'; sleep 1000";
        let mut process =
            Process::start(shell("origin", script), logs.path(), Lifetime::WithParent).unwrap();
        process.ready().await.unwrap();
        let pid = process.id();
        process.stop().await;
        assert!(!is_alive(pid));
    }

    #[tokio::test]
    async fn an_early_end_is_reported_with_the_last_lines_of_the_log() {
        let logs = tempfile::tempdir().unwrap();
        let script = "echo 'the environment variable EDGE_TOKEN is not set' >&2; exit 3";
        let mut process =
            Process::start(shell("origin", script), logs.path(), Lifetime::WithParent).unwrap();
        let error = process.ready().await.unwrap_err().to_string();
        assert!(error.contains("EDGE_TOKEN is not set"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn grandchildren_end_with_a_dropped_process() {
        let logs = tempfile::tempdir().unwrap();
        let script = "sleep 1000 & echo $! >&2; echo '{\"ready\":true}'; wait";
        let mut process =
            Process::start(shell("edge", script), logs.path(), Lifetime::WithParent).unwrap();
        process.ready().await.unwrap();
        let grandchild: u32 = process.tail().trim().parse().unwrap();
        assert!(is_alive(grandchild));
        drop(process);
        while is_alive(grandchild) {
            sleep(POLL).await;
        }
    }
}
