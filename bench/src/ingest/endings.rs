//! How each of the files ends that pypdf and OCRmyPDF are tested with.

use super::reading::Readers;
use crate::report::Report;
use anyhow::Context;
use ingest_worker::{extract::ExtractError, layout};
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
    let extractor = readers.tools.extractor();
    let mut crashes = 0;
    for archive in ["pypdf", "ocrmypdf"] {
        let files = files(&pdfs.join(archive))?;
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let theirs = readers.python(&["endings"], &paths).await?;
        let theirs: Vec<String> = serde_json::from_slice(&theirs)?;
        for (file, theirs) in files.iter().zip(theirs) {
            let ours = match extractor.extract(file, |_, _| {}).await {
                Ok(pages) => {
                    let pages = layout::read(pages);
                    let blank = pages.iter().filter(|page| page.text.is_empty()).count();
                    match blank {
                        0 => format!("{} pages", pages.len()),
                        _ => format!("{} pages, {blank} without text", pages.len()),
                    }
                }
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

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.sort();
    Ok(files)
}
