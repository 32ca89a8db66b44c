//! The sign-in service's public keys: kept in the isolate, in KV for all isolates, and fetched from the
//! service itself where neither has what is needed.
//!
//! A request must not wait for another one's I/O (the runtime forbids it), so there is no shared
//! fetch. Instead one request is on its way at a time; the others go on with the last set where it
//! has their key, and otherwise look again, on timers of their own, until the first has come back.

use crate::{
    gateway::{
        cached::{Layered, Lookup, Slot, look_up},
        exchange::{Exchange, read_body},
    },
    ports::{AuthCall, Host, Layer, PortError},
};
use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use rag_core::{
    jwks::{COOL_DOWN_S, Jwk, KeySet, KeySetKey, MAX_KEY_SET_BYTES},
    token::{TokenError, UnverifiedToken},
};
use shared_types::problem::{Problem, ProblemKind};
use std::rc::Rc;
use std::{cell::RefCell, sync::Arc};

/// The least time between two looks for newer keys while there are none at all: nobody can be let
/// in meanwhile.
const COOL_DOWN_WITHOUT_KEYS: TimeDelta = TimeDelta::seconds(1);
/// How often a request looks whether another one has brought keys.
const LOOK_AGAIN_MS: u32 = 20;

impl Layered for KeySetKey<'_> {
    const LAYER: Layer = Layer::Keys;
    const STAGE: &'static str = "jwks";
    type Read = KeySet;
}

/// The key set of the isolate, and who is on the way to a newer one.
#[derive(Debug, Default)]
pub struct KeyRing {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    set: Option<KeySet>,
    /// Until when a request is given time to bring newer keys. A moment rather than a flag: a
    /// request may end on the way without a word.
    busy_until: Option<DateTime<Utc>>,
    /// When the last look for newer keys began, or ended: unknown keys are no reason for another one
    /// just now.
    looked_at: Option<DateTime<Utc>>,
    /// When the service was last asked in vain: an old set is no reason to ask again just now.
    failed_at: Option<DateTime<Utc>>,
}

/// What a request does about its key.
enum Step {
    /// Verify with it.
    Use(Arc<Jwk>),
    /// Refuse the token.
    Refuse(TokenError),
    /// Look for newer keys.
    Look,
    /// Another request is looking.
    Wait,
    /// There are no keys.
    GiveUp,
}

/// The key that the token names.
pub async fn key_for<H: Host>(
    ring: &KeyRing,
    exchange: &Exchange<H>,
    token: &UnverifiedToken<'_>,
) -> Result<Arc<Jwk>, Problem> {
    let timeouts = &exchange.config.timeouts;
    let patience = TimeDelta::milliseconds((timeouts.cache_ms + timeouts.jwks_ms).into());
    loop {
        let now = exchange.host.now();
        match ring.step(token, now, patience) {
            Step::Use(key) => return Ok(key),
            Step::Refuse(error) => return Err(error.problem()),
            Step::Look => look(ring, exchange, token).await,
            Step::Wait if now < exchange.deadline => exchange.host.sleep(LOOK_AGAIN_MS).await,
            Step::Wait | Step::GiveUp => return Err(Problem::new(ProblemKind::AuthUnavailable)),
        }
    }
}

/// Looks for newer keys: in KV, and then, unless those answer the need, at the service.
async fn look<H: Host>(ring: &KeyRing, exchange: &Exchange<H>, token: &UnverifiedToken<'_>) {
    let key = KeySetKey {
        url: &exchange.config.supabase_url,
    };
    if let Lookup::Hit(set) = look_up(exchange, &key).await {
        ring.adopt(Rc::unwrap_or_clone(set), exchange.host.now());
    }
    if ring.lacks(token, exchange.host.now()) {
        match fetch(exchange).await {
            Ok(set) => {
                Slot::of(&key).fill(&exchange.host, &set);
                ring.adopt(set, exchange.host.now());
            }
            Err(error) => {
                exchange.warn("key set not refreshed, the last one stays", &error);
                ring.fail(exchange.host.now());
            }
        }
    }
    ring.end(exchange.host.now());
}

async fn fetch<H: Host>(exchange: &Exchange<H>) -> Result<KeySet, PortError> {
    let failed = |words: String| PortError::Failed(words);
    exchange
        .within(exchange.config.timeouts.jwks_ms, async {
            let call = AuthCall {
                method: Method::GET,
                path: "/.well-known/jwks.json",
                authorization: None,
                body: None,
            };
            let reply = exchange.host.call_auth(call).await?;
            if reply.status != 200 {
                return Err(failed(format!("the key set answered {}", reply.status)));
            }
            let body = read_body(reply.body, MAX_KEY_SET_BYTES).await;
            let body = body.map_err(|error| failed(error.to_string()))?;
            let now_s = exchange.host.now().timestamp();
            KeySet::read(&body, now_s).map_err(|error| failed(error.to_string()))
        })
        .await
}

impl KeyRing {
    /// Whether the set that this key was selected from is still the one in use: the same token would
    /// be given the same key.
    pub fn still_has(&self, key: &Arc<Jwk>, now: DateTime<Utc>) -> bool {
        let state = self.state.borrow();
        let set = state.set.as_ref();
        set.is_some_and(|set| set.is_current(now.timestamp()) && set.holds(key))
    }

    /// Decides what a request does. [`Step::Look`] is said to one request at a time, which has
    /// `patience` to come back.
    fn step(&self, token: &UnverifiedToken<'_>, now: DateTime<Utc>, patience: TimeDelta) -> Step {
        let mut state = self.state.borrow_mut();
        let now_s = now.timestamp();
        let set = state.set.as_ref().filter(|set| set.is_usable(now_s));
        let selected = set.map(|set| set.select(token).cloned());
        let is_current = set.is_some_and(|set| set.is_current(now_s));
        match selected {
            Some(Ok(key)) if is_current => return Step::Use(key),
            Some(Err(error)) if error != TokenError::UnknownKey => return Step::Refuse(error),
            _ => {}
        }
        let is_busy = state.busy_until.is_some_and(|until| now < until);
        let (last, cool_down) = match selected {
            None => (state.failed_at, COOL_DOWN_WITHOUT_KEYS),
            Some(_) if is_current => (state.looked_at, TimeDelta::seconds(COOL_DOWN_S)),
            Some(_) => (state.failed_at, TimeDelta::seconds(COOL_DOWN_S)),
        };
        let is_cooling = last.is_some_and(|at| now - at < cool_down);
        if !is_busy && !is_cooling {
            state.busy_until = Some(now + patience);
            state.looked_at = Some(now);
            return Step::Look;
        }
        match selected {
            Some(Ok(key)) => Step::Use(key),
            _ if is_busy => Step::Wait,
            Some(Err(error)) => Step::Refuse(error),
            None => Step::GiveUp,
        }
    }

    /// Whether the service must be asked for the sake of this token: the set is old, or lacks the
    /// token's key and was not fetched just now, by whatever isolate.
    fn lacks(&self, token: &UnverifiedToken<'_>, now: DateTime<Utc>) -> bool {
        let state = self.state.borrow();
        let now_s = now.timestamp();
        let current = state.set.as_ref().filter(|set| set.is_current(now_s));
        current.is_none_or(|set| {
            matches!(set.select(token), Err(TokenError::UnknownKey)) && !set.is_cooling(now_s)
        })
    }

    /// Takes a set that may be used and is no older than the last one: keys that are not in it are
    /// forgotten.
    fn adopt(&self, set: KeySet, now: DateTime<Utc>) {
        let mut state = self.state.borrow_mut();
        let last = state.set.as_ref();
        let is_newer = last.is_none_or(|last| set.fetched_at_s() >= last.fetched_at_s());
        if is_newer && set.is_usable(now.timestamp()) {
            state.set = Some(set);
        }
    }

    /// Notes that the service was asked in vain.
    fn fail(&self, now: DateTime<Utc>) {
        self.state.borrow_mut().failed_at = Some(now);
    }

    /// Lets others look for newer keys, as soon as they may.
    fn end(&self, now: DateTime<Utc>) {
        let mut state = self.state.borrow_mut();
        state.busy_until = None;
        state.looked_at = Some(now);
    }
}
