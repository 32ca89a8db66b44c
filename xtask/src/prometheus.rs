//! Prometheus and its `promtool`, of Debian's archive: rules are checked by what runs them.

use crate::{
    cache::Cache,
    fetch::{
        self, clear,
        debian::{self, PoolFile},
    },
    prerequisites, process,
};
use anyhow::Result;
use std::path::PathBuf;
use tokio::process::Command;

const VERSION: &str = "2.42.0";
/// As in Debian 12. Apt writes the name's plus signs like this.
const PACKAGE: PoolFile = PoolFile {
    name: "prometheus",
    path: "pool/main/p/prometheus/prometheus_2.42.0%2bds-5%2bb6_amd64.deb",
    sha256: "3b0e0255b059a7696bd4a139a4a4eb24d71df067936a61ece5093559cbc7991c",
};

/// Whether this machine can fetch, unpack and run it.
pub fn can_be_had() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
        && debian::is_there()
        && prerequisites::find("dpkg-deb").is_some()
}

/// Fetches it unless it is there; returns the folder with the programs `prometheus` and `promtool`.
pub async fn ensure(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.path(format!("prometheus-{VERSION}"));
    let programs = folder.join("usr/bin");
    if folder.exists() {
        return Ok(programs);
    }
    let _lock = cache.lock()?;
    // Another run may have fetched it meanwhile.
    if !folder.exists() {
        let work = cache.path("unfinished/prometheus");
        clear(&work)?;
        let archive = work.join("prometheus.deb");
        debian::download(&PACKAGE, &archive).await?;
        let unpacked = work.join("unpacked");
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(&archive).arg(&unpacked);
        process::quietly("unpacking prometheus", &mut command).await?;
        std::fs::rename(&unpacked, &folder)?;
        fetch::remove(&work)?;
    }
    Ok(programs)
}
