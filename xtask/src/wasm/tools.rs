//! `worker-build` and the `wasm-bindgen` that it calls, built once from their sources.

use crate::{
    cache::Cache,
    checkout::cargo,
    fetch::{clear, remove},
    process,
};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;
use toml::Table;

/// Must be the version in Cargo.lock: the two sides of the generated bindings belong together.
const WASM_BINDGEN: &str = "0.2.129";
/// Must be the version of the `worker` crate.
const WORKER_BUILD: &str = "0.8.7";

/// The folder of the tools.
fn folder(cache: &Cache) -> PathBuf {
    cache.path(format!(
        "wasm-tools/worker-build-{WORKER_BUILD}-wasm-bindgen-{WASM_BINDGEN}"
    ))
}

/// Whether they are built.
pub fn are_there(cache: &Cache) -> bool {
    let programs = folder(cache).join("bin");
    programs.join("worker-build").exists() && programs.join("wasm-bindgen").exists()
}

/// Builds them unless they are there; returns the folder with the programs.
pub async fn ensure(cache: &Cache) -> Result<PathBuf> {
    let folder = folder(cache);
    let programs = folder.join("bin");
    let target = cache.path("unfinished/wasm-tools");
    if !programs.join("wasm-bindgen").exists() {
        let mut command = quick_install(&folder, &target);
        command
            .arg(format!("wasm-bindgen-cli@{WASM_BINDGEN}"))
            .args([
                "--locked",
                "--bin=wasm-bindgen",
                // Without its test runner's TLS.
                "--no-default-features",
            ]);
        process::visibly("building wasm-bindgen", &mut command).await?;
    }
    if !programs.join("worker-build").exists() {
        let source = worker_build_source(cache).await?;
        let mut command = quick_install(&folder, &target);
        command.args(["--bin=worker-build", "--path"]).arg(&source);
        process::visibly("building worker-build", &mut command).await?;
        remove(&source)?;
    }
    remove(&target)?;
    Ok(programs)
}

/// `cargo install` of tools that run for a second or two: compiling them fast is worth more than running them fast.
pub fn quick_install(root: &Path, target: &Path) -> Command {
    let mut command = Command::new(cargo());
    command
        .args(["install", "--quiet", "--force", "--root"])
        .arg(root)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// worker-build's source with another TLS library. As published it needs OpenSSL's headers, which a machine
/// with a C compiler need not have; and it needs TLS only to download tools that it is given here.
async fn worker_build_source(cache: &Cache) -> Result<PathBuf> {
    let published = published_source(cache).await?;
    let source = cache.path("unfinished/worker-build");
    clear(&source)?;
    copy_tree(&published, &source)?;
    let path = source.join("Cargo.toml");
    let manifest: Table = fs::read_to_string(&path)?.parse()?;
    fs::write(&path, without_openssl(manifest)?.to_string())?;
    Ok(source)
}

fn without_openssl(mut manifest: Table) -> Result<Table> {
    let dependencies = manifest
        .get_mut("dependencies")
        .and_then(toml::Value::as_table_mut)
        .context("worker-build's manifest has no dependencies")?;
    // It is named there and not used.
    dependencies.remove("binary-install");
    let Some(ureq) = dependencies
        .get_mut("ureq")
        .and_then(toml::Value::as_table_mut)
    else {
        bail!("worker-build does not depend on ureq any more");
    };
    ureq.insert("default-features".into(), false.into());
    ureq.insert(
        "features".into(),
        vec!["gzip", "json", "rustls-no-provider"].into(),
    );
    // A package in a folder below somebody's workspace would be taken for a member.
    manifest.insert("workspace".into(), Table::new().into());
    Ok(manifest)
}

/// Where cargo unpacked the published package.
async fn published_source(cache: &Cache) -> Result<PathBuf> {
    let asking = cache.path("unfinished/worker-build-question");
    clear(&asking)?;
    fs::create_dir_all(asking.join("src"))?;
    fs::write(asking.join("src/lib.rs"), "")?;
    fs::write(
        asking.join("Cargo.toml"),
        format!(
            "[package]\nname = \"question\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nworker-build = \"={WORKER_BUILD}\"\n\n[workspace]\n"
        ),
    )?;
    let mut command = Command::new(cargo());
    command
        .args(["fetch", "--quiet", "--target=x86_64-unknown-linux-gnu"])
        .current_dir(&asking);
    process::quietly("fetching worker-build", &mut command).await?;
    remove(&asking)?;

    // A package without a library is fetched like any other, and not listed by `cargo metadata`.
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    let registries = home.join("registry/src");
    fs::read_dir(&registries)
        .with_context(|| registries.display().to_string())?
        .flatten()
        .map(|registry| registry.path().join(format!("worker-build-{WORKER_BUILD}")))
        .find(|source| source.join("Cargo.toml").exists())
        .with_context(|| format!("cargo left no worker-build in {}", registries.display()))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_tools_fit_the_lock_file() {
        let lock: Table = include_str!("../../../Cargo.lock").parse().unwrap();
        let version = |name: &str| {
            let packages = lock["package"].as_array().unwrap();
            let package = packages
                .iter()
                .find(|package| package["name"].as_str() == Some(name));
            package
                .and_then(|package| package["version"].as_str())
                .map(str::to_owned)
        };
        assert_eq!(version("wasm-bindgen").as_deref(), Some(WASM_BINDGEN));
        assert_eq!(version("worker").as_deref(), Some(WORKER_BUILD));
    }

    #[test]
    fn openssl_is_taken_out_of_worker_build() {
        let manifest = "[package]\nname = \"worker-build\"\n[dependencies.binary-install]\nversion = \"0.4\"\n\
                        [dependencies.ureq]\nversion = \"3.1\"\nfeatures = [\"gzip\", \"json\", \"native-tls\"]\n";
        let changed = without_openssl(manifest.parse().unwrap())
            .unwrap()
            .to_string();
        assert!(!changed.contains("native-tls"), "{changed}");
        assert!(!changed.contains("binary-install"), "{changed}");
        assert!(changed.contains("version = \"3.1\""), "{changed}");
    }
}
