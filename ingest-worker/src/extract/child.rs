//! The child process: reads one file with pdfium and says what stands on its pages.
//!
//! It holds no secret, has no environment, and limits itself before it looks at the file. Whatever a
//! hostile file makes of it, it can write to its standard output and nothing else.

use super::{
    limits, memory,
    protocol::{Count, Message, Refusal},
    scans, words,
};
use crate::layout::{self, RawPage};
use pdfium_render::prelude::*;
use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Memory that the pages may take before the document is opened anew: pdfium keeps what it has parsed until then, fonts
/// above all. 30 pages of most documents need less.
const KB_PER_OPENING: u64 = 10 * 1024;
/// So many pages are read in any case: what all of them need, a large font say, would be parsed for each.
const MIN_PAGES_PER_OPENING: u32 = 4;
/// No more are read, should pdfium get its memory from where this process can't see it.
const MAX_PAGES_PER_OPENING: u32 = 64;
/// What is written at a time: as much as a pipe holds.
const OUTPUT_BYTES: usize = 64 * 1024;
/// How far into a file its header may stand (ISO 32000-1, Annex H, note 13).
const HEADER_WITHIN: u64 = 1024;
/// How far from the end its end mark may stand; the note says 1,024 bytes, and some programs add more.
const TRAILER_WITHIN: u64 = 4096;

/// What the child is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Path of libpdfium.so.
    #[arg(long)]
    pub library: PathBuf,
    /// The process that started this one; the child ends with it.
    #[arg(long)]
    pub parent: Option<i32>,
    /// Limits of this process.
    #[command(flatten)]
    pub limits: limits::Limits,
    /// The PDF.
    pub file: PathBuf,
}

/// Why the child could not do its work, through no fault of the file.
#[derive(Debug, Error)]
pub enum ChildError {
    /// The limits could not be set.
    #[error("can't limit the process")]
    Limits(#[from] nix::Error),
    /// The process that started this one is gone.
    #[error("the parent process has ended")]
    Orphaned,
    /// `libpdfium.so` could not be loaded.
    #[error("can't load {library}: {cause:?}")]
    Library {
        /// Its path.
        library: PathBuf,
        /// As told by the binding.
        cause: PdfiumError,
    },
    /// Text recognition could not be loaded.
    #[error("can't load text recognition")]
    Recognizer(#[from] tesseract::LoadError),
    /// The file could not be read, or the output not written.
    #[error("can't read the file or write what it says")]
    Io(#[from] io::Error),
    /// A page could not be put as its frame.
    #[error("can't serialise a page")]
    Message(#[from] postcard::Error),
    /// What stands in the file could not be put as JSON.
    #[error("can't serialise what stands in the file")]
    Json(#[from] serde_json::Error),
}

/// Reads `options.file` and writes [`Message`]s to `output`, each in its frame.
///
/// A file that can't be read is a [`Message::Refused`], not an error.
pub fn run(options: &Options, output: impl Write) -> Result<(), ChildError> {
    limits::die_with_parent(options.parent)?;
    // Loaded first: the library is ours and needs the dynamic linker, the file gets what is left.
    let pdfium = pdfium(&options.library)?;
    limits::apply(&options.limits)?;
    let mut output = BufWriter::with_capacity(OUTPUT_BYTES, output);
    if let Err(refused) = read(&pdfium, options, &mut output)? {
        say(&mut output, &Message::Refused(refused))?;
    }
    output.flush()?;
    Ok(())
}

/// The library at `path`.
pub(crate) fn pdfium(path: &Path) -> Result<Pdfium, ChildError> {
    let bindings = Pdfium::bind_to_library(path).map_err(|cause| ChildError::Library {
        library: path.to_owned(),
        cause,
    })?;
    Ok(Pdfium::new(bindings))
}

fn read(
    pdfium: &Pdfium,
    options: &Options,
    output: &mut impl Write,
) -> Result<Result<(), Refusal>, ChildError> {
    let file = options.file.as_path();
    if let Some(refusal) = sniff(file)? {
        return Ok(Err(refusal));
    }
    let pages = match open(pdfium, file) {
        Ok(document) => document.pages().len().max(0).unsigned_abs(),
        Err(refusal) => return Ok(Err(refusal)),
    };
    if pages > options.limits.max_pages {
        return Ok(Err(Refusal::TooManyPages));
    }
    say(output, &Message::Header(Count { pages }))?;
    let mut next = 0;
    while next < pages {
        let Ok(document) = open(pdfium, file) else {
            // It opened a moment ago: the stream ends without its trailer.
            return Ok(Ok(()));
        };
        let most_kb = memory::allocated_kb() + KB_PER_OPENING;
        let least = next + MIN_PAGES_PER_OPENING;
        let until = pages.min(next + MAX_PAGES_PER_OPENING);
        while next < until && (next < least || memory::allocated_kb() < most_kb) {
            say(output, &Message::Page(page(&document, next)))?;
            next += 1;
        }
    }
    say(output, &Message::Trailer(Count { pages }))?;
    Ok(Ok(()))
}

/// Refuses what is no whole PDF, before pdfium sees it: of a file that is cut off it would find some pages,
/// and the rest would be missing without a word.
fn sniff(file: &Path) -> io::Result<Option<Refusal>> {
    let mut file = File::open(file)?;
    let mut start = Vec::new();
    (&mut file).take(HEADER_WITHIN).read_to_end(&mut start)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TRAILER_WITHIN)))?;
    let mut end = Vec::new();
    file.take(TRAILER_WITHIN).read_to_end(&mut end)?;
    Ok(if start.is_empty() {
        Some(Refusal::Empty)
    } else if !start.windows(5).any(|bytes| bytes == b"%PDF-") {
        Some(Refusal::NotAPdf)
    } else if end.windows(5).any(|bytes| bytes == b"%%EOF") {
        None
    } else {
        Some(Refusal::Damaged)
    })
}

/// The document in a file.
pub(crate) fn open<'a>(pdfium: &'a Pdfium, file: &Path) -> Result<PdfDocument<'a>, Refusal> {
    use PdfiumError::PdfiumLibraryInternalError as Internal;
    pdfium
        .load_pdf_from_file(file, None)
        .map_err(|error| match error {
            Internal(PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError) => {
                Refusal::Encrypted
            }
            _ => Refusal::Damaged,
        })
}

/// One page; a page that pdfium can't load is an empty one, since the others may be sound.
fn page(document: &PdfDocument<'_>, number: u32) -> RawPage {
    let mut raw = RawPage {
        page: number + 1,
        ..RawPage::default()
    };
    let Ok(page) = document.pages().get(number.cast_signed()) else {
        return raw;
    };
    raw.width = words::hundredths(page.width().value);
    raw.height = words::hundredths(page.height().value);
    if let Ok(text) = page.text() {
        let turn = words::Turn::of(&page);
        let (words, unmapped) = words::words(&text, turn);
        raw.unmapped_glyphs = unmapped;
        raw.runs = layout::group(words);
    }
    raw.scanned = scans::is_scanned(&page, &raw);
    raw
}

/// Writes one frame.
pub(crate) fn say(output: &mut impl Write, message: &Message) -> Result<(), ChildError> {
    output.write_all(&message.to_frame()?)?;
    Ok(())
}
