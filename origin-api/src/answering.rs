//! `POST /v1/answer` behind its handler: from passages and a question to the events of an answer.

use crate::{
    error::{ApiError, chain},
    llm::{ModelError, ModelEvent, ModelStream, Prompt, PromptPassage, Quote},
    state::AppState,
};
use async_stream::stream;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use rag_core::{
    citation::{CitablePassage, Citations},
    confidence::{self, NOT_COVERED_TEXT},
    prompt::{SYSTEM_PROMPT, sentence_blocks},
};
use shared_types::{
    chat::{Citation, FinishReason, Usage},
    event::{AnswerEvent, Delta, Done},
    ids::RequestId,
    origin::AnswerRequest,
    problem::{Problem, ProblemKind},
};
use std::time::Duration;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// What stands in for a blank block: the model service refuses blank text, and a block that was left out
/// would renumber the ones behind it.
const BLANK_BLOCK: &str = "…";
/// How long a caller is asked to wait where no permit is free: about the length of an answer.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(3);

/// The events of one answer: any number of `delta` and `citation`, then one `done` or `error`.
pub type AnswerEvents = BoxStream<'static, AnswerEvent>;

/// Answers `request` from `passages`, which are those of its passages that the caller may read, in order.
///
/// Where they do not cover the question, the answer says so and no model is asked. A model that can't be
/// had is an [`ApiError`]; one that fails later ends the stream with `error`.
pub async fn answer(
    state: &AppState,
    request_id: RequestId,
    request: &AnswerRequest,
    passages: Vec<CitablePassage>,
) -> Result<AnswerEvents, ApiError> {
    let best_score = best_score(request, &passages);
    if passages.is_empty() || !confidence::covers(best_score, &state.calibration) {
        return Ok(not_covered(best_score).boxed());
    }
    let permit = state
        .model_permits
        .clone()
        .try_acquire_owned()
        .map_err(|busy| {
            ApiError::caused(ProblemKind::ModelUnavailable, busy)
                .retry_after(Some(BUSY_RETRY_AFTER))
        })?;
    let asked = Instant::now();
    let prompt = prompt(&request.query, &passages);
    let model = state.model.answer(prompt).await?;
    let telling = Telling {
        request_id,
        passages,
        best_score,
        asked,
        _permit: permit,
        citations: Citations::new(),
        of_no_passage: 0,
        chars: 0,
        cited_chars: 0,
        claim_chars: 0,
        first_token: None,
    };
    Ok(telling.events(model).boxed())
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

fn not_covered(best_score: Option<f64>) -> impl Stream<Item = AnswerEvent> + Send + 'static {
    let delta = AnswerEvent::Delta(Delta {
        text: NOT_COVERED_TEXT.to_owned(),
    });
    let done = AnswerEvent::Done(Done {
        finish_reason: FinishReason::NotCovered,
        confidence: confidence::confidence(best_score.or(Some(0.0)), 0.0),
        usage: Usage::default(),
        model_first_token_ms: None,
        model_total_ms: None,
    });
    futures_util::stream::iter([delta, done])
}

fn prompt(question: &str, passages: &[CitablePassage]) -> Prompt {
    let passages = passages.iter().map(|passage| {
        let mut blocks: Vec<String> = sentence_blocks(&passage.content, &passage.units)
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
            title: passage.document_title.clone(),
            blocks,
        }
    });
    Prompt {
        system: SYSTEM_PROMPT,
        passages: passages.collect(),
        question: question.to_owned(),
    }
}

/// An answer that is being told.
struct Telling {
    request_id: RequestId,
    passages: Vec<CitablePassage>,
    best_score: Option<f64>,
    asked: Instant,
    _permit: OwnedSemaphorePermit,
    citations: Citations,
    /// Quotes of passages that the model was never given.
    of_no_passage: u32,
    /// Characters of the answer, and those of them in claims with a real citation.
    chars: usize,
    cited_chars: usize,
    /// Characters since the last claim ended.
    claim_chars: usize,
    first_token: Option<Duration>,
}

impl Telling {
    fn events(
        mut self,
        mut model: ModelStream,
    ) -> impl Stream<Item = AnswerEvent> + Send + 'static {
        stream! {
            while let Some(event) = model.next().await {
                match event {
                    Ok(ModelEvent::Text(text)) => {
                        self.told(&text);
                        yield AnswerEvent::Delta(Delta { text });
                    }
                    Ok(ModelEvent::Cited(quotes)) => {
                        for citation in self.claim_ended(&quotes) {
                            yield AnswerEvent::Citation(citation);
                        }
                    }
                    Ok(ModelEvent::End { finish_reason, usage }) => {
                        yield AnswerEvent::Done(self.done(finish_reason, usage));
                        return;
                    }
                    Err(error) => {
                        yield AnswerEvent::Error(self.broke_off(&error));
                        return;
                    }
                }
            }
            // A model's stream ends with an end or an error; this keeps the promise for one that does not.
            yield AnswerEvent::Error(self.broke_off(&ModelError::Truncated));
        }
    }

    fn told(&mut self, text: &str) {
        self.first_token.get_or_insert_with(|| self.asked.elapsed());
        let chars = text.chars().count();
        self.chars += chars;
        self.claim_chars += chars;
    }

    fn claim_ended(&mut self, quotes: &[Quote]) -> Vec<Citation> {
        let mut found: Vec<Citation> = Vec::new();
        for quote in quotes {
            let Some(passage) = self.passages.get(quote.passage) else {
                self.of_no_passage += 1;
                continue;
            };
            let resolved =
                self.citations
                    .resolve(passage, quote.start_block, quote.end_block, &quote.text);
            for citation in resolved {
                // One claim shows a marker once, also where passages overlap.
                if found.iter().all(|known| known.marker != citation.marker) {
                    found.push(citation);
                }
            }
        }
        let chars = std::mem::take(&mut self.claim_chars);
        if !found.is_empty() {
            self.cited_chars += chars;
        }
        found
    }

    fn done(&self, finish_reason: FinishReason, usage: Usage) -> Done {
        let cited_share = self.cited_chars as f64 / self.chars.max(1) as f64;
        // The model is told to cite every statement: an answer without one real citation is its way of
        // saying that the passages hold none, and must not be taken for more.
        let finish_reason = match finish_reason {
            FinishReason::Complete if self.cited_chars == 0 => FinishReason::NotCovered,
            other => other,
        };
        let done = Done {
            finish_reason,
            confidence: confidence::confidence(self.best_score, cited_share),
            usage,
            model_first_token_ms: self.first_token.map(millis),
            model_total_ms: Some(millis(self.asked.elapsed())),
        };
        tracing::info!(
            request_id = %self.request_id,
            ?finish_reason,
            confidence = done.confidence,
            rejected_citations = self.rejected(),
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            model_first_token_ms = done.model_first_token_ms,
            model_total_ms = done.model_total_ms,
            "answer told"
        );
        done
    }

    fn rejected(&self) -> u32 {
        self.citations.rejected() + self.of_no_passage
    }

    fn broke_off(&self, error: &ModelError) -> Problem {
        tracing::error!(
            request_id = %self.request_id,
            cause = chain(error),
            rejected_citations = self.rejected(),
            "answer broke off"
        );
        Problem::new(ProblemKind::AnswerInterrupted).with_instance(self.request_id)
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        let wait = error.retry_after();
        Self::caused(ProblemKind::ModelUnavailable, error).retry_after(wait)
    }
}

#[cfg(test)]
mod tests;
