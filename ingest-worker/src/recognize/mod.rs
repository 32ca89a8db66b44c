//! Recognising the text of scanned pages in a child process of its own, with limits of its own.

pub mod child;
mod installed;
mod lines;

pub use installed::NotInstalled;

use crate::{
    extract::{ExtractError, Limits, Pages, process, protocol::Reader},
    layout::RawPage,
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{process::Command, time::Instant};

/// Processor time for loading the libraries and the models.
const LOADING_CPU_S: u64 = 10;
/// So many pages of a document may each cost a child its life.
const MAX_DEATHS: usize = 3;

/// Starts the child that recognises pages.
#[derive(Clone, Debug)]
pub struct Recognizer {
    /// The program with the `recognize` subcommand: this one.
    pub program: PathBuf,
    /// Path of `libpdfium.so`, which draws the pages.
    pub pdfium: PathBuf,
    /// Path of Tesseract's library.
    pub tesseract: PathBuf,
    /// The folder of its models, `{language}.traineddata`.
    pub models: PathBuf,
    /// Languages of the documents, as in `eng+deu`.
    pub languages: String,
    /// Scanned pages of a document that are read.
    pub max_pages: u32,
    /// The child's address space in bytes.
    pub memory_bytes: u64,
    /// Processor time of a page in seconds, in the mean of a document.
    pub page_cpu_s: u64,
    /// How long the child may take by the clock.
    pub deadline: Duration,
}

impl Recognizer {
    /// 1 GiB for a page of 4,000 by 4,000 pixels and its picture.
    pub const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
    /// A dense page takes two to three seconds.
    pub const PAGE_CPU_S: u64 = 10;

    /// Recognises those of `pages` that are scanned, the first `max_pages` of them, and puts what is read in place of what they say themselves.
    /// `progress` is told pages done and pages to do. Pages of which nothing is read stay as they are, and so does a page
    /// at which the child dies: another child goes on with the next one, three times at most.
    ///
    /// What was recognised before a failure stands. No page at all is a failure where a child died. Dropping the future kills the child; so does the end of this process.
    pub async fn recognize(
        &self,
        file: &Path,
        pages: &mut Pages,
        mut progress: impl FnMut(u32, u32),
    ) -> Result<(), ExtractError> {
        let scanned = pages.legible().filter(|page| page.scanned);
        let scanned: Vec<u32> = scanned
            .map(|page| page.page)
            .take(self.max_pages as usize)
            .collect();
        let due = Instant::now() + self.deadline;
        let mut done = 0;
        let mut deaths = Vec::new();
        while done < scanned.len() {
            let to_do = &scanned[done..];
            let ended = self.go_on(file, to_do, due, |page| {
                if let Some(page) = page {
                    pages.change(page.page, |own| replace(own, page))?;
                    done += 1;
                }
                progress(done as u32, scanned.len() as u32);
                Ok(())
            });
            match ended.await {
                Ok(()) => break,
                Err(ExtractError::Rejected(death))
                    if deaths.len() < MAX_DEATHS && done < scanned.len() =>
                {
                    tracing::warn!(page = scanned[done], "page can't be recognised");
                    deaths.push(death);
                    done += 1;
                }
                Err(error) => return Err(error),
            }
        }
        match deaths.pop() {
            Some(death) if !pages.legible().any(|page| page.recognised) => Err(death.into()),
            _ => Ok(()),
        }
    }

    /// Recognises the pages of these numbers.
    async fn go_on(
        &self,
        file: &Path,
        numbers: &[u32],
        due: Instant,
        mut heard: impl FnMut(Option<RawPage>) -> io::Result<()>,
    ) -> Result<(), ExtractError> {
        let reader = Reader::of_pages(numbers);
        let left = due.saturating_duration_since(Instant::now());
        let command = self.command(file, numbers);
        process::pages(command, reader, left, |page, _| heard(page)).await
    }

    fn command(&self, file: &Path, numbers: &[u32]) -> Command {
        let limits = Limits {
            memory_bytes: self.memory_bytes,
            // Any one page may take all the time that a page may, and be read twice.
            cpu_s: LOADING_CPU_S
                + 2 * child::PAGE_AT_MOST.as_secs()
                + self.page_cpu_s * numbers.len() as u64,
            max_pages: self.max_pages,
        };
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let mut command = process::command(&self.program, "recognize", &limits);
        command
            .arg("--library")
            .arg(&self.pdfium)
            .arg("--tesseract")
            .arg(&self.tesseract)
            .arg("--models")
            .arg(&self.models)
            .arg("--languages")
            .arg(&self.languages)
            .arg("--pages")
            .arg(numbers.join(","))
            .arg("--")
            .arg(file)
            // Debian's Tesseract would start threads, which the child may not, and then end.
            .env("OMP_THREAD_LIMIT", "1");
        command
    }
}

/// Puts what was recognised in place of what the page says itself, unless that can be read and is more.
fn replace(page: &mut RawPage, recognized: RawPage) {
    let is_better = page.is_unreadable() || recognized.letters() >= page.letters();
    if recognized.confidence.is_some() && is_better {
        page.runs = recognized.runs;
        page.confidence = recognized.confidence;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Ending, Word, group};

    fn page(text: &str, unmapped_glyphs: u32, confidence: Option<u8>) -> RawPage {
        let word = Word {
            text: text.into(),
            left: 50.0,
            right: 90.0,
            baseline: 500.0,
            size: 10.0,
            top: 509.0,
            bottom: 497.5,
            bold: false,
            turned: false,
            ending: Ending::Break,
        };
        RawPage {
            page: 1,
            runs: group([word]),
            unmapped_glyphs,
            confidence,
            ..RawPage::default()
        }
    }

    #[test]
    fn a_page_that_was_recognised_can_be_read() {
        let mut unmapped = page("!#12345678", 40, None);
        assert!(unmapped.is_unreadable());
        replace(&mut unmapped, RawPage::default());
        assert!(unmapped.is_unreadable(), "nothing was recognised");
        replace(&mut unmapped, page("Play", 0, Some(91)));
        assert_eq!(unmapped, page("Play", 40, Some(91)));
        assert!(!unmapped.is_unreadable());
    }

    #[test]
    fn a_page_keeps_its_own_words_where_fewer_were_recognised() {
        let mut stamped = page("Studio copy", 0, None);
        replace(&mut stamped, page("Stud", 0, Some(60)));
        replace(&mut stamped, RawPage::default());
        assert_eq!(stamped, page("Studio copy", 0, None));
    }
}
