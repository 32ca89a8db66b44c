//! A live answer on its way from the origin to the browser, watched as it passes.
//!
//! Only whole events are passed on, so that an `error` event can follow at any point. Only an
//! answer that reached `done` is kept: a stream that was cut looks like one that ended.

use super::conversation::Place;
use crate::{
    config::Timeouts,
    gateway::{cached::Slot, exchange::Exchange},
    ports::{ByteStream, Host, PortError, Severity},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::{self, LocalBoxStream},
};
use rag_core::{answer::Collector, sse::Decoder};
use shared_types::{
    cache::StoredAnswer,
    event::{AnswerEvent, EventError, EventId, Meta},
    ids::RequestId,
    problem::{Problem, ProblemKind},
};
use std::{pin::pin, rc::Rc};

/// A comment: proxies see life, clients see nothing.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";
/// How long the origin may take to end a body that has said all.
const END_MS: u32 = 500;
/// The most bytes of one answer; far above what a model may write.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// An answer under way. Dropping it lets go of the origin's work on it.
pub struct Relay<H> {
    host: Rc<H>,
    request_id: RequestId,
    timeouts: Timeouts,
    body: ByteStream,
    decoder: Decoder,
    collector: Collector,
    /// Where a complete answer is kept.
    slot: Option<Slot<StoredAnswer>>,
    /// Where it is written down.
    place: Option<Place>,
    /// What is held back, where its reader knows the beginning.
    resumption: Option<Box<Resumption>>,
    /// The bytes of an event that has not ended.
    unfinished: Vec<u8>,
    received_bytes: usize,
    silent_ms: u32,
    end: Option<Result<StoredAnswer, Problem>>,
    /// Whether the origin itself told the end.
    is_told: bool,
}

impl<H: Host> Relay<H> {
    /// A relay of `body`, which keeps a complete answer in `slot` and has it written down at `place`.
    pub fn new(
        exchange: &Exchange<H>,
        body: ByteStream,
        slot: Option<Slot<StoredAnswer>>,
        place: Option<Place>,
    ) -> Self {
        Self {
            host: Rc::clone(&exchange.host),
            request_id: exchange.request_id,
            timeouts: exchange.config.timeouts,
            body,
            decoder: Decoder::new(),
            collector: Collector::new(),
            slot,
            place,
            resumption: None,
            unfinished: Vec::new(),
            received_bytes: 0,
            silent_ms: 0,
            end: None,
            is_told: false,
        }
    }

    /// The events as text: `meta`, then what comes. The last one is `done` or `error`. To a reader who was `told` a
    /// beginning, nothing is told before it is known whether this goes on from there.
    pub fn into_stream(
        mut self,
        meta: Meta,
        told: Option<EventId>,
    ) -> LocalBoxStream<'static, Bytes> {
        let opening = match told {
            Some(told) => {
                // Boxed: it is rare, and every stream would carry it.
                self.resumption = Some(Box::new(Resumption::new(meta, told)));
                None
            }
            None => Some(Bytes::from(AnswerEvent::Meta(meta).to_sse())),
        };
        let opening = stream::iter(opening);
        let rest = stream::unfold(self, |mut relay| async {
            let bytes = relay.next().await?;
            Some((bytes, relay))
        });
        opening.chain(rest).boxed_local()
    }

    /// The whole answer, or the problem that ended it.
    pub async fn into_answer(mut self) -> Result<StoredAnswer, Problem> {
        while self.next().await.is_some() {}
        self.end
            .unwrap_or_else(|| Err(Problem::new(ProblemKind::Internal)))
    }

    /// The next whole events, or a sign of life; `None` after the last.
    async fn next(&mut self) -> Option<Bytes> {
        while self.end.is_none() {
            let whole = match self.receive().await {
                Received::Bytes(bytes) => match self.take(&bytes) {
                    Ok(whole) => whole,
                    Err(cause) => return Some(self.interrupt(&cause)),
                },
                Received::Silence => {
                    self.silent_ms += self.timeouts.keep_alive_ms;
                    if self.silent_ms >= self.timeouts.answer_silence_ms {
                        let cause = PortError::TimedOut(self.silent_ms);
                        return Some(self.interrupt(&cause.to_string()));
                    }
                    return Some(Bytes::from_static(KEEP_ALIVE));
                }
                Received::Broken(error) => return Some(self.interrupt(&error.to_string())),
                Received::End => return Some(self.interrupt("the stream ended without an end")),
            };
            if self.collector.ended() {
                self.conclude();
            }
            let whole = self.resume(whole);
            if !whole.is_empty() {
                return Some(whole);
            }
        }
        if self.is_told {
            self.see_out().await;
        }
        None
    }

    /// Waits for the end of a body that has said all. A connection that is let go before is lost to the next call, and
    /// to break it off costs as much as two reads of KV.
    async fn see_out(&mut self) {
        let patience = pin!(self.host.sleep(END_MS));
        select(self.body.next(), patience).await;
    }

    async fn receive(&mut self) -> Received {
        let silence = pin!(self.host.sleep(self.timeouts.keep_alive_ms));
        match select(self.body.next(), silence).await {
            Either::Left((Some(Ok(bytes)), _)) => Received::Bytes(bytes),
            Either::Left((Some(Err(error)), _)) => Received::Broken(error),
            Either::Left((None, _)) => Received::End,
            Either::Right(_) => Received::Silence,
        }
    }

    /// Reads what came, and returns the events that are whole by now.
    fn take(&mut self, bytes: &Bytes) -> Result<Bytes, String> {
        self.silent_ms = 0;
        self.received_bytes += bytes.len();
        if self.received_bytes > MAX_ANSWER_BYTES {
            return Err("the answer is too long".to_owned());
        }
        for event in self
            .decoder
            .push(bytes)
            .map_err(|error| error.to_string())?
        {
            if let Some(resumption) = &mut self.resumption {
                resumption.see(&event.id);
            }
            match AnswerEvent::parse_told(&event.name, &event.data) {
                Ok(event) => self.collector.push(event),
                // A newer origin may say more than this edge knows.
                Err(EventError::UnknownName(_)) => {}
                Err(error @ EventError::Data { .. }) => return Err(error.to_string()),
            }
        }
        if self.unfinished.is_empty() && ends_event(bytes) {
            return Ok(bytes.clone());
        }
        self.unfinished.extend_from_slice(bytes);
        let whole_bytes = (1..=self.unfinished.len())
            .rev()
            .find(|end| ends_event(&self.unfinished[..*end]))
            .unwrap_or(0);
        let rest = self.unfinished.split_off(whole_bytes);
        Ok(Bytes::from(std::mem::replace(&mut self.unfinished, rest)))
    }

    /// What is told of these whole events: nothing for as long as their reader may know them. A comment of the origin's is
    /// told at once, as a sign of life.
    fn resume(&mut self, whole: Bytes) -> Bytes {
        if whole.starts_with(b":") {
            return whole;
        }
        let Some(mut resumption) = self.resumption.take() else {
            return whole;
        };
        if let Some(known) = behind_known(&resumption.last_known, &whole) {
            return resumption.end(true, &whole[known..]);
        }
        match &self.end {
            // It broke off before it came to what is new: what its reader has, stands.
            Some(Err(problem)) if !resumption.is_another => {
                let end = AnswerEvent::Error(problem.clone()).to_sse();
                resumption.end(true, end.as_bytes())
            }
            None if !resumption.is_another => {
                resumption.held.extend_from_slice(&whole);
                self.resumption = Some(resumption);
                Bytes::new()
            }
            _ => {
                let held = std::mem::take(&mut resumption.held);
                resumption.end(false, &[&held, &*whole].concat())
            }
        }
    }

    fn conclude(&mut self) {
        let end = std::mem::take(&mut self.collector).finish();
        let end = end.unwrap_or_else(|| Err(Problem::new(ProblemKind::AnswerInterrupted)));
        if let (Ok(stored), Some(place)) = (&end, self.place.take()) {
            place.fill(&self.host, stored);
        }
        match &end {
            Ok(stored) if stored.is_storable() => {
                if let Some(slot) = self.slot.take() {
                    slot.fill(&self.host, stored);
                }
            }
            Ok(_) => {}
            Err(problem) => self.log("answer ended in an error", &problem.type_uri),
        }
        self.end = Some(end);
        self.is_told = true;
    }

    /// Ends the answer with an `error` event.
    fn interrupt(&mut self, cause: &str) -> Bytes {
        self.log("answer broke off", cause);
        let problem = Problem::new(ProblemKind::AnswerInterrupted).with_instance(self.request_id);
        let event = AnswerEvent::Error(problem.clone()).to_sse();
        self.end = Some(Err(problem));
        match self.resumption.take() {
            Some(resumption) => resumption.end(true, event.as_bytes()),
            None => Bytes::from(event),
        }
    }

    fn log(&self, message: &str, cause: &str) {
        let fields = [
            ("request_id", self.request_id.to_string().into()),
            ("error", cause.into()),
        ];
        self.host.log(Severity::Warning, message, &fields);
    }
}

/// An answer that is told again to a reader who knows its beginning.
struct Resumption {
    meta: Meta,
    /// The event that its reader was told last.
    told: EventId,
    /// How it begins.
    last_known: String,
    /// Whether more has been told than its reader knows, and not what he knows.
    is_another: bool,
    /// What may have to be told after all.
    held: Vec<u8>,
}

impl Resumption {
    fn new(meta: Meta, told: EventId) -> Self {
        Self {
            meta,
            told,
            is_another: false,
            last_known: format!("id: {told}\n"),
            held: Vec::new(),
        }
    }

    /// Takes note of an event's id. Ids only grow: one beyond the reader's last tells another answer, unless that came
    /// before it; and so does an event without one.
    fn see(&mut self, id: &str) {
        self.is_another |= id.parse().map_or(true, |id: EventId| {
            id.text_bytes > self.told.text_bytes || id.citations > self.told.citations
        });
    }

    fn end(mut self, resumed: bool, events: &[u8]) -> Bytes {
        self.meta.resumed = resumed;
        let meta = AnswerEvent::Meta(self.meta).to_sse();
        Bytes::from([meta.as_bytes(), events].concat())
    }
}

/// Bytes of these whole events up to the end of the one that begins with this line, where it is among them. An answer that
/// is told to many is cut alike for all of them.
fn behind_known(line: &str, whole: &[u8]) -> Option<usize> {
    let line = line.as_bytes();
    let at = whole.windows(line.len()).position(|bytes| bytes == line)?;
    let ends = |end: &usize| ends_event(&whole[..*end]);
    (at + line.len()..=whole.len()).find(ends)
}

enum Received {
    Bytes(Bytes),
    Silence,
    Broken(PortError),
    End,
}

/// Whether bytes end with the blank line that ends an event.
fn ends_event(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_ends_with_the_event_of_that_id_wherever_it_stands_among_others() {
        let events = [
            "id: 1-0-7\ndata: a\n\n",
            "id: 2-0-8\ndata: b\n\n",
            "id: 2-0-8\ndata: end\n\n",
        ];
        let whole = events.concat();
        let mut known = 0;
        for (id, event) in ["1-0-7", "2-0-8"].into_iter().zip(events) {
            known += event.len();
            let last_known = format!("id: {id}\n");
            assert_eq!(behind_known(&last_known, whole.as_bytes()), Some(known));
        }
        assert_eq!(behind_known("id: 1-0-77\n", whole.as_bytes()), None);
        assert_eq!(behind_known("id: 1-0-7\n", b""), None);
    }
}
