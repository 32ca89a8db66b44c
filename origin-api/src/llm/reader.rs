//! From the bytes of a model's stream to [`ModelEvent`]s, whatever the model.

use super::{ModelError, ModelEvent, Quote};
use rag_core::sse::{Decoder, SseEvent};
use serde::de::DeserializeOwned;
use shared_types::chat::{FinishReason, Usage};

/// Text and quotes of one answer at most, in bytes; the limit on tokens keeps answers far below.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// One stream at most, in bytes, with all that is passed over.
const MAX_STREAM_BYTES: usize = 8 * 1024 * 1024;

/// What one kind of model means by the events of its stream.
pub trait Meaning: Send {
    /// Tells `heard` what `event` says. Is not called after the end of an answer or an error.
    fn event(&mut self, event: &SseEvent, heard: &mut Heard) -> Result<(), ModelError>;
}

/// What has been heard of one answer.
#[derive(Debug, Default)]
pub struct Heard {
    events: Vec<ModelEvent>,
    usage: Usage,
    bytes: usize,
    begun: bool,
    ended: bool,
}

impl Heard {
    /// The model has begun to speak, though it has said nothing yet.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// More text, if it is any.
    pub fn text(&mut self, text: String) -> Result<(), ModelError> {
        self.grow(text.len())?;
        if !text.is_empty() {
            self.begun = true;
            self.events.push(ModelEvent::Text(text));
        }
        Ok(())
    }

    /// The text since the last such call rests on `quotes`, whose words have been counted.
    pub fn cited(&mut self, quotes: Vec<Quote>) {
        self.events.push(ModelEvent::Cited(quotes));
    }

    /// What was counted last; nothing at first.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The call has used so much by now.
    pub fn count(&mut self, usage: Usage) {
        if usage != self.usage {
            self.usage = usage;
            self.events.push(ModelEvent::Counted(usage));
        }
    }

    /// The answer is complete.
    pub fn end(&mut self, finish_reason: FinishReason) {
        self.begun = true;
        self.ended = true;
        self.events.push(ModelEvent::End {
            finish_reason,
            usage: self.usage,
        });
    }

    /// Counts so many bytes of text or quotes.
    pub fn grow(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(ModelError::TooLong);
        }
        Ok(())
    }
}

/// What some bytes amounted to.
#[derive(Debug)]
pub struct Step {
    /// What they said, in order.
    pub events: Vec<ModelEvent>,
    /// The failure after those events; nothing is to be read after it.
    pub outcome: Result<(), ModelError>,
}

/// Reads the event stream of one answer.
pub struct AnswerReader {
    decoder: Decoder,
    meaning: Box<dyn Meaning>,
    heard: Heard,
    stream_bytes: usize,
}

impl AnswerReader {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new(meaning: impl Meaning + 'static) -> Self {
        Self {
            decoder: Decoder::new(),
            meaning: Box::new(meaning),
            heard: Heard::default(),
            stream_bytes: 0,
        }
    }

    /// Whether the model has begun to speak.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.heard.begun
    }

    /// Whether the answer is complete; what comes after is passed over.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.heard.ended
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) -> Step {
        let outcome = self.read(bytes);
        Step {
            events: std::mem::take(&mut self.heard.events),
            outcome,
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.stream_bytes += bytes.len();
        if self.stream_bytes > MAX_STREAM_BYTES {
            return Err(ModelError::TooLong);
        }
        for event in self.decoder.push(bytes)? {
            if self.heard.ended {
                break;
            }
            self.meaning.event(&event, &mut self.heard)?;
        }
        Ok(())
    }
}

/// The data of an event, in the shape that its kind has.
pub(super) fn parse<T: DeserializeOwned>(event: &SseEvent) -> Result<T, ModelError> {
    serde_json::from_str(&event.data).map_err(ModelError::Malformed)
}
