//! Folding the events of an answer into one object, and playing a stored answer back.

use shared_types::{
    cache::{AnswerPiece, StoredAnswer},
    chat::{ChatAnswer, Citation},
    event::{AnswerEvent, Delta, Done, Meta},
    problem::Problem,
};

/// Gathers the events of one answer.
#[derive(Debug, Default)]
pub struct Collector {
    pieces: Vec<AnswerPiece>,
    text_bytes: usize,
    end: Option<Result<Done, Problem>>,
}

impl Collector {
    /// A collector that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event. `meta` is not part of an answer; nothing counts after the end.
    pub fn push(&mut self, event: AnswerEvent) {
        if self.end.is_some() {
            return;
        }
        match event {
            AnswerEvent::Meta(_) => {}
            AnswerEvent::Delta(Delta { text }) => {
                self.text_bytes += text.len();
                if let Some(AnswerPiece::Text(last)) = self.pieces.last_mut() {
                    last.push_str(&text);
                } else {
                    self.pieces.push(AnswerPiece::Text(text));
                }
            }
            AnswerEvent::Citation(citation) => {
                self.text_bytes += citation.quote.len();
                self.pieces.push(AnswerPiece::Citation(citation));
            }
            AnswerEvent::Done(done) => self.end = Some(Ok(done)),
            AnswerEvent::Error(problem) => self.end = Some(Err(problem)),
        }
    }

    /// Whether `done` or `error` has come.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.end.is_some()
    }

    /// The complete answer, the problem that ended it, or `None` where the stream broke off.
    #[must_use]
    pub fn finish(self) -> Option<Result<StoredAnswer, Problem>> {
        self.end.map(|end| {
            end.map(|done| StoredAnswer {
                pieces: self.pieces,
                confidence: done.confidence,
                finish_reason: done.finish_reason,
                usage: done.usage,
                curated_by: done.curated_by,
            })
        })
    }
}

/// The events of a stored answer, after `meta`.
#[must_use]
pub fn replay(answer: &StoredAnswer) -> Vec<AnswerEvent> {
    let pieces = answer.pieces.iter().map(|piece| match piece {
        AnswerPiece::Text(text) => AnswerEvent::Delta(Delta { text: text.clone() }),
        AnswerPiece::Citation(citation) => AnswerEvent::Citation(citation.clone()),
    });
    let done = AnswerEvent::Done(Done {
        finish_reason: answer.finish_reason,
        confidence: answer.confidence,
        usage: answer.usage,
        curated_by: answer.curated_by.clone(),
        model_first_token_ms: None,
        model_total_ms: None,
    });
    pieces.chain([done]).collect()
}

/// The answer as it is written down: its text with ` [n]` where citation `n` stands, and each citation once, in order.
#[must_use]
pub fn written(answer: &StoredAnswer) -> (String, Vec<Citation>) {
    let mut text = String::new();
    let mut citations = Vec::new();
    for piece in &answer.pieces {
        match piece {
            AnswerPiece::Text(more) => text.push_str(more),
            AnswerPiece::Citation(citation) => {
                text.extend([" [", &citation.marker.to_string(), "]"]);
                if !citations.contains(citation) {
                    let is_before = |other: &Citation| other.marker <= citation.marker;
                    let place = citations.partition_point(is_before);
                    citations.insert(place, citation.clone());
                }
            }
        }
    }
    (text, citations)
}

/// The whole answer as one object, as [`written`].
#[must_use]
pub fn chat_answer(meta: Meta, answer: &StoredAnswer) -> ChatAnswer {
    let (text, citations) = written(answer);
    ChatAnswer {
        request_id: meta.request_id,
        answer_id: meta.answer_id,
        turn: meta.turn,
        answer: text,
        citations,
        sources: meta.sources,
        confidence: answer.confidence,
        finish_reason: answer.finish_reason,
        usage: answer.usage,
        curated_by: answer.curated_by.clone(),
        cache: meta.cache,
        degraded: meta.degraded,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use shared_types::{
        chat::{CacheOutcome, CacheReport, Citation, FinishReason, Usage},
        ids::{ChunkId, DocumentId, RequestId},
        problem::ProblemKind,
    };
    use uuid::Uuid;

    pub(crate) fn delta(text: &str) -> AnswerEvent {
        AnswerEvent::Delta(Delta { text: text.into() })
    }

    pub(crate) fn citation(marker: u32) -> AnswerEvent {
        AnswerEvent::Citation(Citation {
            marker,
            chunk_id: ChunkId(Uuid::nil()),
            document_id: DocumentId(Uuid::nil()),
            document_title: "Pedalling".into(),
            page: 4,
            quote: "Change the pedal after the chord.".into(),
            start_char: 120,
            end_char: 153,
            areas: vec![[850, 4_100, 3_020, 4_230]],
        })
    }

    pub(crate) fn done() -> AnswerEvent {
        AnswerEvent::Done(Done {
            finish_reason: FinishReason::Complete,
            confidence: 0.9,
            usage: Usage::default(),
            curated_by: None,
            model_first_token_ms: None,
            model_total_ms: None,
        })
    }

    fn collect(
        events: impl IntoIterator<Item = AnswerEvent>,
    ) -> Option<Result<StoredAnswer, Problem>> {
        let mut collector = Collector::new();
        events.into_iter().for_each(|event| collector.push(event));
        collector.finish()
    }

    #[test]
    fn a_stored_answer_plays_back_as_it_was() {
        let stored = collect([delta("Change "), delta("late."), citation(1), done()])
            .unwrap()
            .unwrap();
        assert_eq!(collect(replay(&stored)).unwrap().unwrap(), stored);
        assert!(stored.is_storable());
    }

    #[test]
    fn only_an_answer_that_reached_its_end_is_an_answer() {
        assert!(collect([delta("Change ")]).is_none());
        let problem = Problem::new(ProblemKind::AnswerInterrupted);
        let broken = collect([
            delta("Change "),
            AnswerEvent::Error(problem.clone()),
            done(),
        ]);
        assert_eq!(broken, Some(Err(problem)));
        let blank = collect([delta(" "), done()]).unwrap().unwrap();
        assert!(!blank.is_storable());
    }

    #[test]
    fn json_shows_markers_in_the_text_and_each_citation_once() {
        let stored = collect([
            delta("One."),
            citation(1),
            delta(" Two."),
            citation(1),
            done(),
        ]);
        let report = CacheReport {
            scope: CacheOutcome::Hit,
            search: CacheOutcome::Hit,
            embedding: CacheOutcome::Skipped,
            answer: CacheOutcome::Hit,
        };
        let meta = Meta {
            request_id: RequestId(Uuid::nil()),
            answer_id: None,
            turn: None,
            cache: report,
            sources: vec![],
            degraded: vec![],
            resumed: false,
        };
        let answer = chat_answer(meta, &stored.unwrap().unwrap());
        assert_eq!(answer.answer, "One. [1] Two. [1]");
        assert_eq!(answer.citations.len(), 1);
    }
}
