//! Processes that a killed run left behind.
//!
//! Every process of a stack, and whatever it starts itself, inherits [`MARKER`]`={the stack's folder}`.
//! That identifies it for certain, which a process id kept in a file does not: ids are used again.

use crate::clock::Stopwatch;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, os::unix::ffi::OsStrExt, path::Path, time::Duration};
use tokio::time::sleep;

/// The variable that names the stack's folder.
pub const MARKER: &str = "ETUDE_STACK";

/// How long leftovers may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(8);

/// A process of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its id.
    pub pid: i32,
    /// Its command's name.
    pub name: String,
}

/// The processes of the stack in `folder`, this one not among them.
#[must_use]
pub fn find(folder: &Path) -> Vec<Leftover> {
    let mut marker = MARKER.as_bytes().to_vec();
    marker.push(b'=');
    marker.extend_from_slice(folder.as_os_str().as_bytes());
    let own = std::process::id().cast_signed();

    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&pid| pid != own && belongs(pid, &marker, folder))
        .map(|pid| Leftover {
            pid,
            name: fs::read_to_string(format!("/proc/{pid}/comm"))
                .unwrap_or_default()
                .trim()
                .to_owned(),
        })
        .collect()
}

/// Ends the processes of the stack in `folder`; returns those that there were.
pub async fn end(folder: &Path) -> Vec<Leftover> {
    let waiting = Stopwatch::start();
    let mut asked: Vec<Leftover> = Vec::new();
    loop {
        let found = find(folder);
        if found.is_empty() || waiting.elapsed() > 2 * PATIENCE {
            return asked;
        }
        for leftover in found {
            if waiting.elapsed() > PATIENCE {
                leftover.signal(Signal::SIGKILL);
            } else if !asked.contains(&leftover) {
                leftover.signal(leftover.stop_signal());
                asked.push(leftover);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Leftover {
    fn stop_signal(&self) -> Signal {
        match self.name.as_str() {
            // Its SIGTERM waits for clients to leave; its SIGINT sends them away and writes a checkpoint.
            "postgres" => Signal::SIGINT,
            _ => Signal::SIGTERM,
        }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended in between, which is what is wanted.
        let _ = kill(Pid::from_raw(self.pid), signal);
    }
}

/// A server process of `PostgreSQL` overwrites its environment with its title, and names its folder in its
/// arguments instead. A zombie has neither.
fn belongs(pid: i32, marker: &[u8], folder: &Path) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    if environment
        .split(|&byte| byte == 0)
        .any(|entry| entry == marker)
    {
        return true;
    }
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|&byte| byte == 0);
    arguments
        .next()
        .is_some_and(|program| program.ends_with(b"/postgres"))
        && arguments
            .any(|argument| Path::new(std::ffi::OsStr::from_bytes(argument)).starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn what_a_killed_run_left_behind_is_found_by_its_folder_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let start = |folder: &Path| {
            Command::new("sleep")
                .arg("1000")
                .env(MARKER, folder)
                .spawn()
                .unwrap()
        };
        let mut ours = start(folder.path());
        let mut theirs = start(other.path());

        // The kernel shows a new program's environment a moment after it has started.
        while find(folder.path()).is_empty() || find(other.path()).is_empty() {
            sleep(Duration::from_millis(1)).await;
        }

        let ended = end(folder.path()).await;

        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].pid, ours.id().cast_signed());
        assert_eq!(ended[0].name, "sleep");
        ours.wait().unwrap();
        assert!(theirs.try_wait().unwrap().is_none());
        theirs.kill().unwrap();
        theirs.wait().unwrap();
    }
}
