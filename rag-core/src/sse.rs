//! An incremental decoder of server-sent events, for bytes that arrive in any pieces.
//!
//! Source: the event stream format of the HTML standard, without `retry`, which nobody here uses.

use thiserror::Error;

/// The most bytes that one event may have.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// One event. The name of an unnamed event is `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field.
    pub name: String,
    /// The `data` lines, joined by line feeds.
    pub data: String,
    /// The last `id` up to this event; empty where there was none.
    pub id: String,
}

/// Why a stream is not read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SseError {
    /// An event exceeds [`MAX_EVENT_BYTES`].
    #[error("an event is longer than {MAX_EVENT_BYTES} bytes")]
    TooLong,
}

/// Decodes a stream. What follows the last blank line is not an event: a cut stream loses its tail.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    name: String,
    data: String,
    id: String,
    has_data: bool,
    after_carriage_return: bool,
    started: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and returns the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, SseError> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let after_carriage_return = std::mem::take(&mut self.after_carriage_return);
            if after_carriage_return && piece == b"\n" {
                continue;
            }
            let (line, end) = match piece {
                [line @ .., end @ (b'\n' | b'\r')] => (line, Some(*end)),
                unfinished => (unfinished, None),
            };
            if self.line.len() + line.len() + self.data.len() > MAX_EVENT_BYTES {
                return Err(SseError::TooLong);
            }
            self.line.extend_from_slice(line);
            if let Some(end) = end {
                self.after_carriage_return = end == b'\r';
                events.extend(self.end_line());
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let mut bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = if self.started {
            &line
        } else {
            line.trim_start_matches('\u{feff}')
        };
        self.started = true;
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            _ => {}
        }
        bytes.clear();
        self.line = bytes;
        None
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data).then(|| SseEvent {
            name: if name.is_empty() {
                "message".to_owned()
            } else {
                name
            },
            data,
            id: self.id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = "\u{feff}: hello\r\nevent: delta\r\ndata: {\"text\":\"Händel\"}\r\n\r\n\
        data: one\ndata:two\n\nevent: ping\n\nevent: done\ndata: {}\n\ndata: cut"
        .as_bytes();

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent {
            name: name.into(),
            data: data.into(),
            id: String::new(),
        }
    }

    #[test]
    fn an_id_holds_until_the_next_one() {
        let stream = b"data: a\n\nid: 1-0-7\ndata: b\n\ndata: c\n\nid\ndata: d\n\nid: 2\ndata: cut";
        let events = Decoder::new().push(stream).unwrap();
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["", "1-0-7", "1-0-7", ""]);
    }

    #[test]
    fn comments_and_cut_tails_are_not_events() {
        let events = Decoder::new().push(STREAM).unwrap();
        let expected = [
            event("delta", "{\"text\":\"Händel\"}"),
            event("message", "one\ntwo"),
            event("done", "{}"),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut decoder = Decoder::new();
        assert_eq!(
            decoder.push(&vec![b'a'; MAX_EVENT_BYTES + 1]),
            Err(SseError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn where_the_network_cuts_the_bytes_does_not_matter(cuts in prop::collection::vec(0..STREAM.len(), 0..9)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::new();
            let mut events = Vec::new();
            for pair in cuts.windows(2) {
                events.extend(decoder.push(&STREAM[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(events, Decoder::new().push(STREAM).unwrap());
        }
    }
}
