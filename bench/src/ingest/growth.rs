//! Memory by the number of pages, of one document.

use super::{
    MANUALS, manual,
    reading::{Reader, Readers},
};
use crate::report::Report;
use std::path::Path;

/// The longest manual's first pages, and all of it.
const PAGES: [&str; 4] = ["100", "300", "600", "930"];
/// How much more memory all of its pages may take than the first hundred: what pdfium knows of the file's objects, the
/// words of the document, and its heaviest pages. A page that is kept takes 4 KB and its passages 8: neither fits.
const MAX_GROWTH_MB: f64 = 8.0;

/// Reads the beginnings of a document.
pub async fn measure(readers: &Readers, pdfs: &Path, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let longest = manual(pdfs, MANUALS[MANUALS.len() - 1]);
    eprintln!("cut {}", longest.display());
    let words = [&["cut"][..], &PAGES].concat();
    readers.python(&words, &[folder.path(), &longest]).await?;
    report.begin(
        "Memory by the number of pages of one manual",
        &["pages", "Etude: peak MB", "bare pdfium: peak MB"],
    );
    let mut peaks_mb = Vec::new();
    for pages in PAGES {
        let file = folder.path().join(pages).with_extension("pdf");
        let mut row = vec![pages.to_owned()];
        for reader in [Reader::Etude, Reader::Pdfium] {
            let reading = readers.read(reader, &file).await?;
            let megabytes = reading.peak_kb as f64 / 1024.0;
            row.push(format!("{megabytes:.0}"));
            if reader == Reader::Etude {
                peaks_mb.push(megabytes);
            }
        }
        report.row(row);
    }
    if let [least, .., most] = peaks_mb[..] {
        let growth_mb = most - least;
        report.at_most(
            "memory of 930 pages over that of 100",
            growth_mb,
            MAX_GROWTH_MB,
            "MB",
        );
    }
    Ok(())
}
