//! The server-sent events of an answer, and their text form.
//!
//! Order: `meta`, then any number of `delta` and `citation`, then exactly one `done` or `error`.
//! A `citation` refers to the text before it: its marker stands where the event stands.
//! Each that tells something new has an [`EventId`]; whoever was cut off asks again with the last one in `Last-Event-ID`.

mod id;

pub use id::{EventId, EventIdError, Progress};

use crate::{
    cache::AnswerId,
    chat::{CacheReport, Citation, Degradation, FinishReason, Source, Usage},
    conversation::Turn,
    feedback::CuratedBy,
    ids::RequestId,
    problem::Problem,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The media type of an event stream.
pub const EVENT_STREAM: &str = "text/event-stream";

/// First event: what is known before the model speaks. Written by the edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The request, to quote in a report.
    pub request_id: RequestId,
    /// Which answer this is, to have it purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_id: Option<AnswerId>,
    /// The question's place in a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// Where the parts came from.
    pub cache: CacheReport,
    /// The passages that the model is given, best first.
    pub sources: Vec<Source>,
    /// What failed on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<Degradation>,
    /// Whether the answer goes on behind the event that the caller named. Else it is told from its beginning, and what
    /// the caller has of it does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

/// More text of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// To be appended as it is.
    pub text: String,
}

/// Last event of a complete answer. Only an answer that reached it may be cached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Why the answer ended.
    pub finish_reason: FinishReason,
    /// 0 to 1.
    pub confidence: f64,
    /// Tokens read and written.
    pub usage: Usage,
    /// The teacher whose own answer it is, in place of one from the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curated_by: Option<CuratedBy>,
    /// Milliseconds from the origin's request to the model until its first text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_first_token_ms: Option<f64>,
    /// Milliseconds from the origin's request to the model until its last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_total_ms: Option<f64>,
}

/// One event of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerEvent {
    /// See [`Meta`].
    Meta(Meta),
    /// See [`Delta`].
    Delta(Delta),
    /// See [`Citation`].
    Citation(Citation),
    /// See [`Done`].
    Done(Done),
    /// Last event of an answer that broke off.
    Error(Problem),
}

/// Why a server-sent event is not an [`AnswerEvent`].
#[derive(Debug, Error)]
pub enum EventError {
    /// The name is none of ours.
    #[error("unknown event {0:?}")]
    UnknownName(String),
    /// The data is not the JSON of that event.
    #[error("the data of event {name:?} is not valid")]
    Data {
        /// The event's name.
        name: String,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
}

impl EventError {
    fn data(name: &str, source: serde_json::Error) -> Self {
        let name = name.to_owned();
        Self::Data { name, source }
    }
}

impl AnswerEvent {
    /// The event's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Meta(_) => "meta",
            Self::Delta(_) => "delta",
            Self::Citation(_) => "citation",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
        }
    }

    /// The event's data: one line of JSON.
    #[must_use]
    pub fn data(&self) -> String {
        let json = match self {
            Self::Meta(meta) => serde_json::to_string(meta),
            Self::Delta(delta) => serde_json::to_string(delta),
            Self::Citation(citation) => serde_json::to_string(citation),
            Self::Done(done) => serde_json::to_string(done),
            Self::Error(problem) => serde_json::to_string(problem),
        };
        // These types have string keys and finite numbers only, so they always serialise.
        json.unwrap_or_default()
    }

    /// The event as it goes over the wire, final blank line included.
    #[must_use]
    pub fn to_sse(&self) -> String {
        ["event: ", self.name(), "\ndata: ", &self.data(), "\n\n"].concat()
    }

    /// The same behind its id, where `progress` has told all before it.
    #[must_use]
    pub fn to_numbered_sse(&self, progress: &mut Progress) -> String {
        progress.tell(self);
        ["id: ", &progress.id().to_string(), "\n", &self.to_sse()].concat()
    }

    /// Reads the name and data of a server-sent event.
    pub fn parse(name: &str, data: &str) -> Result<Self, EventError> {
        match name {
            "meta" => serde_json::from_slice(data.as_bytes())
                .map(Self::Meta)
                .map_err(|source| EventError::data(name, source)),
            _ => Self::parse_told(name, data),
        }
    }

    /// Reads the name and data of an event of the origin's, which tells no `meta`. The reader of that would be two
    /// hundredths of the Worker, which only writes it.
    pub fn parse_told(name: &str, data: &str) -> Result<Self, EventError> {
        // As bytes, like everything that the Worker reads: a second reader of JSON would be 4 % of it.
        let data = data.as_bytes();
        let parsed = match name {
            "delta" => serde_json::from_slice(data).map(Self::Delta),
            "citation" => serde_json::from_slice(data).map(Self::Citation),
            "done" => serde_json::from_slice(data).map(Self::Done),
            "error" => serde_json::from_slice(data).map(Self::Error),
            _ => return Err(EventError::UnknownName(name.to_owned())),
        };
        parsed.map_err(|source| EventError::data(name, source))
    }
}

/// The events of an answer from its beginning, as they go over the wire.
#[must_use]
pub fn to_numbered_sse(events: &[AnswerEvent]) -> String {
    let mut progress = Progress::default();
    let events = events.iter();
    events
        .map(|event| event.to_numbered_sse(&mut progress))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_from_its_own_text() {
        let event = AnswerEvent::Delta(Delta {
            text: "Keep the wrist\nlevel.".into(),
        });
        let text = event.to_sse();
        assert_eq!(
            text,
            "event: delta\ndata: {\"text\":\"Keep the wrist\\nlevel.\"}\n\n"
        );
        assert_eq!(AnswerEvent::parse("delta", &event.data()).unwrap(), event);
        assert!(matches!(
            AnswerEvent::parse("ping", "{}"),
            Err(EventError::UnknownName(_))
        ));
        assert!(matches!(
            AnswerEvent::parse("done", "{}"),
            Err(EventError::Data { .. })
        ));
    }
}
