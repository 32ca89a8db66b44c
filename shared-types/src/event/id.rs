//! The `id` of each event of an answer: how far it has been told by then.
//!
//! An id says nothing of who told it. Whoever tells the same answer again, from a cache or from a model's stream and cut
//! into other pieces, comes by the same ids at the same places; where another answer is told, they differ.

use super::AnswerEvent;
use std::{fmt, hash::Hasher, str::FromStr};
use thiserror::Error;
use twox_hash::XxHash64;

/// How far an answer has been told behind one of its events. On the wire: three decimal numbers, joined by hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// Bytes of text.
    pub text_bytes: u32,
    /// Citations.
    pub citations: u32,
    /// A sum over both, in their order. It tells answers apart, and is no secret.
    sum: u32,
}

/// Not an id of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the id of an event of an answer")]
pub struct EventIdError;

/// Counts what is told.
#[derive(Clone, Debug)]
pub struct Progress {
    text_bytes: usize,
    citations: usize,
    sum: XxHash64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            text_bytes: 0,
            citations: 0,
            sum: XxHash64::with_seed(0),
        }
    }
}

impl Progress {
    /// Adds an event of the answer. Only text and citations bring it forward.
    pub fn tell(&mut self, event: &AnswerEvent) {
        match event {
            AnswerEvent::Delta(delta) => self.tell_text(&delta.text),
            AnswerEvent::Citation(citation) => {
                self.citations += 1;
                // No text holds this byte.
                self.sum.write(&[0xff]);
                self.sum.write(citation.chunk_id.0.as_bytes());
                for number in [
                    citation.marker,
                    citation.page,
                    citation.start_char,
                    citation.end_char,
                ] {
                    self.sum.write(&number.to_le_bytes());
                }
            }
            AnswerEvent::Meta(_) | AnswerEvent::Done(_) | AnswerEvent::Error(_) => {}
        }
    }

    /// Adds text of the answer.
    pub fn tell_text(&mut self, text: &str) {
        self.text_bytes += text.len();
        self.sum.write(text.as_bytes());
    }

    /// The id of the event that was told last.
    #[must_use]
    pub fn id(&self) -> EventId {
        EventId {
            text_bytes: self.text_bytes as u32,
            citations: self.citations as u32,
            sum: self.sum.finish() as u32,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.text_bytes, self.citations, self.sum)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;
    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let mut numbers = text.split('-').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten().ok_or(EventIdError);
        let id = Self {
            text_bytes: next()?,
            citations: next()?,
            sum: next()?,
        };
        match numbers.next() {
            None => Ok(id),
            Some(_) => Err(EventIdError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Delta;

    fn told(pieces: &[&str]) -> EventId {
        let mut progress = Progress::default();
        for text in pieces {
            let text = (*text).to_owned();
            progress.tell(&AnswerEvent::Delta(Delta { text }));
        }
        progress.id()
    }

    #[test]
    fn the_same_words_have_the_same_id_however_they_are_cut() {
        assert_eq!(
            told(&["Lift the ", "pedal", "."]),
            told(&["Lift the pedal."])
        );
        assert_ne!(told(&["Lift the pedal."]), told(&["Hold the pedal."]));
        assert_ne!(told(&["Lift"]), told(&["Lift", " late"]));
    }

    #[test]
    fn an_id_reads_back_from_its_own_text_and_nothing_else_is_one() {
        let id = told(&["Händel"]);
        assert_eq!(id.text_bytes, 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "7",
            "7-0",
            "7-0-1-2",
            "7-0-",
            "-7-0-1",
            "7-0-x",
            "7-0-4294967296",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text:?}");
        }
    }
}
