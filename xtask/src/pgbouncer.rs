//! PgBouncer for the tests: the machine's own where it is recent enough, else one that is built once
//! into the cache. No package index has it, and the Debian that many machines run has one that is too
//! old; Debian's archive has the source of a newer one.

use crate::{
    cache::Cache,
    fetch::{
        self, clear,
        debian::{self, PoolFile},
    },
    prerequisites, process,
    steps::Steps,
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// From here on it keeps prepared statements of clients apart in transaction mode.
const OLDEST: (u32, u32) = (1, 21);
const VERSION: &str = "1.24.1";
/// As in Debian 13.
const SOURCE: PoolFile = PoolFile {
    name: "source of pgbouncer",
    path: "pool/main/p/pgbouncer/pgbouncer_1.24.1.orig.tar.gz",
    sha256: "da72a3aba13072876d055a3e58dd4aba4a5de4ed6148e73033185245598fd3e0",
};
/// What it is made of. Linked in, since a machine need not have the library or its headers.
const LIBEVENT_VERSION: &str = "2.1.12-stable";
const LIBEVENT: PoolFile = PoolFile {
    name: "source of libevent",
    path: "pool/main/libe/libevent/libevent_2.1.12-stable.orig.tar.gz",
    sha256: "92e6de1be9ec176428fd2367677e61ceffc2ee1cb119035037a27d346b0403bb",
};

/// Builds it unless there is one; returns the program.
pub async fn ensure(cache: &Cache, steps: &mut Steps) -> Result<PathBuf> {
    if let Some(found) = of_this_machine().await {
        return Ok(found);
    }
    let folder = cache.path(format!("pgbouncer-{VERSION}"));
    let program = folder.join("pgbouncer");
    if program.exists() {
        return Ok(program);
    }
    let _lock = cache.lock()?;
    // Another run may have built it meanwhile.
    if !program.exists() {
        steps
            .run_visibly("build the pooler (pgbouncer)", build(cache, &folder))
            .await?;
    }
    Ok(program)
}

async fn of_this_machine() -> Option<PathBuf> {
    let found = prerequisites::find("pgbouncer")?;
    let mut command = Command::new(&found);
    command.arg("--version");
    let answer = process::quietly("pgbouncer", &mut command).await.ok()?;
    is_recent(&answer).then_some(found)
}

fn is_recent(answer: &str) -> bool {
    let version = answer.trim().strip_prefix("PgBouncer ").unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let version = (numbers.next().flatten(), numbers.next().flatten());
    version >= (Some(OLDEST.0), Some(OLDEST.1))
}

async fn build(cache: &Cache, folder: &Path) -> Result<()> {
    ensure!(
        debian::is_there() && prerequisites::find("make").is_some(),
        "the tests need pgbouncer {}.{} or newer in the PATH; it can be built here where the machine has \
         apt with an archive of Debian, and make",
        OLDEST.0,
        OLDEST.1
    );
    let work = cache.path("unfinished/pgbouncer");
    clear(&work)?;
    for (file, archive) in [
        (&LIBEVENT, "libevent.tar.gz"),
        (&SOURCE, "pgbouncer.tar.gz"),
    ] {
        let archive = work.join(archive);
        debian::download(file, &archive).await?;
        let mut command = Command::new("python3");
        command
            .args(["-m", "tarfile", "-e"])
            .arg(&archive)
            .arg(&work);
        process::quietly(&format!("unpacking {}", file.name), &mut command).await?;
    }
    let library = work.join("installed");
    make(
        &work.join(format!("libevent-{LIBEVENT_VERSION}")),
        &[
            &format!("--prefix={}", library.display()),
            "--disable-shared",
            "--disable-openssl",
            "--disable-samples",
            "--disable-libevent-regress",
        ],
        "install",
    )
    .await?;
    let source = work.join(format!("pgbouncer-{VERSION}"));
    make(
        &source,
        &[
            "--without-openssl",
            "--without-cares",
            &format!("LIBEVENT_CFLAGS=-I{}/include", library.display()),
            &format!("LIBEVENT_LIBS=-L{}/lib -levent", library.display()),
        ],
        "pgbouncer",
    )
    .await?;
    let unfinished = work.join("complete");
    fs::create_dir_all(&unfinished)?;
    fs::copy(source.join("pgbouncer"), unfinished.join("pgbouncer"))
        .context("make built no pgbouncer")?;
    fetch::remove(folder)?;
    fs::rename(&unfinished, folder).with_context(|| folder.display().to_string())?;
    fetch::remove(&work)
}

async fn make(source: &Path, options: &[&str], target: &str) -> Result<()> {
    let mut configure = Command::new(source.join("configure"));
    configure
        .args(["--quiet", "--disable-dependency-tracking"])
        .args(options)
        .current_dir(source);
    let name = source.file_name().unwrap_or_default().display();
    process::quietly(&format!("configuring {name}"), &mut configure).await?;
    let mut make = Command::new("make");
    make.args(["-s", "-j2", target]).current_dir(source);
    process::quietly(&format!("building {name}"), &mut make)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_pgbouncer_is_not_taken() {
        assert!(is_recent("PgBouncer 1.24.1\nlibevent 2.1.12-stable\n"));
        assert!(is_recent("PgBouncer 1.21.0"));
        assert!(!is_recent("PgBouncer 1.18.0\n"));
        assert!(!is_recent("pgbouncer?"));
    }
}
