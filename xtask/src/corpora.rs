//! What the benchmark of ingestion reads: manuals that Debian carries, the test files of two Python packages, and the
//! program whose text it compares ours with.

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

/// Changes when a pin does.
const FOLDER: &str = "pages-1";
/// Three of its manuals have 1,249 pages.
const MANUALS: PoolFile = PoolFile {
    name: "lilypond-doc-pdf",
    path: "pool/main/l/lilypond/lilypond-doc-pdf_2.24.1-2_all.deb",
    sha256: "caf7a8b1a7936abf59e6e1f5e20342fc50ce867ea7cd67dd8228665c4f70e5a1",
};
const MANUALS_WITHIN: &str = "usr/share/doc/lilypond/html/Documentation";
/// `pdftotext`, and what a machine without it mostly lacks besides. As in Debian 12.
const PDFTOTEXT: [PoolFile; 3] = [
    PoolFile {
        name: "poppler-utils",
        path: "pool/main/p/poppler/poppler-utils_22.12.0-2+deb12u1_amd64.deb",
        sha256: "bc483fc19bfde8cdf7c0f8f2b0b3c3bf9d87fa5913cf96f92010449dc08ee60d",
    },
    PoolFile {
        name: "libpoppler126",
        path: "pool/main/p/poppler/libpoppler126_22.12.0-2+deb12u1_amd64.deb",
        sha256: "13fefe5fe3853066410ac14ed5f14cb38e0620a1058f6ddf02a787466532bab4",
    },
    PoolFile {
        name: "libopenjp2-7",
        path: "pool/main/o/openjpeg2/libopenjp2-7_2.5.0-2+deb12u2_amd64.deb",
        sha256: "e2bde38a336e00e22604e4b01edf55dd49ea4df87eedc643cce04f95121a594a",
    },
];
/// Their source archives hold the files that they are tested with.
const TESTED_WITH: [Sources; 2] = [
    Sources {
        requirement: "pypdf==7.1.1",
        within: "pypdf-7.1.1/resources",
        sha256: "2eff4e2fc5fb22a6d6711e6f1166cdc9ab5765d90cd0d77dfea3f4aa91a27b1d",
    },
    Sources {
        requirement: "ocrmypdf==17.13.0",
        within: "ocrmypdf-17.13.0/tests/resources",
        sha256: "151c35d810eb628fbc5cb9bbe80b834ecf094737efa0e7a2e9e1fac3c730ed49",
    },
];

/// A source archive of the Python package index.
struct Sources {
    requirement: &'static str,
    within: &'static str,
    sha256: &'static str,
}

impl Sources {
    fn name(&self) -> &str {
        self.requirement.split('=').next().unwrap_or_default()
    }
}

/// What there is.
#[derive(Clone, Debug)]
pub struct Corpora {
    /// `lilypond`, `pypdf` and `ocrmypdf`, each a folder of PDFs.
    pub folder: PathBuf,
    /// The program.
    pub pdftotext: PathBuf,
    /// Where it finds its libraries, where they are not the machine's.
    pub libraries: Option<PathBuf>,
}

/// Fetches what is missing.
pub async fn ensure(cache: &Cache, steps: &mut Steps) -> Result<Corpora> {
    let folder = cache.path(FOLDER);
    if !folder.exists() {
        let _lock = cache.lock()?;
        if !folder.exists() {
            let work = make(cache, &folder);
            steps.run_visibly("fetch PDFs to read", work).await?;
        }
    }
    if let Some(pdftotext) = prerequisites::find("pdftotext") {
        return Ok(Corpora {
            folder,
            pdftotext,
            libraries: None,
        });
    }
    let libraries = folder.join("poppler/usr/lib/x86_64-linux-gnu");
    let pdftotext = folder.join("poppler/usr/bin/pdftotext");
    let mut command = Command::new(&pdftotext);
    command.arg("-v").env("LD_LIBRARY_PATH", &libraries);
    process::quietly("pdftotext", &mut command).await.context(
        "Debian's pdftotext does not run here: install it (apt-get install poppler-utils)",
    )?;
    Ok(Corpora {
        folder,
        pdftotext,
        libraries: Some(libraries),
    })
}

async fn make(cache: &Cache, folder: &Path) -> Result<()> {
    ensure!(
        debian::is_there() && prerequisites::find("dpkg-deb").is_some(),
        "the benchmark reads manuals of Debian's archive: it needs a machine with apt and dpkg"
    );
    let work = cache.path("unfinished/pages");
    clear(&work)?;
    let complete = work.join("complete");
    unpack(&MANUALS, &work, &work.join("manuals")).await?;
    fs::create_dir_all(&complete)?;
    take(
        &work.join("manuals").join(MANUALS_WITHIN),
        &complete.join("lilypond"),
    )?;
    if prerequisites::find("pdftotext").is_none() {
        for file in &PDFTOTEXT {
            unpack(file, &work, &complete.join("poppler")).await?;
        }
    }
    for sources in &TESTED_WITH {
        take(
            &download(sources, &work).await?,
            &complete.join(sources.name()),
        )?;
    }
    fs::rename(&complete, folder).with_context(|| folder.display().to_string())?;
    fetch::remove(&work)
}

async fn unpack(file: &PoolFile, work: &Path, into: &Path) -> Result<()> {
    let archive = work.join(file.name).with_extension("deb");
    debian::download(file, &archive).await?;
    let mut command = Command::new("dpkg-deb");
    command.arg("--extract").arg(&archive).arg(into);
    process::quietly(&format!("unpacking {}", file.name), &mut command)
        .await
        .map(drop)
}

/// Downloads and unpacks a source archive; returns the folder with its files.
async fn download(sources: &Sources, work: &Path) -> Result<PathBuf> {
    let folder = work.join(sources.name());
    fs::create_dir_all(&folder)?;
    // pip asks the package for its name: only of the pinned file.
    let pinned = folder.join("pinned.txt");
    let line = format!("{} --hash=sha256:{}\n", sources.requirement, sources.sha256);
    fs::write(&pinned, line)?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", "download", "--no-deps", "--no-binary", ":all:"])
        .args([
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--quiet", "--require-hashes", "--dest"])
        .arg(&folder)
        .arg("--requirement")
        .arg(&pinned);
    let what = format!("fetching the source of {}", sources.name());
    process::quietly(&what, &mut command).await?;
    let archive = fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .with_context(|| format!("{what}: pip left no archive"))?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "tarfile", "-e"])
        .arg(&archive)
        .arg(&folder);
    process::quietly(&format!("unpacking {}", sources.name()), &mut command).await?;
    Ok(folder.join(sources.within))
}

/// Moves the PDFs of a folder.
fn take(from: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        if let Some(name) = path.file_name()
            && path.extension().is_some_and(|extension| extension == "pdf")
        {
            fs::rename(&path, into.join(name))?;
        }
    }
    Ok(())
}
