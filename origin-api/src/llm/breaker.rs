//! Leaves a provider alone that has failed several times in a row, and tries it with one call at a time until it is
//! back.
//!
//! Written here because the crates that do it read the clock themselves, and let every waiting call through once the
//! rest is over: here each such call would have a person wait for it.

use super::ModelError;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Failures in a row after which a provider is left alone.
const FAILURES: u32 = 5;
/// For how long at first; twice as long each time that the try afterwards fails.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// How long a caller is asked to wait where somebody else's call is trying the provider.
const TRIAL: Duration = Duration::from_secs(2);

/// Whether a provider may be called, as a state machine without a clock.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Counts changes of state, so that a call that began in another one says nothing about this one.
    epoch: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Every call is let through.
    Closed { failures: u32 },
    /// None is, until then.
    Open { until: Instant, rest: Duration },
    /// One is under way, which decides.
    HalfOpen { rest: Duration },
}

/// A call that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// What a call showed of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answers.
    Well,
    /// It is out, and may have said for how long.
    Out(Option<Duration>),
    /// Nothing.
    Unknown,
}

/// How a provider stands after a call, where that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is left alone for so long.
    Rests(Duration),
    /// It is back.
    Back,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed { failures: 0 },
            epoch: 0,
        }
    }

    /// Lets a call through, or says when to come back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until, .. } if now < until => return Err(until - now),
            State::Open { rest, .. } => self.enter(State::HalfOpen { rest }),
            State::HalfOpen { .. } => return Err(TRIAL),
        }
        Ok(Ticket(self.epoch))
    }

    /// Learns what became of a call.
    pub(super) fn settle(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Change> {
        if ticket != Ticket(self.epoch) {
            return None;
        }
        let (rest, asked) = match (self.state, outcome) {
            (State::Closed { .. }, Outcome::Well) => {
                self.state = State::Closed { failures: 0 };
                return None;
            }
            (State::Closed { failures }, Outcome::Out(asked)) => {
                let failures = failures + 1;
                if failures < FAILURES {
                    self.state = State::Closed { failures };
                    return None;
                }
                (FIRST_REST, asked)
            }
            (State::HalfOpen { .. }, Outcome::Well) => {
                self.enter(State::Closed { failures: 0 });
                return Some(Change::Back);
            }
            (State::HalfOpen { rest }, Outcome::Out(asked)) => (rest * 2, asked),
            (State::HalfOpen { rest }, Outcome::Unknown) => {
                // The next call tries it at once.
                self.enter(State::Open { until: now, rest });
                return None;
            }
            (State::Closed { .. }, Outcome::Unknown) | (State::Open { .. }, _) => return None,
        };
        let rest = rest.min(LONGEST_REST);
        // The provider's own word is followed, as far as it can be believed.
        let length = asked.unwrap_or(rest).clamp(rest, LONGEST_REST);
        self.enter(State::Open {
            until: now + length,
            rest,
        });
        Some(Change::Rests(length))
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

/// What a failed call shows of its provider: nothing, where the request is to blame.
pub(super) fn outcome(error: &ModelError) -> Outcome {
    match error {
        ModelError::Status {
            status: 400 | 413 | 422,
            ..
        } => Outcome::Unknown,
        other => Outcome::Out(other.retry_after()),
    }
}

/// A [`Breaker`] that many calls share.
#[derive(Debug)]
pub(super) struct SharedBreaker {
    breaker: Mutex<Breaker>,
    /// A call that its caller gave up after so long has failed: it would have gone on.
    patience: Duration,
}

impl SharedBreaker {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new()),
            patience,
        }
    }

    /// Lets a call through, or says when to come back.
    pub(super) fn admit(&self) -> Result<Permit<'_>, Duration> {
        let now = Instant::now();
        let ticket = self.lock().admit(now)?;
        Ok(Permit {
            breaker: self,
            ticket,
            begun: now,
            settled: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Dropped before it is settled, it was given up by its caller.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a SharedBreaker,
    ticket: Ticket,
    begun: Instant,
    settled: bool,
}

impl Permit<'_> {
    /// Tells what became of the call.
    pub(super) fn settle(mut self, outcome: Outcome) -> Option<Change> {
        self.settled = true;
        let mut breaker = self.breaker.lock();
        breaker.settle(self.ticket, outcome, Instant::now())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let now = Instant::now();
        let outcome = if now - self.begun < self.breaker.patience {
            Outcome::Unknown
        } else {
            Outcome::Out(None)
        };
        // Nobody is left to tell of a change.
        let _ = self.breaker.lock().settle(self.ticket, outcome, now);
    }
}

#[cfg(test)]
mod tests;
