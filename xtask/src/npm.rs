//! The JavaScript tools of the edge: `workerd`, `wrangler`, `esbuild`, `wasm-opt`.

use crate::{checkout::Checkout, process};
use anyhow::Result;
use std::{fs, path::Path, time::SystemTime};
use tokio::process::Command;

/// Whether `node_modules` is what `package-lock.json` says.
pub fn is_current(checkout: &Checkout) -> bool {
    // npm writes this file last.
    let installed = modified(&checkout.root.join("node_modules/.package-lock.json"));
    let wanted = modified(&checkout.root.join("package-lock.json"));
    matches!((installed, wanted), (Some(installed), Some(wanted)) if installed >= wanted)
}

/// Installs them.
pub async fn install(checkout: &Checkout) -> Result<()> {
    let mut command = Command::new("npm");
    command
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&checkout.root);
    process::quietly("npm ci", &mut command).await.map(drop)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}
