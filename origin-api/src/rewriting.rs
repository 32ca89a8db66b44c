//! Follow-up questions, put so that each can be understood by itself.

use crate::{
    error::chain,
    llm::{AnswerModel, ModelError, ModelEvent, Prompt},
    usage::ledger::Account,
};
use futures_util::StreamExt;
use rag_core::conversation::{Earlier, REWRITE_PROMPT, joined, leans, rewriting, rewritten};
use shared_types::{chat::FinishReason, ids::RequestId};
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{sync::Semaphore, time::timeout};

/// A reply that is longer than this is no question; far above the longest that is taken.
const MAX_REPLY_BYTES: usize = 4 * 1024;

/// Puts follow-ups into other words: by the language model where there is one to ask, and else by joining a question
/// with the one before.
pub struct Rewriter {
    model: Option<Arc<dyn AnswerModel>>,
    /// One permit for each call of the model, answers included.
    permits: Arc<Semaphore>,
    limit: Duration,
}

#[derive(Debug, Error)]
enum Unwritten {
    #[error("as many questions are being rewritten as may be")]
    Busy,
    #[error("the model took too long")]
    TooLate,
    #[error("the model's reply is no question")]
    NoQuestion,
    #[error("the model failed")]
    Model(#[from] ModelError),
}

impl Rewriter {
    /// Asks `model`, where there is one, with one of these `permits` each time, and for no longer than `limit`.
    #[must_use]
    pub fn new(
        model: Option<Arc<dyn AnswerModel>>,
        permits: Arc<Semaphore>,
        limit: Duration,
    ) -> Self {
        Self {
            model,
            permits,
            limit,
        }
    }

    /// `question` so that it can be understood without the `earlier` ones, which are in the order of asking; none where
    /// it can be already. A model that fails or dawdles stops nobody from asking: both questions are asked then, as they
    /// are without an `account` that the call can go on.
    pub async fn rewrite(
        &self,
        request_id: RequestId,
        account: Option<Account>,
        earlier: &[Earlier],
        question: &str,
    ) -> Option<String> {
        if earlier.is_empty() || !leans(question) {
            return None;
        }
        let (Some(model), Some(account)) = (&self.model, account) else {
            return joined(earlier, question);
        };
        let told = match self.ask(model, account, earlier, question).await {
            Ok(told) => Some(told),
            Err(error) => {
                tracing::warn!(
                    %request_id,
                    cause = chain(&error),
                    "follow-up not rewritten, joined with the question before"
                );
                joined(earlier, question)
            }
        };
        told.filter(|told| told != question)
    }

    async fn ask(
        &self,
        model: &Arc<dyn AnswerModel>,
        account: Account,
        earlier: &[Earlier],
        question: &str,
    ) -> Result<String, Unwritten> {
        let _permit = self.permits.try_acquire().map_err(|_| Unwritten::Busy)?;
        let prompt = Prompt {
            system: REWRITE_PROMPT,
            passages: Vec::new(),
            question: rewriting(earlier, question),
        };
        let reply = timeout(self.limit, reply(&**model, account, prompt)).await;
        let reply = reply.map_err(|_| Unwritten::TooLate)??;
        rewritten(&reply, question).ok_or(Unwritten::NoQuestion)
    }
}

/// All that the model says, if it comes to its own end. What it used goes on the account in any case.
async fn reply(
    model: &dyn AnswerModel,
    mut account: Account,
    prompt: Prompt,
) -> Result<String, Unwritten> {
    let begun = model.answer(prompt).await?;
    account.by(begun.model);
    let mut events = begun.events;
    let mut said = String::new();
    while let Some(event) = events.next().await {
        match event? {
            ModelEvent::Text(text) => said.push_str(&text),
            ModelEvent::Cited(_) => {}
            ModelEvent::Counted(usage) => account.count(usage),
            ModelEvent::End {
                finish_reason,
                usage,
            } => {
                account.count(usage);
                return match finish_reason {
                    FinishReason::Complete => Ok(said),
                    _ => Err(Unwritten::NoQuestion),
                };
            }
        }
        if said.len() > MAX_REPLY_BYTES {
            return Err(Unwritten::NoQuestion);
        }
    }
    Err(ModelError::Truncated.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        llm::Begun,
        usage::{
            ledger::{Entry, Ledger},
            payer::payer,
        },
    };
    use futures_util::{
        FutureExt,
        future::{self, BoxFuture},
        stream,
    };
    use shared_types::chat::Usage;
    use std::sync::Mutex;
    use uuid::Uuid;

    /// A model that says one thing, or never begins, and remembers what it was asked.
    struct Scripted {
        says: Option<(&'static str, FinishReason)>,
        asked: Mutex<Vec<Prompt>>,
    }

    impl AnswerModel for Scripted {
        fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<Begun, ModelError>> {
            self.asked.lock().unwrap().push(prompt);
            let Some((says, finish_reason)) = self.says else {
                return future::pending().boxed();
            };
            let end = ModelEvent::End {
                finish_reason,
                usage: USED,
            };
            let events = [ModelEvent::Text(says.to_owned()), end];
            let begun = Begun {
                model: "scripted".into(),
                events: stream::iter(events.map(Ok)).boxed(),
            };
            future::ready(Ok(begun)).boxed()
        }
    }

    fn scripted(says: Option<(&'static str, FinishReason)>) -> Arc<Scripted> {
        let asked = Mutex::default();
        Arc::new(Scripted { says, asked })
    }

    const USED: Usage = Usage {
        input_tokens: 90,
        output_tokens: 9,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        cost_microusd: Some(135),
    };

    async fn rewritten_by(model: &Arc<Scripted>, question: &str) -> Option<String> {
        let (ledger, _entries) = Ledger::kept_by_hand();
        rewritten_on(&ledger, model, question).await
    }

    async fn rewritten_on(
        ledger: &Ledger,
        model: &Arc<Scripted>,
        question: &str,
    ) -> Option<String> {
        let rewriter = Rewriter::new(Some(model.clone()), one(), Duration::from_millis(50));
        let earlier = [asked("How do I practise thirds?")];
        let request_id = RequestId(Uuid::nil());
        let account = Some(ledger.open(payer(1)));
        let rewritten = rewriter.rewrite(request_id, account, &earlier, question);
        rewritten.await
    }

    fn one() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1))
    }

    fn asked(question: &str) -> Earlier {
        Earlier {
            asked: question.to_owned(),
            question: question.to_owned(),
        }
    }

    const FOLLOW_UP: &str = "And sixths?";
    const WHOLE: &str = "How do I practise sixths?";
    const BOTH: &str = "How do I practise thirds? And sixths?";

    #[tokio::test]
    async fn the_model_puts_a_follow_up_into_a_question_of_its_own() {
        let model = scripted(Some((WHOLE, FinishReason::Complete)));
        let rewritten = rewritten_by(&model, FOLLOW_UP).await;
        assert_eq!(rewritten.as_deref(), Some(WHOLE));
        let asked = model.asked.lock().unwrap();
        assert_eq!(asked[0].system, REWRITE_PROMPT);
        assert!(asked[0].passages.is_empty());
        assert!(asked[0].question.contains("1. How do I practise thirds?"));
    }

    #[tokio::test]
    async fn a_question_that_can_be_understood_costs_no_call() {
        let model = scripted(Some((WHOLE, FinishReason::Complete)));
        assert_eq!(rewritten_by(&model, "What is legato?").await, None);
        assert!(model.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_model_that_repeats_the_question_rewrote_nothing() {
        let model = scripted(Some((FOLLOW_UP, FinishReason::Complete)));
        assert_eq!(rewritten_by(&model, FOLLOW_UP).await, None);
    }

    #[tokio::test]
    async fn without_a_usable_reply_both_questions_are_asked() {
        for says in [
            None,
            Some(("", FinishReason::Complete)),
            Some(("Slowly.\nHands apart.", FinishReason::Complete)),
            Some((WHOLE, FinishReason::Length)),
            Some((WHOLE, FinishReason::Declined)),
        ] {
            let rewritten = rewritten_by(&scripted(says), FOLLOW_UP).await;
            assert_eq!(rewritten.as_deref(), Some(BOTH), "{says:?}");
        }
    }

    #[tokio::test]
    async fn without_a_model_both_questions_are_asked() {
        let rewriter = Rewriter::new(None, one(), Duration::from_millis(50));
        let earlier = [asked("How do I practise thirds?")];
        let request_id = RequestId(Uuid::nil());
        let rewrite = |earlier| rewriter.rewrite(request_id, None, earlier, FOLLOW_UP);
        assert_eq!(rewrite(&earlier).await.as_deref(), Some(BOTH));
        assert_eq!(rewrite(&[]).await, None);
    }

    #[tokio::test]
    async fn a_call_goes_on_the_account_of_whoever_asked_even_where_it_is_of_no_use() {
        let (ledger, mut entries) = Ledger::kept_by_hand();
        for says in [WHOLE, "Slowly.\nHands apart."] {
            let model = scripted(Some((says, FinishReason::Complete)));
            rewritten_on(&ledger, &model, FOLLOW_UP).await;
            let Ok(Entry::Call(claims, usage)) = entries.try_recv() else {
                panic!("nothing was recorded");
            };
            assert_eq!((*claims, usage), (payer(1), USED));
        }
    }

    #[tokio::test]
    async fn whoever_has_used_up_the_day_asks_no_model() {
        let model = scripted(Some((WHOLE, FinishReason::Complete)));
        let rewriter = Rewriter::new(Some(model.clone()), one(), Duration::from_millis(50));
        let earlier = [asked("How do I practise thirds?")];
        let request_id = RequestId(Uuid::nil());
        let rewritten = rewriter
            .rewrite(request_id, None, &earlier, FOLLOW_UP)
            .await;
        assert_eq!(rewritten.as_deref(), Some(BOTH));
        assert!(model.asked.lock().unwrap().is_empty());
    }
}
