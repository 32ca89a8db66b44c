//! Where things are in this checkout.

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    env,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

/// This checkout.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Its root.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Checkout {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        let output = Command::new(cargo())
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .output()
            .context("cargo can't be started")?;
        anyhow::ensure!(
            output.status.success(),
            "cargo metadata failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("cargo metadata is not readable")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// The folder of debug binaries.
    pub fn binaries(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// A short name that no other checkout on this machine has.
    pub fn name(&self) -> String {
        let digest = hex::encode(Sha256::digest(self.root.as_os_str().as_bytes()));
        let folder = self.root.file_name().unwrap_or_default().to_string_lossy();
        format!("{folder}-{}", &digest[..8])
    }
}

/// Cargo, the one that runs this.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}
