//! Files of Debian's archive, through the machine's own apt, and so through its proxy and mirror.

use super::digest;
use crate::{prerequisites, process, steps};
use anyhow::{Context, Result, bail};
use std::path::Path;
use tokio::process::Command;

/// A file of the archive. It may belong to another release than the machine's.
#[derive(Clone, Copy, Debug)]
pub struct PoolFile {
    /// For people.
    pub name: &'static str,
    /// Where it is, from the archive's root.
    pub path: &'static str,
    /// SHA-256.
    pub sha256: &'static str,
}

/// Whether this machine has an apt to ask.
pub fn is_there() -> bool {
    prerequisites::find("apt-get").is_some()
}

/// Downloads and checks the file.
pub async fn download(file: &PoolFile, target: &Path) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)"]);
    let listing = process::quietly("apt-get indextargets", &mut command).await?;
    let mut complaint = String::from("the machine has no apt archive of Debian");
    for archive in archives(&listing) {
        steps::say(&format!("fetching Debian's {}", file.name));
        let mut command = Command::new("/usr/lib/apt/apt-helper");
        command
            .args(["download-file", &format!("{archive}{}", file.path)])
            .arg(target)
            .arg(format!("SHA256:{}", file.sha256));
        match process::quietly(&format!("fetching {}", file.name), &mut command).await {
            Ok(_) => return digest::check(target, file.sha256).context(file.name),
            Err(error) => complaint = error.to_string(),
        }
    }
    bail!("Debian's {} can't be had: {complaint}", file.name)
}

/// The archives with Debian's pool, each once: other repositories have pools of their own.
fn archives(listing: &str) -> Vec<&str> {
    let mut archives: Vec<&str> = listing
        .lines()
        .map(str::trim)
        .filter(|archive| archive.trim_end_matches('/').ends_with("/debian"))
        .collect();
    archives.dedup();
    archives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_archives_with_debians_own_pool_are_asked() {
        let listing = "http://one.example/debian/\nhttp://one.example/debian/\n\
                       http://one.example/debian-security/\nhttps://two.example/node_20.x/\n";
        assert_eq!(archives(listing), ["http://one.example/debian/"]);
    }
}
