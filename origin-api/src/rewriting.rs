//! Follow-up questions, put so that each can be understood by itself.

use crate::{
    error::chain,
    llm::{AnswerModel, ModelError, ModelEvent, Prompt},
};
use futures_util::StreamExt;
use rag_core::conversation::{REWRITE_PROMPT, joined, leans, rewriting, rewritten};
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
    /// One permit for each call of the model.
    permits: Semaphore,
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
    /// Asks `model`, where there is one, for at most so many questions at once, and each for no longer than `limit`.
    #[must_use]
    pub fn new(model: Option<Arc<dyn AnswerModel>>, concurrency: usize, limit: Duration) -> Self {
        Self {
            model,
            permits: Semaphore::new(concurrency),
            limit,
        }
    }

    /// `question` so that it can be understood without the `earlier` ones, which are in the order of asking; none where
    /// it can be already. A model that fails or dawdles stops nobody from asking: both questions are asked then.
    pub async fn rewrite(
        &self,
        request_id: RequestId,
        earlier: &[String],
        question: &str,
    ) -> Option<String> {
        let last = earlier.last()?;
        if !leans(question) {
            return None;
        }
        let Some(model) = &self.model else {
            return Some(joined(last, question));
        };
        let told = match self.ask(model, earlier, question).await {
            Ok(told) => told,
            Err(error) => {
                tracing::warn!(
                    %request_id,
                    cause = chain(&error),
                    "follow-up not rewritten, joined with the question before"
                );
                joined(last, question)
            }
        };
        (told != question).then_some(told)
    }

    async fn ask(
        &self,
        model: &Arc<dyn AnswerModel>,
        earlier: &[String],
        question: &str,
    ) -> Result<String, Unwritten> {
        let _permit = self.permits.try_acquire().map_err(|_| Unwritten::Busy)?;
        let prompt = Prompt {
            system: REWRITE_PROMPT,
            passages: Vec::new(),
            question: rewriting(earlier, question),
        };
        let reply = timeout(self.limit, reply(&**model, prompt)).await;
        let reply = reply.map_err(|_| Unwritten::TooLate)??;
        rewritten(&reply).ok_or(Unwritten::NoQuestion)
    }
}

/// All that the model says, if it comes to its own end.
async fn reply(model: &dyn AnswerModel, prompt: Prompt) -> Result<String, Unwritten> {
    let mut events = model.answer(prompt).await?.events;
    let mut said = String::new();
    while let Some(event) = events.next().await {
        match event? {
            ModelEvent::Text(text) => said.push_str(&text),
            ModelEvent::Cited(_) => {}
            ModelEvent::End { finish_reason, .. } => {
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
    use crate::llm::{Begun, CachedTokens};
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
                usage: Usage::default(),
                cached: CachedTokens::default(),
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

    async fn rewritten_by(model: &Arc<Scripted>, question: &str) -> Option<String> {
        let rewriter = Rewriter::new(Some(model.clone()), 1, Duration::from_millis(50));
        let earlier = ["How do I practise thirds?".to_owned()];
        let request_id = RequestId(Uuid::nil());
        rewriter.rewrite(request_id, &earlier, question).await
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
        let rewriter = Rewriter::new(None, 1, Duration::from_millis(50));
        let earlier = ["How do I practise thirds?".to_owned()];
        let request_id = RequestId(Uuid::nil());
        let rewritten = rewriter.rewrite(request_id, &earlier, FOLLOW_UP).await;
        assert_eq!(rewritten.as_deref(), Some(BOTH));
        assert_eq!(rewriter.rewrite(request_id, &[], FOLLOW_UP).await, None);
    }
}
