//! Reading PDFs, beside what a Python user would pick and beside bare pdfium, all in one run.
//! `docs/benchmarks.md` says how, and what the figures mean.

mod agreement;
mod endings;
mod growth;
mod reading;
mod speed;

pub use reading::{ReadOptions, read};

use crate::{python, report::Report};
use clap::Args;
use reading::{Reader, Readers};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// Two rounds: good for development, too few to judge by
    #[arg(long)]
    quick: bool,
    /// The checkout
    #[arg(long, env = "ETUDE_REPOSITORY")]
    repository: PathBuf,
    /// Where Python's packages are kept between runs
    #[arg(long, env = "ETUDE_BENCH_FOLDER")]
    folder: PathBuf,
    /// The folders `lilypond`, `pypdf` and `ocrmypdf` of PDFs
    #[arg(long, env = "ETUDE_PDFS")]
    pdfs: PathBuf,
    /// `pdftotext`
    #[arg(long, env = "ETUDE_PDFTOTEXT")]
    pdftotext: PathBuf,
    /// Its libraries, where they are not the machine's
    #[arg(long, env = "ETUDE_PDFTOTEXT_LIBRARIES")]
    pdftotext_libraries: Option<PathBuf>,
    #[command(flatten)]
    reading: reading::Tools,
}

/// The manuals, by length.
const MANUALS: [&str; 3] = ["music-glossary", "learning", "notation"];

/// Measures everything.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let packages = python::packages(python::PAGES, &options.repository, &options.folder).await?;
    let readers = Readers {
        tools: options.reading.clone(),
        script: options.repository.join("bench/python/pages.py"),
        packages,
        pdftotext: options.pdftotext.clone(),
        pdftotext_libraries: options.pdftotext_libraries.clone(),
    };
    let mut report = Report::default();
    let rounds = if options.quick { 2 } else { 7 };
    speed::measure(&readers, &options.pdfs, rounds, &mut report).await?;
    growth::measure(&readers, &options.pdfs, &mut report).await?;
    agreement::measure(&readers, &options.pdfs, &mut report).await?;
    endings::measure(&readers, &options.pdfs, &mut report).await?;
    Ok(report)
}

fn manual(pdfs: &Path, name: &str) -> PathBuf {
    pdfs.join("lilypond").join(name).with_extension("pdf")
}

/// Those that are measured, in the order of the tables.
const READERS: [Reader; 5] = [
    Reader::Etude,
    Reader::Pdfium,
    Reader::LangChain,
    Reader::PyMuPdf,
    Reader::PdfToText,
];
