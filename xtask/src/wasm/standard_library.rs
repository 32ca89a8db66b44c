//! Building Rust's standard library for wasm from its source.
//!
//! Source of the recipe: cargo's unstable `-Zbuild-std`, whose result is kept as a sysroot, so that every
//! later build is plain stable cargo.

use super::target::{TRIPLE, library_folder};
use crate::{
    cache::Cache,
    checkout::cargo,
    fetch::{
        clear,
        debian::{self, PoolFile},
        remove, sha256_of_file,
    },
    process,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// The toolchain that the sources below belong to.
const RUST_VERSION: &str = "1.95.0";
/// `RUST_STD_SOURCE`: the `library` folder of that version as `.tar.xz`.
const ARCHIVE_SHA256: &str = "4c5664da1382a93d6505a9c67184aa539273f7f78290fd620e166a9beeeb7652";
/// Debian's package of the same, in trixie-backports.
const DEBIAN_PACKAGE: PoolFile = PoolFile {
    name: "rust-src",
    path: "pool/main/r/rustc/rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb",
    sha256: "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b",
};

/// Builds the library for the toolchain `version` into `sysroot`.
pub async fn build(cache: &Cache, version: &str, sysroot: &Path) -> Result<()> {
    ensure!(
        version.starts_with(&format!("{RUST_VERSION}-")),
        "the toolchain is {version}, and the standard library's source is pinned for {RUST_VERSION}"
    );
    let work = cache.path("unfinished/standard-library");
    clear(&work)?;
    let library = fetch_source(&work).await?;
    compile(&work, &library).await?;

    let unfinished = work.join("sysroot");
    let folder = library_folder(&unfinished);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(work.join("target").join(TRIPLE).join("release/deps"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_owned();
        let is_library = path
            .extension()
            .is_some_and(|extension| extension == "rlib");
        if is_library && !name.to_string_lossy().starts_with("libempty-") {
            fs::copy(&path, folder.join(name))?;
        }
    }
    remove(sysroot)?;
    if let Some(parent) = sysroot.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&unfinished, sysroot).with_context(|| sysroot.display().to_string())?;
    remove(&work)
}

/// The folder `library` of the source.
async fn fetch_source(work: &Path) -> Result<PathBuf> {
    if let Some(archive) = env::var_os("RUST_STD_SOURCE").filter(|name| !name.is_empty()) {
        return unpack_archive(&PathBuf::from(archive), work).await;
    }
    if debian::is_there() {
        return fetch_from_debian(work).await;
    }
    bail!(
        "the wasm target can't be had: rustup does not reach its server, RUST_STD_SOURCE does not name the \
         standard library's source ({RUST_VERSION}, .tar.xz), and this is no Debian whose archive has it"
    )
}

async fn unpack_archive(archive: &Path, work: &Path) -> Result<PathBuf> {
    let found = sha256_of_file(archive).context("RUST_STD_SOURCE")?;
    ensure!(
        found == ARCHIVE_SHA256,
        "RUST_STD_SOURCE is not the pinned file: its SHA-256 is {found}"
    );
    // Python reads xz where the machine has no such program.
    let mut command = Command::new("python3");
    command.args(["-m", "tarfile", "-e"]).arg(archive).arg(work);
    process::quietly("unpacking RUST_STD_SOURCE", &mut command).await?;
    Ok(work.join("library"))
}

async fn fetch_from_debian(work: &Path) -> Result<PathBuf> {
    let package = work.join("rust-src.deb");
    debian::download(&DEBIAN_PACKAGE, &package).await?;
    let mut command = Command::new("dpkg-deb");
    command.arg("-x").arg(&package).arg(work.join("rust-src"));
    process::quietly("unpacking rust-src", &mut command).await?;
    let source = format!("rust-src/usr/src/rustc-{RUST_VERSION}/library");
    Ok(work.join(source))
}

/// Compiles an empty library for the target, and with it the standard library.
async fn compile(work: &Path, library: &Path) -> Result<()> {
    let package = work.join("empty");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )?;
    let mut command = Command::new(cargo());
    command
        .args([
            "build",
            "--release",
            "-Zbuild-std=std,panic_abort,panic_unwind,test",
            "--target",
            TRIPLE,
        ])
        .current_dir(&package)
        .env("RUSTC_BOOTSTRAP", "1")
        // Link-time optimisation of the Worker needs it.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::visibly("building the standard library", &mut command).await
}
