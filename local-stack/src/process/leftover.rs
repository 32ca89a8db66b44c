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
    let found = find(folder);
    let waiting = Stopwatch::start();
    signal(&found, |name| match name {
        // Its SIGTERM waits for clients to leave; its SIGINT sends them away and writes a checkpoint.
        "postgres" => Signal::SIGINT,
        _ => Signal::SIGTERM,
    });
    while waiting.elapsed() < PATIENCE {
        if find(folder).is_empty() {
            return found;
        }
        sleep(Duration::from_millis(50)).await;
    }
    signal(&find(folder), |_| Signal::SIGKILL);
    while !find(folder).is_empty() && waiting.elapsed() < 2 * PATIENCE {
        sleep(Duration::from_millis(50)).await;
    }
    found
}

fn signal(leftovers: &[Leftover], choose: impl Fn(&str) -> Signal) {
    for leftover in leftovers {
        // It may have ended in between, which is what is wanted.
        let _ = kill(Pid::from_raw(leftover.pid), choose(&leftover.name));
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
