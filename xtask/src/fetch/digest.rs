//! SHA-256 of files.

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::{fs::File, io, path::Path};

/// SHA-256 of a file, 64 lower-case hex digits.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    io::copy(&mut file, &mut digest).with_context(|| path.display().to_string())?;
    Ok(hex::encode(digest.finalize()))
}

/// Fails unless the file is the pinned one.
pub fn check(path: &Path, sha256: &str) -> Result<()> {
    let found = sha256_of_file(path)?;
    ensure!(
        found == sha256,
        "{} is not the pinned file: its SHA-256 is {found}, not {sha256}",
        path.file_name().unwrap_or_default().display()
    );
    Ok(())
}
