//! `POST /v1/answer` behind its handler: from passages and a question to the events of an answer.

mod telling;

use crate::{
    config::ModelConfig,
    error::ApiError,
    flight::{Flights, Part, Reader, Writer},
    llm::{AnswerModel, ModelError, Prompt, PromptPassage},
    metrics::{AnswerEnd, metrics},
    requests::RequestContext,
    retrieval::Chosen,
    usage::ledger::{Account, Ledger},
};
use async_stream::stream;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use rag_core::{
    confidence::{self, Calibration, NOT_COVERED_TEXT},
    excerpt::{CitablePassage, Excerpt, excerpts},
    plain::PlainText,
    prompt::{SYSTEM_PROMPT, sentence_blocks},
};
use shared_types::{
    chat::{FinishReason, Usage},
    claims::AccessClaims,
    event::{AnswerEvent, Delta, Done},
    feedback::CuratedBy,
    ids::RequestId,
    origin::AnswerRequest,
    problem::{Problem, ProblemKind},
};
use std::{sync::Arc, time::Duration};
use telling::Telling;
use thiserror::Error;
use tokio::sync::Semaphore;
use tracing::{Instrument, Span};

/// What stands in for a blank block: the model service refuses blank text, and a block that was left out
/// would renumber the ones behind it.
const BLANK_BLOCK: &str = "…";
/// How long a caller is asked to wait where no permit is free: about the length of an answer.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(3);
/// Answers that callers can join, those ended and not yet read to their end among them.
const MAX_SHARED: usize = 256;
/// The memory that one answer may take while it is told; 1,024 tokens take some 200 KiB.
const MAX_LOG_BYTES: usize = 2 * 1024 * 1024;

/// The events of one answer: any number of `delta` and `citation`, then one `done` or `error`.
pub type AnswerEvents = BoxStream<'static, AnswerEvent>;

/// Makes answers. Callers who ask for the same answer at the same time are told one and the same.
pub struct Answers {
    model: Arc<dyn AnswerModel>,
    /// One permit for each call of the model.
    permits: Arc<Semaphore>,
    calibration: Calibration,
    ledger: Ledger,
    flights: Flights<Matter, Told>,
}

/// Everything that decides what an answer says, as it goes into it. The model, its settings and the prompt
/// are those of the process, and a flight is never longer than that.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Matter {
    /// As the person wrote it, and as the model reads it.
    question: String,
    excerpts: Vec<Excerpt>,
    /// The bits of the probability that the passages answer: confidence rests on it.
    probability: u64,
    /// The number of the last purge that concerned the caller. Who asks after a purge is not told what was
    /// begun before it, else it would be kept as an answer from after it.
    generation: u64,
}

impl Matter {
    fn probability(&self) -> f64 {
        f64::from_bits(self.probability)
    }
}

/// What everybody who waits for an answer is told: first whether there is one.
#[derive(Clone, Debug)]
enum Told {
    /// The model has begun to speak.
    Begun,
    /// There is no answer; nothing follows.
    Refused(Arc<Refusal>),
    /// A piece of the answer; the last is `done` or `error`, which names no request.
    Event(AnswerEvent),
}

#[derive(Debug, Error)]
enum Refusal {
    #[error("as many answers are in the making as may be")]
    Busy,
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Answers {
    /// Answers by `model`, at most as many at once as `config` says. What a call of it used goes on record in `ledger`.
    #[must_use]
    pub fn new(
        model: Arc<dyn AnswerModel>,
        config: &ModelConfig,
        calibration: Calibration,
        ledger: Ledger,
    ) -> Self {
        let flights = Flights::new(MAX_SHARED, MAX_LOG_BYTES, config.linger);
        Self {
            model,
            permits: Arc::new(Semaphore::new(config.concurrency)),
            calibration,
            ledger,
            flights,
        }
    }

    /// One for each call of the model, for whoever else calls it.
    #[must_use]
    pub fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.permits)
    }

    /// Answers `request` from `chosen`, which are all its passages, in order, read under the caller's own
    /// rights: from here on nobody asks what the caller may read.
    ///
    /// Where they do not cover the question, the answer says so and no model is asked. A model that can't be
    /// had is an [`ApiError`], as is a caller who has used up the day's share; one that fails later ends the stream with
    /// `error`. The call of a model is on the account of the caller who began it.
    pub async fn answer(
        &self,
        context: &RequestContext,
        caller: &AccessClaims,
        request: &AnswerRequest,
        chosen: Chosen,
    ) -> Result<AnswerEvents, ApiError> {
        let Chosen {
            passages,
            generation,
            used_up,
        } = chosen;
        if passages.is_empty() {
            return Ok(not_covered(0.0).boxed());
        }
        let best_score = best_score(request, &passages);
        let probability = self.calibration.probability(best_score);
        if !self.calibration.covers(best_score) {
            return Ok(not_covered(probability).boxed());
        }
        let matter = Arc::new(Matter {
            question: request.query.clone(),
            excerpts: excerpts(passages),
            probability: probability.to_bits(),
            generation,
        });
        let (mut told, part) = match used_up {
            // What is being told costs nothing more, least of all whoever was cut off from it.
            Some(used_up) => match self.flights.join(&matter) {
                Some(told) => (told, Part::Joined),
                None => return Err(used_up.into()),
            },
            None => self.flights.board(matter.clone(), |log| {
                let (model, permits) = (self.model.clone(), self.permits.clone());
                let account = self.ledger.open(caller.clone());
                tell(model, permits, account, context.request_id, matter, log)
            }),
        };
        context.boarded(part);
        match told.next().await {
            Some(Told::Begun) => Ok(events(told, context.request_id).boxed()),
            Some(Told::Refused(refusal)) => {
                metrics().answered(match &*refusal {
                    Refusal::Busy => AnswerEnd::Busy,
                    Refusal::Model(_) => AnswerEnd::Unavailable,
                });
                Err(refusal.into())
            }
            Some(Told::Event(_)) | None => Err(ApiError::caused(
                ProblemKind::Internal,
                "the answer died before it began",
            )),
        }
    }
}

/// Has the model answer, and tells everybody who waits. Dropped, it ends the call of the model.
async fn tell(
    model: Arc<dyn AnswerModel>,
    permits: Arc<Semaphore>,
    account: Account,
    request_id: RequestId,
    matter: Arc<Matter>,
    log: Writer<Told>,
) {
    let last = match permits.try_acquire() {
        Err(_) => Told::Refused(Arc::new(Refusal::Busy)),
        Ok(_permit) => {
            let telling = Telling::new(request_id, matter.clone(), account);
            let span = telling.span();
            let told = async {
                match model.answer(prompt(&matter)).await {
                    Ok(begun) => Told::Event(telling.tell(begun, &log).await),
                    Err(error) => {
                        Span::current().record("otel.status_code", "ERROR");
                        Told::Refused(Arc::new(error.into()))
                    }
                }
            };
            told.instrument(span).await
        }
    };
    match last {
        Told::Event(AnswerEvent::Done(_)) => log.end(last),
        _ => log.fail(last),
    }
}

/// What is told, to one of those who wait.
fn events(
    mut told: Reader<Told>,
    request_id: RequestId,
) -> impl Stream<Item = AnswerEvent> + Send + 'static {
    stream! {
        while let Some(Told::Event(event)) = told.next().await {
            match event {
                AnswerEvent::Error(problem) => {
                    yield AnswerEvent::Error(problem.with_instance(request_id));
                    return;
                }
                AnswerEvent::Done(done) => {
                    yield AnswerEvent::Done(done);
                    return;
                }
                piece => yield piece,
            }
        }
        tracing::error!(%request_id, "answer died before its end");
        let problem = Problem::new(ProblemKind::AnswerInterrupted);
        yield AnswerEvent::Error(problem.with_instance(request_id));
    }
}

/// The best score among the passages that are readable: what the caller may not read is no evidence.
fn best_score(request: &AnswerRequest, passages: &[CitablePassage]) -> Option<f64> {
    request
        .passages
        .iter()
        .filter(|chosen| passages.iter().any(|p| p.chunk_id == chosen.chunk_id))
        .filter_map(|chosen| chosen.rerank_score)
        .max_by(f64::total_cmp)
}

fn not_covered(probability: f64) -> impl Stream<Item = AnswerEvent> + Send + 'static {
    let delta = AnswerEvent::Delta(Delta {
        text: NOT_COVERED_TEXT.to_owned(),
    });
    let done = AnswerEvent::Done(Done {
        finish_reason: FinishReason::NotCovered,
        confidence: confidence::confidence(probability, 0.0),
        usage: Usage::default(),
        curated_by: None,
        model_first_token_ms: None,
        model_total_ms: None,
    });
    futures_util::stream::iter([delta, done])
}

/// An answer in a teacher's own words: as plain text as any, and nothing to be checked.
pub fn in_own_words(answer: &str, by: CuratedBy) -> AnswerEvents {
    let delta = AnswerEvent::Delta(Delta {
        text: PlainText::new().push(answer),
    });
    let done = AnswerEvent::Done(Done {
        finish_reason: FinishReason::Complete,
        confidence: 1.0,
        usage: Usage::default(),
        curated_by: Some(by),
        model_first_token_ms: None,
        model_total_ms: None,
    });
    futures_util::stream::iter([delta, done]).boxed()
}

fn prompt(matter: &Matter) -> Prompt {
    let passages = matter.excerpts.iter().map(|excerpt| {
        let mut blocks: Vec<String> = sentence_blocks(&excerpt.content, &excerpt.units)
            .into_iter()
            .map(|block| match block.trim() {
                "" => BLANK_BLOCK.to_owned(),
                _ => block.to_owned(),
            })
            .collect();
        if blocks.is_empty() {
            blocks.push(BLANK_BLOCK.to_owned());
        }
        PromptPassage {
            title: excerpt.document_title.clone(),
            blocks,
        }
    });
    Prompt {
        system: SYSTEM_PROMPT,
        passages: passages.collect(),
        question: matter.question.clone(),
    }
}

impl From<Arc<Refusal>> for ApiError {
    fn from(refusal: Arc<Refusal>) -> Self {
        let wait = match &*refusal {
            Refusal::Busy => Some(BUSY_RETRY_AFTER),
            Refusal::Model(error) => error.retry_after(),
        };
        Self::caused(ProblemKind::ModelUnavailable, refusal).retry_after(wait)
    }
}

#[cfg(test)]
mod tests;
