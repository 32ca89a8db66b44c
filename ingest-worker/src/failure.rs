//! Why a document can't become searchable, for its owner and for the queue.

use crate::extract::Refusal;
use shared_types::documents::SourceFormat;
use std::fmt;
use thiserror::Error;

/// A fault of the file: another try would end the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No bytes at all.
    #[error("This file is empty. Check that it opens on your computer, then upload it again.")]
    Empty,
    /// Another kind of file.
    #[error(
        "This file is not a PDF. Export it as a PDF from the program it was made with and upload that."
    )]
    NotAPdf,
    /// Not what its name says, and no PDF should be.
    #[error("{}", not_this_format(*.0))]
    NotThisFormat(SourceFormat),
    /// A document of Word from before 2007.
    #[error(
        "This file is in the format that Word had before 2007. Open it, save it as .docx or as a PDF and upload that."
    )]
    OldFormat,
    /// Made of text, and without any.
    #[error(
        "There are no words in this file. Check that it opens on your computer; if its text is in pictures, save it as a \
         PDF, and upload that."
    )]
    NoWords,
    /// Only opens with a password.
    #[error(
        "This file is protected by a password. Save a copy without a password and upload that."
    )]
    Encrypted,
    /// Cut off, or broken in another way.
    #[error(
        "This file is damaged or incomplete. Open it on your computer, save it anew or as a PDF and upload that."
    )]
    Damaged,
    /// A document without pages.
    #[error("This PDF has no pages. Export it again and upload that.")]
    NoPages,
    /// Pages without text, of which nothing was recognised either.
    #[error(
        "This PDF has no text in it, and none could be recognised in its pictures. If it is a scan, scan it again upright, \
         at 300 dots per inch and with good contrast, and upload that."
    )]
    NoText,
    /// Pages of text, in fonts that do not say which characters they draw, and of which nothing was recognised either.
    #[error(
        "The text of this PDF can't be read on {pages} of its pages: its fonts don't say which letters they draw, and \
         text recognition (OCR) found none. Export it again with embedded fonts and upload the result."
    )]
    UnmappedFonts {
        /// So many of its pages.
        pages: u32,
    },
    /// More pages than this.
    #[error("This file has more than {0} pages. Split it and upload the parts one by one.")]
    TooManyPages(u32),
    /// More scanned pages than are recognised.
    #[error("{}", too_many_scanned_pages(*.scanned, *.most))]
    TooManyScannedPages {
        /// So many are scanned.
        scanned: u32,
        /// So many may be.
        most: u32,
    },
    /// More text than a document may have.
    #[error(
        "This file holds more text than one document may have. Split it and upload the parts one by one."
    )]
    TooMuchText,
    /// It took more memory or processor time than a file may take.
    #[error(
        "This file is too complex to be read within our limits. Save it as a new, simpler file, or split it, and upload that."
    )]
    TooComplex,
    /// The stored file is not what was announced.
    #[error("The file arrived incomplete. Upload it again.")]
    Mismatch,
}

impl Rejection {
    /// Why the extracting child refused a file that may have `max_pages` pages.
    #[must_use]
    pub fn of(refusal: Refusal, max_pages: u32) -> Self {
        match refusal {
            Refusal::Empty => Self::Empty,
            Refusal::NotAPdf => Self::NotAPdf,
            Refusal::Encrypted => Self::Encrypted,
            Refusal::Damaged => Self::Damaged,
            Refusal::TooManyPages => Self::TooManyPages(max_pages),
        }
    }
}

fn not_this_format(format: SourceFormat) -> String {
    let ending = format.endings()[0];
    format!(
        "This file is not what a name that ends in .{ending} says it is. Save it as .{ending} or as a PDF from the program \
         that it was made with and upload that."
    )
}

fn too_many_scanned_pages(scanned: u32, most: u32) -> String {
    let with_text = "a copy with a text layer, as text recognition (OCR) makes one";
    if most == 0 {
        return format!(
            "{scanned} pages of this PDF are scanned, and we read none such. Upload {with_text}."
        );
    }
    format!(
        "{scanned} pages of this PDF are scanned, and we read {most} at most. Split it into files with no more than {most} \
         of them each and upload those one by one, or upload {with_text}."
    )
}

/// The part of the system that did not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Object storage.
    Files,
    /// The process that reads files.
    Extraction,
    /// The embedding service.
    Embedding,
    /// The database.
    Database,
    /// The clock: the whole took too long.
    Time,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "file storage did not answer or no longer has the file",
            Self::Extraction => "the process that reads files was interrupted",
            Self::Embedding => "the embedding service did not answer",
            Self::Database => "the database did not answer",
            Self::Time => "it took longer than ten minutes",
        })
    }
}

/// Why a job ended without a searchable document.
#[derive(Debug, Error)]
pub enum JobError {
    /// At once and for good.
    #[error("the document was rejected")]
    Rejected(#[from] Rejection),
    /// To be tried again.
    #[error("{part}")]
    Failed {
        /// Where.
        part: Part,
        /// Why.
        source: anyhow::Error,
    },
    /// Another worker has the job now.
    #[error("the lease on the job was lost")]
    LeaseLost,
}

impl JobError {
    /// A failure of ours, to be tried again.
    pub fn failed(part: Part, source: impl Into<anyhow::Error>) -> Self {
        Self::Failed {
            part,
            source: source.into(),
        }
    }

    /// Why, in words for the document's owner; it says what to do.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Rejected(rejection) => rejection.to_string(),
            Self::Failed { part, .. } => format!(
                "This is not your file's fault: {part}. We tried several times. Have it read once more later."
            ),
            Self::LeaseLost => "Another worker took over.".to_owned(),
        }
    }
}

/// An error and everything behind it, on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_says_what_to_do() {
        let rejections = [
            Rejection::Empty,
            Rejection::NotAPdf,
            Rejection::NotThisFormat(SourceFormat::Docx),
            Rejection::OldFormat,
            Rejection::NoWords,
            Rejection::Encrypted,
            Rejection::Damaged,
            Rejection::NoPages,
            Rejection::NoText,
            Rejection::UnmappedFonts { pages: 3 },
            Rejection::TooManyPages(2_000),
            Rejection::TooManyScannedPages {
                scanned: 300,
                most: 200,
            },
            Rejection::TooManyScannedPages {
                scanned: 300,
                most: 0,
            },
            Rejection::TooMuchText,
            Rejection::TooComplex,
            Rejection::Mismatch,
        ];
        for rejection in rejections {
            let reason = JobError::from(rejection).reason();
            assert!(reason.to_lowercase().contains("upload"), "{reason}");
        }
    }

    #[test]
    fn a_fault_of_ours_is_not_blamed_on_the_file() {
        let error = JobError::failed(Part::Embedding, anyhow::anyhow!("503"));
        assert_eq!(
            error.reason(),
            "This is not your file's fault: the embedding service did not answer. We tried several times. \
             Have it read once more later."
        );
    }
}
