//! What the machine must have. Everything that is missing is said at once.

use crate::checkout::cargo;
use anyhow::{Result, bail};
use futures_util::future::join_all;
use std::{path::PathBuf, process::Stdio};
use tokio::process::Command;

/// The oldest Node that the edge's runtime takes.
const OLDEST_NODE: u32 = 20;
/// The oldest Python whose pip fetches our wheels.
const OLDEST_PYTHON: u32 = 8;

/// Programs that were found.
#[derive(Clone, Debug)]
pub struct Prerequisites {
    /// Node.
    pub node: PathBuf,
}

/// Something the machine must have.
struct Need {
    name: &'static str,
    words: Vec<String>,
    /// Why its answer is not good enough.
    judge: fn(&str) -> Option<String>,
    remedy: &'static str,
}

/// Checks everything; the error lists all that is missing and how to get it.
pub async fn check() -> Result<Prerequisites> {
    let missing = missing(&needs()).await;
    if missing.is_empty() && cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Prerequisites {
            node: find("node").unwrap_or_else(|| "node".into()),
        });
    }
    let mut text = String::from("this machine lacks:");
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        text.push_str(
            "\n  - Linux on x86-64: the packaged PostgreSQL and PDF reader are pinned for it",
        );
    }
    for line in missing {
        text.push_str("\n  - ");
        text.push_str(&line);
    }
    bail!(text)
}

fn needs() -> Vec<Need> {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    vec![
        Need {
            name: "cargo",
            words: vec![cargo().display().to_string(), "--version".into()],
            judge: any,
            remedy: "install Rust from https://rustup.rs",
        },
        Need {
            name: "rustc",
            words: words(&["rustc", "--version"]),
            judge: any,
            remedy: "install Rust from https://rustup.rs",
        },
        Need {
            name: "Node",
            words: words(&["node", "--version"]),
            judge: node,
            remedy: "install Node 20 or newer from https://nodejs.org (Debian 13: apt install nodejs)",
        },
        Need {
            name: "npm",
            words: words(&["npm", "--version"]),
            judge: any,
            remedy: "it comes with Node (Debian: apt install npm)",
        },
        Need {
            name: "Python 3",
            words: words(&["python3", "--version"]),
            judge: python,
            remedy: "install Python 3 (Debian: apt install python3)",
        },
        Need {
            name: "pip",
            words: words(&["python3", "-m", "pip", "--version"]),
            judge: any,
            remedy: "install pip for python3 (Debian: apt install python3-pip)",
        },
        Need {
            name: "a C compiler",
            words: words(&["cc", "--version"]),
            judge: any,
            remedy: "install one that answers to `cc` (Debian: apt install gcc libc6-dev)",
        },
    ]
}

async fn missing(needs: &[Need]) -> Vec<String> {
    let checks = needs.iter().map(|need| async move {
        let complaint = match answer(&need.words).await {
            None => "not found".to_owned(),
            Some(answer) => (need.judge)(&answer)?,
        };
        Some(format!("{} ({complaint}): {}", need.name, need.remedy))
    });
    join_all(checks).await.into_iter().flatten().collect()
}

/// What the program says; `None` if it is not there or does not work.
async fn answer(words: &[String]) -> Option<String> {
    let output = Command::new(words.first()?)
        .args(&words[1..])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn any(_: &str) -> Option<String> {
    None
}

fn node(answer: &str) -> Option<String> {
    let major = answer
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse::<u32>();
    (!major.is_ok_and(|major| major >= OLDEST_NODE)).then(|| format!("found {answer}"))
}

fn python(answer: &str) -> Option<String> {
    let minor = answer
        .strip_prefix("Python 3.")
        .and_then(|rest| rest.split('.').next());
    let minor = minor.and_then(|minor| minor.parse::<u32>().ok());
    minor
        .is_none_or(|minor| minor < OLDEST_PYTHON)
        .then(|| format!("found {answer}"))
}

/// A program in the PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_judged() {
        assert_eq!(node("v20.20.2"), None);
        assert_eq!(node("v18.19.0").as_deref(), Some("found v18.19.0"));
        assert_eq!(python("Python 3.11.7"), None);
        assert!(python("Python 2.7.18").is_some());
    }

    #[tokio::test]
    async fn all_that_is_missing_is_said_at_once_with_its_remedy() {
        let need = |name, program: &str, judge| Need {
            name,
            words: vec![program.into(), "v18.0.0".into()],
            judge,
            remedy: "install it",
        };
        let needs = [
            need("Metronome", "/no/such/program", any),
            need("Node", "echo", node),
            need("cat", "echo", any),
        ];
        assert_eq!(
            missing(&needs).await,
            [
                "Metronome (not found): install it",
                "Node (found v18.0.0): install it"
            ]
        );
    }
}
