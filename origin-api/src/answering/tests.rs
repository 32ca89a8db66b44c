//! What a person sees of an answer, over models that say what a test tells them to.

mod recording;
mod sharing;
mod telling;

use super::*;
use crate::{
    config::QuotaConfig,
    llm::{Begun, ModelEvent, Quote},
    usage::{ledger::Entry, payer::payer, quota::UsedUp},
};
use chrono::DateTime;
use futures_util::{FutureExt, future::BoxFuture};
use rag_core::chunking::Unit;
use shared_types::{
    ids::{ChunkId, DocumentId},
    origin::ChosenPassage,
    usage::UsageSums,
};
use std::{collections::VecDeque, sync::Mutex};
use storage::usage::Today;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

const QUESTION: &str = "How do I sit?";
const SCORE: f64 = 0.8;
const LINGER: Duration = Duration::from_secs(2);

type Word = Result<ModelEvent, ModelError>;

/// What becomes of a call of the model.
enum Script {
    Speak(UnboundedReceiver<Word>),
    /// Never begins; the caller's leaving shows at the other end.
    Ponder(UnboundedReceiver<Word>),
    Refuse(ModelError),
    Panic,
}

/// A model that follows one script a call.
#[derive(Default)]
struct ScriptedModel {
    scripts: Mutex<VecDeque<Script>>,
    prompts: Mutex<Vec<Prompt>>,
}

/// The model's side of a call.
struct Call(UnboundedSender<Word>);

impl Call {
    fn say(&self, word: ModelEvent) {
        self.0.send(Ok(word)).expect("somebody listens");
    }

    fn break_off(&self) {
        self.0
            .send(Err(ModelError::Truncated))
            .expect("somebody listens");
    }

    /// Resolves once the call has been dropped.
    async fn is_dropped(&self) {
        self.0.closed().await;
    }
}

impl ScriptedModel {
    fn will(&self, script: Script) {
        self.scripts.lock().unwrap().push_back(script);
    }

    fn will_speak(&self) -> Call {
        let (sender, words) = unbounded_channel();
        self.will(Script::Speak(words));
        Call(sender)
    }

    fn calls(&self) -> usize {
        self.prompts.lock().unwrap().len()
    }
}

impl AnswerModel for ScriptedModel {
    fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<Begun, ModelError>> {
        self.prompts.lock().unwrap().push(prompt);
        let script = self.scripts.lock().unwrap().pop_front();
        async move {
            match script.expect("the model was asked once too often") {
                Script::Speak(words) => Ok(Begun {
                    model: "scripted".into(),
                    events: futures_util::stream::unfold(words, async |mut words| {
                        Some((words.recv().await?, words))
                    })
                    .boxed(),
                }),
                Script::Ponder(_words) => std::future::pending().await,
                Script::Refuse(error) => Err(error),
                Script::Panic => panic!("the model's client has a fault"),
            }
        }
        .boxed()
    }
}

/// Answers by a scripted model, as many at once as the first number says, shared as the second says.
fn answers(concurrency: usize, max_shared: usize) -> (Arc<Answers>, Arc<ScriptedModel>) {
    let (answers, model, _) = recorded_answers(concurrency, max_shared);
    (answers, model)
}

/// The same, and what goes on record.
fn recorded_answers(
    concurrency: usize,
    max_shared: usize,
) -> (Arc<Answers>, Arc<ScriptedModel>, Receiver<Entry>) {
    let model = Arc::new(ScriptedModel::default());
    let calibration = Calibration {
        refusal_threshold: 0.3,
        ..Calibration::of("a reranker that nobody has measured")
    };
    let (ledger, entries) = Ledger::kept_by_hand();
    let answers = Answers {
        model: model.clone(),
        permits: Arc::new(Semaphore::new(concurrency)),
        calibration,
        ledger,
        flights: Flights::new(max_shared, MAX_LOG_BYTES, LINGER),
    };
    (Arc::new(answers), model, entries)
}

/// A request of this number.
fn context(number: u128) -> RequestContext {
    let request_id = RequestId(Uuid::from_u128(number));
    RequestContext::new(request_id)
}

fn passage(id: u128) -> CitablePassage {
    let unit = |page, start, end| Unit {
        page,
        page_start_char: 0,
        page_end_char: 0,
        chunk_start_char: start,
        chunk_end_char: end,
    };
    CitablePassage {
        chunk_id: ChunkId(Uuid::from_u128(id)),
        document_id: DocumentId(Uuid::from_u128(100)),
        document_title: "Posture".into(),
        // No two of them follow each other.
        chunk_index: 2 * id as u32,
        content: "Sit tall. Keep the wrist level.".into(),
        units: vec![unit(1, 0, 9), unit(2, 10, 31)],
        lines: Vec::new(),
    }
}

/// Passages that were read when so many purges had been.
fn chosen(passages: Vec<CitablePassage>, generation: u64) -> Chosen {
    Chosen {
        passages,
        generation,
        used_up: None,
    }
}

/// A day's share that is used up.
fn used_up() -> UsedUp {
    let quota = QuotaConfig {
        daily_tokens: Some(0),
        ..QuotaConfig::default()
    };
    let today = Today {
        now: DateTime::UNIX_EPOCH,
        sums: UsageSums::default(),
    };
    UsedUp::of(&quota, &today).unwrap()
}

fn request(question: &str, passages: &[CitablePassage], score: f64) -> AnswerRequest {
    let choice = |passage: &CitablePassage| ChosenPassage {
        chunk_id: passage.chunk_id,
        rerank_score: Some(score),
    };
    AnswerRequest {
        curated: None,
        query: question.into(),
        passages: passages.iter().map(choice).collect(),
    }
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.into())
}

fn end(finish_reason: FinishReason) -> ModelEvent {
    ModelEvent::End {
        finish_reason,
        usage: Usage::default(),
    }
}
