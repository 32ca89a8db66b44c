//! The care that a model is called with: it is tried again where that may help, left alone where it does not, and
//! another is asked in its place.

use super::{
    AnswerModel, Begun, ModelError, ModelStream, Prompt,
    breaker::{self, Change, Outcome, SharedBreaker},
    retry,
};
use crate::{error::chain, metrics::metrics};
use backon::Retryable;
use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tower::retry::budget::{Budget, TpsBudget};

/// One call of a model, without a second try.
pub(super) trait Call: Send + Sync {
    /// Resolves once the model has begun to speak. Waits for as long as it takes.
    fn call<'a>(&'a self, prompt: &'a Prompt) -> BoxFuture<'a, Result<ModelStream, ModelError>>;

    /// Whether there are credentials to call with.
    fn is_authorised(&self) -> BoxFuture<'_, Result<(), ModelError>> {
        future::ready(Ok(())).boxed()
    }
}

/// A model at its provider.
struct Guarded<C> {
    name: Arc<str>,
    calls: C,
    breaker: SharedBreaker,
    budget: TpsBudget,
}

impl<C: Call> Guarded<C> {
    /// `calls` under `name`. A caller who gives up after `patience` has waited for a provider that is out.
    fn new(name: String, calls: C, patience: Duration) -> Self {
        let name = Arc::from(name);
        metrics().breaker(&name, false);
        Self {
            name,
            calls,
            breaker: SharedBreaker::new(patience),
            budget: retry::budget(),
        }
    }

    /// An answer that has begun by `deadline`.
    async fn begin(&self, prompt: &Prompt, deadline: Instant) -> Result<Begun, ModelError> {
        self.budget.deposit();
        let attempts = (|| self.attempt(prompt, deadline))
            .retry(retry::backoff())
            .when(retry::is_retryable)
            .adjust(|error, ours| {
                let pause = retry::pause(error, ours)?;
                let in_time = Instant::now() + pause < deadline;
                (in_time && self.budget.withdraw()).then_some(pause)
            })
            .notify(|error, pause| {
                tracing::warn!(
                    model = &*self.name,
                    cause = chain(error),
                    pause_ms = pause.as_millis() as u64,
                    "model call is tried again"
                );
            });
        Ok(Begun {
            model: self.name.clone(),
            events: attempts.await?,
        })
    }

    async fn attempt(&self, prompt: &Prompt, deadline: Instant) -> Result<ModelStream, ModelError> {
        let permit = self.breaker.admit();
        let permit = permit.map_err(|retry_after| ModelError::Resting { retry_after })?;
        let asked = Instant::now();
        let answer = timeout_at(deadline, self.calls.call(prompt));
        let answer = answer.await.unwrap_or_else(|_| {
            Err(ModelError::Timeout {
                stage: "first event",
                waited_ms: asked.elapsed().as_millis(),
            })
        });
        let outcome = answer
            .as_ref()
            .map_or_else(breaker::outcome, |_| Outcome::Well);
        match permit.settle(outcome) {
            Some(Change::Rests(rest)) => {
                metrics().breaker(&self.name, true);
                tracing::error!(
                    model = &*self.name,
                    rest_ms = rest.as_millis() as u64,
                    "model is out and left alone"
                );
            }
            Some(Change::Back) => {
                metrics().breaker(&self.name, false);
                tracing::info!(model = &*self.name, "model is back");
            }
            None => {}
        }
        answer
    }
}

/// A model, and one that is asked where the first is out.
pub(super) struct Providers<C> {
    first: Guarded<C>,
    second: Option<Guarded<C>>,
    first_event_timeout: Duration,
}

impl<C: Call> Providers<C> {
    /// Callers wait so long for the first event, whoever is asked.
    pub(super) fn new(
        first: (String, C),
        second: Option<(String, C)>,
        first_event_timeout: Duration,
    ) -> Self {
        let guarded =
            |(name, calls): (String, C)| Guarded::new(name, calls, first_event_timeout / 2);
        Self {
            first: guarded(first),
            second: second.map(guarded),
            first_event_timeout,
        }
    }

    async fn begin(&self, prompt: &Prompt) -> Result<Begun, ModelError> {
        let asked = Instant::now();
        let deadline = asked + self.first_event_timeout;
        let Some(second) = &self.second else {
            return self.first.begin(prompt, deadline).await;
        };
        // Half of the time, so that the second has the other half.
        let half = asked + self.first_event_timeout / 2;
        match self.first.begin(prompt, half).await {
            Ok(begun) => Ok(begun),
            Err(error) => {
                tracing::warn!(
                    model = &*self.first.name,
                    second = &*second.name,
                    cause = chain(&error),
                    "second model is asked"
                );
                second.begin(prompt, deadline).await
            }
        }
    }
}

impl<C: Call> AnswerModel for Providers<C> {
    fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<Begun, ModelError>> {
        async move { self.begin(&prompt).await }.boxed()
    }

    fn is_authorised(&self) -> BoxFuture<'_, Result<(), ModelError>> {
        async move {
            match (self.first.calls.is_authorised().await, &self.second) {
                (Err(_), Some(second)) => second.calls.is_authorised().await,
                (first, _) => first,
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
