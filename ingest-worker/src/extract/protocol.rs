//! What the extracting child says on its standard output: one JSON document per line.
//!
//! ```text
//! {"header":{"pages":2}}
//! {"page":{"page":1,"width":419.5,"height":595.3,"runs":[…]}}
//! {"page":{"page":2,…}}
//! {"trailer":{"pages":2}}
//! ```
//!
//! The child reads hostile files, so the parent trusts nothing here: lines and totals are bounded, pages
//! come in order and once, and a stream without its trailer is no document.

use crate::layout::RawPage;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest line: a page of 100,000 words stays below it.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;
/// All lines of one document together. A dense page takes about 15 KiB, so 2,000 of them pass.
pub const MAX_TOTAL_BYTES: usize = 128 * 1024 * 1024;
/// One line of the child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// First, once.
    Header(Count),
    /// The pages, in order.
    Page(RawPage),
    /// Last, once: everything has been read.
    Trailer(Count),
    /// In place of the header: the file can't be read, and never will be.
    Refused(Refusal),
}

/// A number of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Pages in the document.
    pub pages: u32,
}

/// Why the child refuses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No bytes at all.
    Empty,
    /// No PDF header within the first kilobyte.
    NotAPdf,
    /// A password or an unknown security handler is needed to open it.
    Encrypted,
    /// A PDF header, and then no document.
    Damaged,
    /// A document of more pages than it may have.
    TooManyPages,
}

/// Why a stream of lines is not a document.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// Not the JSON of a [`Message`].
    #[error("a line is not a message of the extraction protocol")]
    Json(#[from] serde_json::Error),
    /// A message that may not stand here.
    #[error("a message came out of order")]
    Order,
    /// More than [`MAX_TOTAL_BYTES`].
    #[error("the document holds more text than is accepted")]
    TooMuch,
}

/// Folds lines into pages.
#[derive(Debug)]
pub struct Reader {
    max_pages: u32,
    announced: Option<u32>,
    pages: Vec<RawPage>,
    bytes: usize,
    done: bool,
    refusal: Option<Refusal>,
}

impl Reader {
    /// A reader of a document of so many pages at most.
    #[must_use]
    pub fn new(max_pages: u32) -> Self {
        Self {
            max_pages,
            announced: None,
            pages: Vec::new(),
            bytes: 0,
            done: false,
            refusal: None,
        }
    }

    /// Takes one line without its line end.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(ProtocolError::TooMuch);
        }
        if self.done || self.refusal.is_some() {
            return Err(ProtocolError::Order);
        }
        match (serde_json::from_slice(line)?, self.announced) {
            (Message::Header(count), None) if count.pages <= self.max_pages => {
                self.announced = Some(count.pages);
            }
            (Message::Page(page), Some(pages))
                if page.page <= pages && page.page as usize == self.pages.len() + 1 =>
            {
                self.pages.push(page);
            }
            (Message::Trailer(count), Some(pages))
                if count.pages == pages && self.pages.len() == pages as usize =>
            {
                self.done = true;
            }
            (Message::Refused(refusal), None) => self.refusal = Some(refusal),
            _ => return Err(ProtocolError::Order),
        }
        Ok(())
    }

    /// Pages read so far, and pages announced (0 before the header).
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        (self.pages.len() as u32, self.announced.unwrap_or(0))
    }

    /// The pages of a complete stream, or the child's refusal; `None` where the trailer never came.
    #[must_use]
    pub fn finish(self) -> Option<Result<Vec<RawPage>, Refusal>> {
        match (self.refusal, self.done) {
            (Some(refusal), _) => Some(Err(refusal)),
            (None, true) => Some(Ok(self.pages)),
            (None, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(number: u32) -> Message {
        Message::Page(RawPage {
            page: number,
            width: 100.0,
            height: 200.0,
            runs: vec![],
            unmapped_glyphs: 0,
            confidence: None,
        })
    }

    fn read(messages: &[Message]) -> Result<Reader, ProtocolError> {
        let mut reader = Reader::new(2_000);
        for message in messages {
            reader.line(&serde_json::to_vec(message).unwrap())?;
        }
        Ok(reader)
    }

    #[test]
    fn a_complete_stream_is_a_document() {
        let two = Count { pages: 2 };
        let reader = read(&[
            Message::Header(two),
            page(1),
            page(2),
            Message::Trailer(two),
        ])
        .unwrap();
        assert_eq!(reader.progress(), (2, 2));
        assert_eq!(reader.finish().unwrap().unwrap().len(), 2);
    }

    #[test]
    fn a_child_that_stops_early_leaves_no_document() {
        let reader = read(&[Message::Header(Count { pages: 2 }), page(1)]).unwrap();
        assert!(reader.finish().is_none());
    }

    #[test]
    fn a_page_that_is_skipped_repeated_or_unannounced_is_refused() {
        let two = Message::Header(Count { pages: 2 });
        for pages in [&[2][..], &[1, 1], &[1, 2, 3]] {
            let messages: Vec<_> = std::iter::once(two.clone())
                .chain(pages.iter().map(|number| page(*number)))
                .collect();
            assert!(matches!(read(&messages), Err(ProtocolError::Order)));
        }
        assert!(matches!(read(&[page(1)]), Err(ProtocolError::Order)));
    }

    proptest! {
        #[test]
        fn foreign_lines_never_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let mut reader = Reader::new(2_000);
            for line in lines {
                let _ = reader.line(&line);
            }
            prop_assert!(reader.finish().is_none());
        }
    }
}
