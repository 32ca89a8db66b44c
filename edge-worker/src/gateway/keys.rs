//! The sign-in service's public keys, kept in the isolate.

use chrono::{DateTime, TimeDelta, Utc};
use rag_core::jwks::{Jwk, Jwks};
use rag_core::token::{TokenError, UnverifiedToken};
use std::cell::RefCell;

/// How long a key set is used before it is fetched again.
const LIFE: TimeDelta = TimeDelta::minutes(10);
/// The least time between two fetches for the sake of unknown key ids: forged ones can't make us
/// call the sign-in service for every request.
const COOL_DOWN: TimeDelta = TimeDelta::seconds(30);

/// The key set and its age. While the service does not answer, the last set stays in use: tokens
/// live for an hour, so nothing is accepted for long that a fresh set would refuse.
#[derive(Debug, Default)]
pub struct KeyRing {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    jwks: Jwks,
    fetched_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
}

impl KeyRing {
    /// The key for a token, out of what is known.
    pub fn select(&self, token: &UnverifiedToken<'_>) -> Result<Jwk, TokenError> {
        self.state.borrow().jwks.select(token).cloned()
    }

    /// Whether the sign-in service ever answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.borrow().fetched_at.is_none()
    }

    /// Whether the set should be fetched now: it has never been, it is old, or it lacks the token's
    /// key. An answer of `true` starts the cool-down.
    pub fn wants_fetch(&self, token: &UnverifiedToken<'_>, now: DateTime<Utc>) -> bool {
        let mut state = self.state.borrow_mut();
        let is_current = state.fetched_at.is_some_and(|at| now - at < LIFE);
        let is_unknown = matches!(state.jwks.select(token), Err(TokenError::UnknownKey));
        let is_cooling = state.tried_at.is_some_and(|at| now - at < COOL_DOWN);
        // An empty ring can't serve anybody: there is nothing to protect by waiting.
        let wants = if state.fetched_at.is_none() {
            true
        } else {
            (!is_current || is_unknown) && !is_cooling
        };
        if wants {
            state.tried_at = Some(now);
        }
        wants
    }

    /// Takes a freshly fetched set.
    pub fn replace(&self, jwks: Jwks, now: DateTime<Utc>) {
        let mut state = self.state.borrow_mut();
        state.jwks = jwks;
        state.fetched_at = Some(now);
    }
}
