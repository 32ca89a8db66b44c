//! Recognising the text of scanned pages in a child process of its own, with limits of its own.

pub mod child;
mod lines;

use crate::{
    extract::{ExtractError, Limits, process, protocol::Reader},
    layout::RawPage,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Processor time for loading the libraries and the models.
const LOADING_CPU_S: u64 = 10;

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
    /// `progress` is told pages done and pages to do. Pages of which nothing is read stay as they are.
    ///
    /// Dropping the future kills the child; so does the end of this process.
    pub async fn recognize(
        &self,
        file: &Path,
        pages: &mut [RawPage],
        progress: impl FnMut(u32, u32),
    ) -> Result<(), ExtractError> {
        let scanned: Vec<u32> = pages
            .iter()
            .filter(|page| page.scanned)
            .map(|page| page.page)
            .take(self.max_pages as usize)
            .collect();
        let count = scanned.len() as u64;
        let limits = Limits {
            memory_bytes: self.memory_bytes,
            // Any one page may take all the time that a page may, and be read twice.
            cpu_s: LOADING_CPU_S + 2 * child::PAGE_AT_MOST.as_secs() + self.page_cpu_s * count,
            max_pages: self.max_pages,
        };
        let numbers: Vec<String> = scanned.iter().map(u32::to_string).collect();
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
        let reader = Reader::of_pages(&scanned);
        let recognized = process::pages(command, reader, self.deadline, progress).await?;
        let to_do = pages.iter_mut().filter(|page| page.scanned);
        for (page, recognized) in to_do.zip(recognized) {
            replace(page, recognized);
        }
        Ok(())
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
