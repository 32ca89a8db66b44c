//! An answer that is being told: the model's words, each claim with the pages it rests on.

use super::{Matter, Told};
use crate::{
    error::chain,
    flight::{Full, Writer},
    llm::{Begun, ModelError, ModelEvent, ModelStream, Quote},
    metrics::metrics,
    usage::ledger::Account,
};
use futures_util::StreamExt;
use rag_core::{citation::Citations, confidence, plain::PlainText};
use shared_types::{
    chat::{Citation, FinishReason, Usage},
    event::{AnswerEvent, Delta, Done},
    ids::RequestId,
    problem::{Problem, ProblemKind},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::{Span, field::Empty};

/// An answer that is being told.
pub(super) struct Telling {
    /// The request that the answer began with, for the log.
    request_id: RequestId,
    /// Whose words these are, for the log; empty until they begin.
    model: Arc<str>,
    matter: Arc<Matter>,
    account: Account,
    asked: Instant,
    text: PlainText,
    citations: Citations,
    /// Quotes of passages that the model was never given.
    of_no_passage: u32,
    /// Characters of the answer, and those of them in claims with a real citation.
    chars: usize,
    cited_chars: usize,
    /// Characters since the last claim ended.
    claim_chars: usize,
    first_token: Option<Duration>,
    /// Citations that were sent.
    sent: u32,
    /// The call of the model.
    span: Span,
}

impl Telling {
    /// An answer for which the model is about to be asked, on this account.
    pub(super) fn new(request_id: RequestId, matter: Arc<Matter>, account: Account) -> Self {
        Self {
            request_id,
            model: Arc::default(),
            matter,
            account,
            asked: Instant::now(),
            text: PlainText::new(),
            citations: Citations::new(),
            of_no_passage: 0,
            chars: 0,
            cited_chars: 0,
            claim_chars: 0,
            first_token: None,
            sent: 0,
            span: tracing::info_span!(
                "model.answer",
                otel.kind = "client",
                otel.status_code = Empty,
                gen_ai.operation.name = "chat",
                gen_ai.request.model = Empty,
                gen_ai.usage.input_tokens = Empty,
                gen_ai.usage.output_tokens = Empty,
                model.first_token_ms = Empty,
            ),
        }
    }

    /// The span of the model's call, in which everything happens.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Writes what the model says into `log`, and returns the last event: `done` or `error`.
    pub(super) async fn tell(mut self, begun: Begun, log: &Writer<Told>) -> AnswerEvent {
        self.model = begun.model;
        self.account.by(Arc::clone(&self.model));
        self.span.record("gen_ai.request.model", &*self.model);
        match self.relay(begun.events, log).await {
            Ok(done) => AnswerEvent::Done(done),
            Err(error) => AnswerEvent::Error(self.broke_off(&error)),
        }
    }

    async fn relay(
        &mut self,
        mut model: ModelStream,
        log: &Writer<Told>,
    ) -> Result<Done, ModelError> {
        log.append(Told::Begun, size_of::<Told>())?;
        while let Some(event) = model.next().await {
            match event? {
                ModelEvent::Text(text) => {
                    let text = self.text.push(&text);
                    if text.is_empty() {
                        continue;
                    }
                    self.told(&text);
                    let bytes = size_of::<Told>() + text.len();
                    log.append(Told::Event(AnswerEvent::Delta(Delta { text })), bytes)?;
                }
                ModelEvent::Cited(quotes) => {
                    for citation in self.claim_ended(&quotes) {
                        self.sent += 1;
                        self.text.cited();
                        let text = citation.quote.len() + citation.document_title.len();
                        let event = AnswerEvent::Citation(citation);
                        log.append(Told::Event(event), size_of::<Told>() + text)?;
                    }
                }
                ModelEvent::Counted(usage) => self.account.count(usage),
                ModelEvent::End {
                    finish_reason,
                    usage,
                } => {
                    self.account.count(usage);
                    return Ok(self.done(finish_reason, usage));
                }
            }
        }
        // A model's stream ends with an end or an error; this keeps the promise for one that does not.
        Err(ModelError::Truncated)
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
            let Some(excerpt) = self.matter.excerpts.get(quote.passage) else {
                self.of_no_passage += 1;
                continue;
            };
            let resolved =
                self.citations
                    .resolve(excerpt, quote.start_block, quote.end_block, &quote.text);
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
            confidence: confidence::confidence(self.matter.probability(), cited_share),
            usage,
            curated_by: None,
            model_first_token_ms: self.first_token.map(millis),
            model_total_ms: Some(millis(self.asked.elapsed())),
        };
        let took = self.asked.elapsed();
        metrics().model_answered(&self.model, self.first_token, took);
        metrics().citations(self.sent, self.rejected());
        let span = &self.span;
        span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        span.record("gen_ai.usage.output_tokens", usage.output_tokens);
        span.record("model.first_token_ms", done.model_first_token_ms);
        tracing::info!(
            request_id = %self.request_id,
            model = &*self.model,
            ?finish_reason,
            confidence = done.confidence,
            rejected_citations = self.rejected(),
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            cache_read_tokens = usage.cache_read_tokens,
            cache_write_tokens = usage.cache_write_tokens,
            cost_microusd = usage.cost_microusd,
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
        metrics().citations(self.sent, self.rejected());
        self.span.record("otel.status_code", "ERROR");
        tracing::error!(
            request_id = %self.request_id,
            model = &*self.model,
            cause = chain(error),
            rejected_citations = self.rejected(),
            "answer broke off"
        );
        Problem::new(ProblemKind::AnswerInterrupted)
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl From<Full> for ModelError {
    fn from(_: Full) -> Self {
        Self::TooLong
    }
}
