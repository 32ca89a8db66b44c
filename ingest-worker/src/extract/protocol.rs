//! What a child that reads pages says on its standard output: frames, each a [`Message`].
//!
//! A frame is the message's length in four bytes, the lowest first, and the message as
//! [postcard](https://postcard.jamesmunns.com/wire-format) writes it: a header, the pages, a trailer.
//!
//! The child reads hostile files, so the parent trusts nothing here: frames and totals are bounded, pages
//! come in order and once, and a stream without its trailer is no document. A child that is asked for some
//! pages says those and no other.

use crate::layout::RawPage;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest message: a page of 100,000 words stays below it.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// All messages of one document together. A dense page takes about 8 KiB, so 2,000 of them pass.
pub const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// What one frame says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

impl Message {
    /// Its frame.
    pub fn to_frame(&self) -> Result<Vec<u8>, postcard::Error> {
        let mut frame = postcard::to_extend(self, vec![0; size_of::<u32>()])?;
        // No process that reads a file has 4 GiB.
        let length = (frame.len() - size_of::<u32>()) as u32;
        frame[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
        Ok(frame)
    }

    fn read(bytes: &[u8]) -> Result<Self, postcard::Error> {
        match postcard::take_from_bytes(bytes)? {
            (message, []) => Ok(message),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }
}

/// A number of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Pages in the document, or pages that were asked for.
    pub pages: u32,
}

/// Why the child refuses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why what a child says is not a document.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// Not a [`Message`].
    #[error("a frame is not a message of the extraction protocol")]
    Message(#[from] postcard::Error),
    /// Not the JSON that a child without pages writes.
    #[error("the output is not a document of the extraction protocol")]
    Json(#[from] serde_json::Error),
    /// A message that may not stand here.
    #[error("a message came out of order")]
    Order,
    /// More than [`MAX_TOTAL_BYTES`].
    #[error("the document holds more text than is accepted")]
    TooMuch,
}

/// Which pages are to come.
#[derive(Clone, Debug)]
enum Wanted {
    /// All of a document that has so many at most.
    All(u32),
    /// Those of these numbers, in this order.
    Some(Vec<u32>),
}

impl Wanted {
    fn allows(&self, pages: u32) -> bool {
        match self {
            Self::All(most) => pages <= *most,
            Self::Some(numbers) => numbers.len() == pages as usize,
        }
    }

    /// The number of the page that comes after so many.
    fn after(&self, pages: u32) -> Option<u32> {
        match self {
            Self::All(_) => pages.checked_add(1),
            Self::Some(numbers) => numbers.get(pages as usize).copied(),
        }
    }
}

/// Checks messages, and says which pages they hold.
#[derive(Debug)]
pub struct Reader {
    wanted: Wanted,
    /// Pages that were announced.
    announced: Option<u32>,
    /// Pages that have come.
    read: u32,
    bytes: usize,
    done: bool,
    refusal: Option<Refusal>,
}

impl Reader {
    /// A reader of a document of so many pages at most.
    #[must_use]
    pub fn new(max_pages: u32) -> Self {
        Self::of(Wanted::All(max_pages))
    }

    /// A reader of the pages of these numbers, in this order.
    #[must_use]
    pub fn of_pages(numbers: &[u32]) -> Self {
        Self::of(Wanted::Some(numbers.to_vec()))
    }

    fn of(wanted: Wanted) -> Self {
        Self {
            wanted,
            announced: None,
            read: 0,
            bytes: 0,
            done: false,
            refusal: None,
        }
    }

    /// Takes one message, a frame without its length: the page that it holds, if it holds one.
    pub fn message(&mut self, bytes: &[u8]) -> Result<Option<RawPage>, ProtocolError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(ProtocolError::TooMuch);
        }
        if self.done || self.refusal.is_some() {
            return Err(ProtocolError::Order);
        }
        match (Message::read(bytes)?, self.announced) {
            (Message::Header(count), None) if self.wanted.allows(count.pages) => {
                self.announced = Some(count.pages);
            }
            (Message::Page(page), Some(pages))
                if self.read < pages
                    && self.wanted.after(self.read) == Some(page.page)
                    && page.is_plausible() =>
            {
                self.read += 1;
                return Ok(Some(page));
            }
            (Message::Trailer(count), Some(pages))
                if count.pages == pages && self.read == pages =>
            {
                self.done = true;
            }
            (Message::Refused(refusal), None) => self.refusal = Some(refusal),
            _ => return Err(ProtocolError::Order),
        }
        Ok(None)
    }

    /// So many pages at most.
    pub(super) fn max_pages(&self) -> u32 {
        match &self.wanted {
            Wanted::All(most) => *most,
            Wanted::Some(numbers) => numbers.len() as u32,
        }
    }

    /// Pages read so far, and pages announced (0 before the header).
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        (self.read, self.announced.unwrap_or(0))
    }

    /// Whether the stream is complete, or the child's refusal; `None` where the trailer never came.
    #[must_use]
    pub fn finish(self) -> Option<Result<(), Refusal>> {
        match (self.refusal, self.done) {
            (Some(refusal), _) => Some(Err(refusal)),
            (None, true) => Some(Ok(())),
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
            ..RawPage::default()
        })
    }

    fn read(messages: &[Message]) -> Result<Reader, ProtocolError> {
        read_with(Reader::new(2_000), messages).map(|(reader, _)| reader)
    }

    /// The numbers of the pages as well.
    fn read_with(
        mut reader: Reader,
        messages: &[Message],
    ) -> Result<(Reader, Vec<u32>), ProtocolError> {
        let mut numbers = Vec::new();
        for message in messages {
            let page = reader.message(&message.to_frame()?[4..])?;
            numbers.extend(page.map(|page| page.page));
        }
        Ok((reader, numbers))
    }

    #[test]
    fn a_complete_stream_is_a_document() {
        let two = Count { pages: 2 };
        let messages = [
            Message::Header(two),
            page(1),
            page(2),
            Message::Trailer(two),
        ];
        let (reader, pages) = read_with(Reader::new(2_000), &messages).unwrap();
        assert_eq!(reader.progress(), (2, 2));
        assert_eq!(reader.finish(), Some(Ok(())));
        assert_eq!(pages, [1, 2]);
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

    #[test]
    fn of_pages_that_were_asked_for_all_come_and_no_other() {
        let asked = [3, 7];
        let told = |numbers: &[u32]| {
            let count = Count {
                pages: numbers.len() as u32,
            };
            let messages: Vec<_> = std::iter::once(Message::Header(count))
                .chain(numbers.iter().map(|number| page(*number)))
                .chain([Message::Trailer(count)])
                .collect();
            read_with(Reader::of_pages(&asked), &messages)
        };
        let (reader, pages) = told(&[3, 7]).unwrap();
        assert_eq!(reader.progress(), (2, 2));
        assert_eq!(reader.finish(), Some(Ok(())));
        assert_eq!(pages, asked);
        for others in [&[3][..], &[7, 3], &[3, 3], &[3, 8], &[3, 7, 8], &[1, 2]] {
            assert!(matches!(told(others), Err(ProtocolError::Order)));
        }
    }

    #[test]
    fn nothing_is_surer_than_sure_and_no_page_is_endless() {
        let sure = RawPage {
            page: 1,
            confidence: Some(101),
            ..RawPage::default()
        };
        let endless = RawPage {
            page: 1,
            height: f32::INFINITY,
            ..RawPage::default()
        };
        for page in [sure, endless] {
            let messages = [Message::Header(Count { pages: 1 }), Message::Page(page)];
            assert!(matches!(read(&messages), Err(ProtocolError::Order)));
        }
    }

    #[test]
    fn a_message_that_goes_on_behind_its_end_is_none() {
        let mut header = Message::Header(Count { pages: 1 })
            .to_frame()
            .unwrap()
            .split_off(4);
        header.push(0);
        let read = Reader::new(2_000).message(&header);
        assert!(matches!(read, Err(ProtocolError::Message(_))));
    }

    proptest! {
        #[test]
        fn no_order_of_messages_gives_other_pages_than_those_asked_for(
            asked in prop::collection::btree_set(1_u32..9, 1..4),
            told in prop::collection::vec((0_u8..3, 0_u32..9), 0..8),
        ) {
            let asked: Vec<u32> = asked.into_iter().collect();
            let messages: Vec<Message> = told
                .into_iter()
                .map(|(kind, number)| match kind {
                    0 => Message::Header(Count { pages: number }),
                    1 => page(number),
                    _ => Message::Trailer(Count { pages: number }),
                })
                .collect();
            if let Ok((reader, pages)) = read_with(Reader::of_pages(&asked), &messages)
                && reader.finish() == Some(Ok(()))
            {
                prop_assert_eq!(pages, asked);
            }
        }

        #[test]
        fn foreign_messages_never_panic(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8),
        ) {
            let mut reader = Reader::new(2_000);
            for message in messages {
                let _ = reader.message(&message);
            }
            prop_assert!(reader.finish().is_none());
        }
    }
}
