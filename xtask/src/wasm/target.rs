//! A standard library for `wasm32-unknown-unknown`.
//!
//! On an ordinary machine this is `rustup target add`. Where that can't reach its server, or there is no
//! rustup, the library is built once from its source.

use super::standard_library;
use crate::{cache::Cache, prerequisites, process, steps};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;

/// The target.
pub const TRIPLE: &str = "wasm32-unknown-unknown";
/// How long rustup may take. It retries by itself for about this long where there is no network.
const RUSTUP_PATIENCE: Duration = Duration::from_mins(2);

/// Where the target's standard library is.
#[derive(Clone, Debug)]
pub enum Target {
    /// In the toolchain.
    Installed,
    /// In a folder of the cache.
    Sysroot {
        /// The folder.
        sysroot: PathBuf,
        /// A folder with a `rustc` that knows of it.
        shims: PathBuf,
    },
}

impl Target {
    /// Variables under which cargo builds for the target; `path` goes first in the PATH.
    pub fn variables(&self, path: Vec<PathBuf>) -> Result<Vec<(&'static str, OsString)>> {
        let mut folders = path;
        let mut variables = Vec::new();
        if let Self::Sysroot { sysroot, shims } = self {
            folders.insert(0, shims.clone());
            let mut flag = OsString::from("--sysroot=");
            flag.push(sysroot);
            variables.push(("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flag));
        }
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let path = env::join_paths(folders).context("a folder's name contains a colon")?;
        variables.push(("PATH", path));
        Ok(variables)
    }
}

/// Makes the target available.
pub async fn ensure(cache: &Cache) -> Result<Target> {
    let rustc = Rustc::find().await?;
    if rustc.has_target() {
        return Ok(Target::Installed);
    }
    let sysroot = cache.path(format!("wasm-std/{}", rustc.version));
    if !is_whole(&sysroot) {
        match add_with_rustup().await {
            Ok(()) if rustc.has_target() => return Ok(Target::Installed),
            Ok(()) => steps::say("rustup has no such target for this toolchain"),
            Err(error) => steps::say(
                &format!("{error:#}")
                    .lines()
                    .take(3)
                    .collect::<Vec<_>>()
                    .join("\n  "),
            ),
        }
        steps::say("building the standard library for wasm from its source instead");
        standard_library::build(cache, &rustc.version, &sysroot).await?;
    }
    let shims = cache.path(format!("wasm-std/{}-shims", rustc.version));
    write_shim(&shims, &rustc.sysroot.join("bin/rustc"), &sysroot)?;
    Ok(Target::Sysroot { sysroot, shims })
}

/// The libraries' folder in a sysroot.
pub fn library_folder(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TRIPLE).join("lib")
}

struct Rustc {
    sysroot: PathBuf,
    version: String,
}

impl Rustc {
    async fn find() -> Result<Self> {
        let ask = async |words: &[&str]| {
            let answer = process::quietly("rustc", Command::new("rustc").args(words)).await?;
            Ok::<_, anyhow::Error>(answer.trim().to_owned())
        };
        let verbose = ask(&["--version", "--verbose"]).await?;
        let field = |name: &str| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or("unknown")
                .trim()
                .to_owned()
        };
        let commit: String = field("commit-hash:").chars().take(9).collect();
        Ok(Self {
            sysroot: ask(&["--print", "sysroot"]).await?.into(),
            version: format!("{}-{commit}", field("release:")),
        })
    }

    fn has_target(&self) -> bool {
        is_whole(&self.sysroot)
    }
}

fn is_whole(sysroot: &Path) -> bool {
    let Ok(entries) = fs::read_dir(library_folder(sysroot)) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

async fn add_with_rustup() -> Result<()> {
    prerequisites::find("rustup").context("there is no rustup to add the wasm target with")?;
    let mut command = Command::new("rustup");
    command.args(["target", "add", TRIPLE]);
    process::quietly_within(RUSTUP_PATIENCE, "rustup target add", &mut command)
        .await
        .map(drop)
}

/// worker-build asks rustc for the target's folder and calls rustup if that is not there. All other calls
/// pass through, so that host programs are built with the toolchain's own library.
fn write_shim(folder: &Path, rustc: &Path, sysroot: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in\n  *\" {TRIPLE} --print target-libdir \"*) exec '{rustc}' --sysroot '{sysroot}' \"$@\" ;;\nesac\nexec '{rustc}' \"$@\"\n",
        rustc = rustc.display(),
        sysroot = sysroot.display(),
    );
    let path = folder.join("rustc");
    let temporary = folder.join("rustc.new");
    fs::write(&temporary, script).with_context(|| temporary.display().to_string())?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))?;
    fs::rename(&temporary, &path).with_context(|| path.display().to_string())
}
