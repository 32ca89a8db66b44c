//! W3C Trace Context: the header that ties what several processes do for one request together.
//!
//! Source: <https://www.w3.org/TR/trace-context/>. `tracestate` is not passed on: nobody here writes one.

use crate::ids::RequestId;
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The longest `traceparent` that is read: one of a later version may go on after the known fields.
const MAX_BYTES: usize = 256;

/// A `traceparent`: which trace a call belongs to, and which span made it. Neither id is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    is_sampled: bool,
}

/// The text is not a `traceparent`; the sender's trace ends here and another begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a traceparent of the W3C Trace Context")]
pub struct TraceParentError;

impl TraceParent {
    /// A trace that begins with this request, sampled by nobody yet. Request ids are random, so the
    /// trace takes its id from there, and the request can be found by either.
    #[must_use]
    pub fn beginning(request_id: RequestId) -> Self {
        Self {
            trace_id: request_id.0.as_u128().max(1),
            parent_id: span_of(request_id),
            is_sampled: false,
        }
    }

    /// The same trace one hop further: calls that this request makes name it as their parent.
    #[must_use]
    pub fn continued(self, request_id: RequestId) -> Self {
        Self {
            parent_id: span_of(request_id),
            ..self
        }
    }

    /// The same trace within one stage of this request: a call that belongs to the stage names it as its parent. The stage's
    /// span has the id that its name makes of the request's, so that whoever writes the spans down later finds the same.
    #[must_use]
    pub fn within(self, stage: &str) -> Self {
        const FNV_PRIME: u64 = 0x0100_0000_01b3;
        let step = |id: u64, byte| (id ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        Self {
            parent_id: stage.bytes().fold(self.parent_id, step).max(1),
            ..self
        }
    }

    /// From its parts; none where an id is zero.
    #[must_use]
    pub fn new(trace_id: u128, parent_id: u64, is_sampled: bool) -> Option<Self> {
        (trace_id != 0 && parent_id != 0).then_some(Self {
            trace_id,
            parent_id,
            is_sampled,
        })
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace(self) -> u128 {
        self.trace_id
    }

    /// The id of the span that makes the call.
    #[must_use]
    pub fn span(self) -> u64 {
        self.parent_id
    }

    /// Whether the caller keeps the trace.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }

    /// The trace's id, 32 lower-case hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

/// The random half of a request's id.
fn span_of(request_id: RequestId) -> u64 {
    (request_id.0.as_u128() as u64).max(1)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.parent_id
        )
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        if text.len() > MAX_BYTES {
            return Err(TraceParentError);
        }
        let mut fields = text.split('-');
        let version = hex(fields.next(), 2)?;
        let trace_id = hex(fields.next(), 32)?;
        let parent_id = hex(fields.next(), 16)?;
        let flags = hex(fields.next(), 2)?;
        let is_known = match version {
            0 => fields.next().is_none(),
            // Of a later version the fields that we know stand first.
            1..=0xfe => true,
            _ => false,
        };
        if !is_known || trace_id == 0 || parent_id == 0 {
            return Err(TraceParentError);
        }
        Ok(Self {
            trace_id,
            parent_id: parent_id as u64,
            is_sampled: flags & 1 == 1,
        })
    }
}

/// A field of so many lower-case hex digits.
fn hex(field: Option<&str>, digits: usize) -> Result<u128, TraceParentError> {
    field
        .filter(|text| text.len() == digits)
        .filter(|text| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        .and_then(|text| u128::from_str_radix(text, 16).ok())
        .ok_or(TraceParentError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn request(id: u128) -> RequestId {
        RequestId(Uuid::from_u128(id))
    }

    #[test]
    fn a_trace_goes_on_under_its_id_and_its_sampling() {
        let sent: TraceParent = SENT.parse().unwrap();
        assert_eq!(sent.to_string(), SENT);
        let next = sent.continued(request(0xabc));
        assert_eq!(
            next.to_string(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01"
        );
        assert_eq!(next.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn each_stage_of_a_request_is_a_span_of_its_own_and_always_the_same() {
        let request: TraceParent = SENT.parse().unwrap();
        let stages = ["scope", "retrieve", "answer"].map(|stage| request.within(stage));
        assert_eq!(request.within("scope"), stages[0]);
        assert!(stages.iter().all(|stage| stage.trace() == request.trace()));
        let mut spans: Vec<u64> = stages.iter().map(|stage| stage.span()).collect();
        spans.push(request.span());
        spans.sort_unstable();
        spans.dedup();
        assert_eq!(spans.len(), 4);
    }

    #[test]
    fn a_request_without_a_trace_begins_one_that_can_be_found_by_its_id() {
        let request_id = request(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
        let begun = TraceParent::beginning(request_id);
        assert_eq!(begun.trace_id(), request_id.0.simple().to_string());
        assert_eq!(begun.to_string().parse(), Ok(begun));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = SENT.replacen("00", "cc", 1) + "-what-the-future-will-be-like";
        assert_eq!(later.parse::<TraceParent>(), SENT.parse());
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let wrong = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for text in wrong {
            assert_eq!(text.parse::<TraceParent>(), Err(TraceParentError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<TraceParent>();
        }

        #[test]
        fn what_is_written_is_read_back(trace_id in 1u128.., parent_id in 1u64.., is_sampled: bool) {
            let written = TraceParent { trace_id, parent_id, is_sampled };
            prop_assert_eq!(written.to_string().parse(), Ok(written));
        }
    }
}
