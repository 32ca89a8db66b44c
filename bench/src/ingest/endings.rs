//! How each of the files ends that pypdf and OCRmyPDF are tested with.

use super::reading::Readers;
use crate::report::Report;
use anyhow::Context;
use ingest_worker::{extract::ExtractError, layout};
use rag_core::chunking::PageText;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Reads each of them, and has LangChain's loader read them.
pub async fn measure(readers: &Readers, pdfs: &Path, report: &mut Report) -> anyhow::Result<()> {
    report.begin(
        "How each file of the test archives ends",
        &["file", "Etude", "LangChain's PyPDFLoader"],
    );
    let mut crashes = 0;
    for archive in ["pypdf", "ocrmypdf"] {
        let files = files(&pdfs.join(archive))?;
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let theirs = readers.python(&["endings"], &paths).await?;
        let theirs: Vec<String> = serde_json::from_slice(&theirs)?;
        for (file, theirs) in files.iter().zip(theirs) {
            eprintln!("{}", file.display());
            let ours = match pages(readers, file).await {
                Ok(pages) => described(&pages),
                Err(ExtractError::Rejected(rejection)) => format!("refused: {rejection:?}"),
                Err(error) => {
                    crashes += 1;
                    format!("failed: {error}")
                }
            };
            let name = file.file_name().unwrap_or_default().display();
            report.row(vec![format!("{archive}/{name}"), ours, theirs]);
        }
    }
    report.at_most(
        "files that end without a page or a reason",
        f64::from(crashes),
        0.0,
        "",
    );
    Ok(())
}

/// As the worker reads them, scanned ones included.
async fn pages(readers: &Readers, file: &Path) -> Result<Vec<PageText>, ExtractError> {
    let mut pages = readers.tools.extractor().extract(file, |_, _| {}).await?;
    if pages.legible().any(|page| page.scanned) {
        let recognizer = readers.tools.recognizer();
        recognizer.recognize(file, &mut pages, |_, _| {}).await?;
    }
    let read = layout::read(|| pages.iter()).and_then(Iterator::collect);
    read.map_err(ExtractError::Spool)
}

fn described(pages: &[PageText]) -> String {
    let mut parts = vec![format!("{} pages", pages.len())];
    let sure: Vec<u8> = pages.iter().filter_map(|page| page.confidence).collect();
    if !sure.is_empty() {
        let mean = sure.iter().copied().map(usize::from).sum::<usize>() / sure.len();
        parts.push(format!("{} recognised ({mean} % sure)", sure.len()));
    }
    let blank = pages.iter().filter(|page| page.text.is_empty()).count();
    if blank > 0 {
        parts.push(format!("{blank} without text"));
    }
    parts.join(", ")
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.sort();
    Ok(files)
}
