//! Building the Worker with the very command that `wrangler deploy` runs.

use super::Target;
use crate::{checkout::Checkout, fetch::sha256_of_file, process};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// What the Worker is made from.
const SOURCES: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "edge-worker",
    "package-lock.json",
    "rag-core",
    "rust-toolchain.toml",
    "shared-types",
    "wrangler.toml",
];
/// What is made in those folders, and what no build reads.
const NO_SOURCE: [&str; 3] = ["build", "snapshots", "tests"];
const PRODUCTS: [&str; 2] = [
    "edge-worker/build/index.js",
    "edge-worker/build/index_bg.wasm",
];

#[derive(Deserialize)]
struct WranglerFile {
    build: Build,
}

#[derive(Deserialize)]
struct Build {
    command: String,
    #[serde(default)]
    cwd: Option<PathBuf>,
}

/// Whether the Worker was built from these very sources.
pub fn is_current(checkout: &Checkout) -> bool {
    let is_whole = PRODUCTS
        .iter()
        .all(|product| checkout.root.join(product).exists());
    let built_from = fs::read_to_string(stamp(checkout)).ok();
    is_whole && built_from.is_some() && built_from == fingerprint(checkout).ok()
}

/// Builds the Worker.
pub async fn run(checkout: &Checkout, target: &Target, tools: &Path) -> Result<()> {
    let path = checkout.root.join("wrangler.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: WranglerFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let before = fingerprint(checkout)?;
    let modules = checkout.root.join("node_modules/.bin");
    let mut command = Command::new("sh");
    command
        .args(["-c", &file.build.command])
        .current_dir(checkout.root.join(file.build.cwd.unwrap_or_default()))
        .envs(target.variables(vec![tools.to_owned()])?)
        .env("WASM_BINDGEN_BIN", tools.join("wasm-bindgen"))
        .env("WASM_OPT_BIN", modules.join("wasm-opt"))
        .env("ESBUILD_BIN", modules.join("esbuild"));
    process::visibly("building the Worker", &mut command).await?;
    for product in PRODUCTS {
        ensure!(
            checkout.root.join(product).exists(),
            "the build left no {product}"
        );
    }
    let stamp = stamp(checkout);
    if let Some(folder) = stamp.parent() {
        fs::create_dir_all(folder)?;
    }
    // The sources as they were before: what was saved meanwhile is built next time.
    fs::write(&stamp, before).with_context(|| stamp.display().to_string())
}

fn stamp(checkout: &Checkout) -> PathBuf {
    checkout.target.join("xtask/edge-worker.sha256")
}

/// Changes with every byte of the sources.
fn fingerprint(checkout: &Checkout) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        list(&checkout.root.join(source), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.strip_prefix(&checkout.root).unwrap_or(&file);
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update(sha256_of_file(&file)?);
    }
    Ok(hex::encode(digest.finalize()))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let entry = entry?;
        if !NO_SOURCE.iter().any(|name| entry.file_name() == *name) {
            list(&entry.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_source_makes_the_worker_stale_and_a_product_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let checkout = Checkout {
            target: root.join("target"),
            root: root.clone(),
        };
        fs::create_dir_all(root.join("edge-worker/src")).unwrap();
        fs::create_dir_all(root.join("edge-worker/build")).unwrap();
        fs::write(root.join("edge-worker/src/lib.rs"), "one").unwrap();
        let before = fingerprint(&checkout).unwrap();

        fs::write(root.join("edge-worker/build/index.js"), "made").unwrap();
        assert_eq!(fingerprint(&checkout).unwrap(), before);
        fs::write(root.join("edge-worker/src/lib.rs"), "two").unwrap();
        assert_ne!(fingerprint(&checkout).unwrap(), before);
    }
}
