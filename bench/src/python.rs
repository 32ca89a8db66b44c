//! A Python with packages of its own.

use anyhow::{Context, ensure};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// Packages to install.
#[derive(Clone, Copy, Debug)]
pub struct Packages {
    /// For people.
    pub name: &'static str,
    /// The pinned list, from the repository's root.
    pub requirements: &'static str,
}

/// What searches.
pub const SEARCH: Packages = Packages {
    name: "bm25s, LangChain and FastAPI",
    requirements: "bench/python/requirements.txt",
};

/// What reads PDFs.
pub const PAGES: Packages = Packages {
    name: "LangChain, pypdf and PyMuPDF",
    requirements: "bench/python/requirements-ingest.txt",
};

/// The folder with the pinned packages below `folder`, made once for each list of them.
pub async fn packages(
    wanted: Packages,
    repository: &Path,
    folder: &Path,
) -> anyhow::Result<PathBuf> {
    let requirements = repository.join(wanted.requirements);
    let list = fs::read(&requirements).with_context(|| requirements.display().to_string())?;
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    let packages = folder.join(format!("python-{:016x}", hasher.finish()));
    if packages.exists() {
        return Ok(packages);
    }
    let unfinished = folder.join("python-unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    eprintln!("install {} for Python", wanted.name);
    fs::create_dir_all(folder)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-cache-dir"])
        // They stand by themselves: what else is installed does not matter.
        .args([
            "--no-warn-conflicts",
            "--root-user-action=ignore",
            "--target",
        ])
        .arg(&unfinished)
        .arg("--requirement")
        .arg(&requirements);
    succeed(&mut pip, "pip install").await?;
    fs::rename(&unfinished, &packages)?;
    Ok(packages)
}

/// Runs a command that must succeed; `name` is its name in errors.
pub async fn succeed(command: &mut Command, name: &str) -> anyhow::Result<()> {
    let status = command.kill_on_drop(true).status().await;
    let status = status.with_context(|| format!("{name} can't be started"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
