//! Pages a second and memory.

use super::{
    MANUALS, READERS, manual,
    reading::{Reader, Readers},
};
use crate::report::{Report, quantile};
use std::{collections::BTreeMap, path::Path};

const MIN_PAGES_PER_S: f64 = 250.0;
const MIN_RATIO_TO_LANGCHAIN: f64 = 5.0;
const MIN_RATIO_TO_PDFIUM: f64 = 0.6;
/// Peak memory of the longest manual, whose file has 29 MB.
const MAX_PEAK_MB: f64 = 80.0;

/// Pages a second and peak memory in MB of each round.
#[derive(Default)]
struct Cell {
    pages: usize,
    rates: Vec<f64>,
    peaks_mb: Vec<f64>,
}

/// The readers take turns, each with all manuals.
pub async fn measure(
    readers: &Readers,
    pdfs: &Path,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    let mut totals = vec![Vec::new(); READERS.len()];
    for round in 0..rounds {
        for turn in 0..READERS.len() {
            // Each is the first one now and then.
            let side = (round + turn) % READERS.len();
            let (mut pages, mut seconds) = (0, 0.0);
            for (number, name) in MANUALS.iter().enumerate() {
                eprintln!(
                    "round {} of {rounds}: {name}, {}",
                    round + 1,
                    READERS[side].name()
                );
                let reading = readers.read(READERS[side], &manual(pdfs, name)).await?;
                let cell = cells.entry((number, side)).or_default();
                cell.pages = reading.pages;
                cell.rates.push(reading.pages as f64 / reading.seconds);
                cell.peaks_mb.push(reading.peak_kb as f64 / 1024.0);
                pages += reading.pages;
                seconds += reading.seconds;
            }
            totals[side].push(pages as f64 / seconds);
        }
    }
    table(&mut cells, report);
    ratios(&totals, report);
    if let Some(longest) = cells.get(&(MANUALS.len() - 1, 0)) {
        let peak_mb = quantile(&longest.peaks_mb, 0.5);
        report.at_most("peak memory at 930 pages", peak_mb, MAX_PEAK_MB, "MB");
    }
    Ok(())
}

fn table(cells: &mut BTreeMap<(usize, usize), Cell>, report: &mut Report) {
    report.begin(
        "Reading the manuals",
        &["manual", "pages", "reader", "pages/s", "peak MB"],
    );
    for ((number, side), cell) in cells {
        cell.rates.sort_by(f64::total_cmp);
        cell.peaks_mb.sort_by(f64::total_cmp);
        let peak_mb = quantile(&cell.peaks_mb, 0.5);
        report.row(vec![
            MANUALS[*number].to_owned(),
            cell.pages.to_string(),
            READERS[*side].name().to_owned(),
            format!("{:.0}", quantile(&cell.rates, 0.5)),
            if peak_mb > 0.0 {
                format!("{peak_mb:.0}")
            } else {
                String::new()
            },
        ]);
    }
}

fn ratios(totals: &[Vec<f64>], report: &mut Report) {
    report.begin(
        "All three, and Etude's share of each in the same round",
        &["reader", "pages/s", "Etude is … times as fast"],
    );
    for (reader, rates) in READERS.iter().zip(totals) {
        let mut ratios: Vec<f64> = totals[0]
            .iter()
            .zip(rates)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let mut rates = rates.clone();
        rates.sort_by(f64::total_cmp);
        let (rate, ratio) = (quantile(&rates, 0.5), quantile(&ratios, 0.5));
        report.row(vec![
            reader.name().to_owned(),
            format!("{rate:.0}"),
            format!(
                "{ratio:.2} ({:.2}–{:.2})",
                quantile(&ratios, 0.25),
                quantile(&ratios, 0.75)
            ),
        ]);
        match reader {
            Reader::Etude => report.at_least("pages a second", rate, MIN_PAGES_PER_S),
            Reader::LangChain => {
                report.at_least("ratio to LangChain", ratio, MIN_RATIO_TO_LANGCHAIN);
            }
            Reader::Pdfium => report.at_least("ratio to bare pdfium", ratio, MIN_RATIO_TO_PDFIUM),
            Reader::PyMuPdf | Reader::PdfToText => {}
        }
    }
}
