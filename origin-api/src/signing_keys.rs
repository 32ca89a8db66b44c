//! The public keys of the token issuer, kept through its outages.

use crate::metrics::{Credential, metrics};
use chrono::{DateTime, Utc};
use rag_core::{
    jwks::{KeySet, KeySetError, MAX_KEY_SET_BYTES},
    token::{TokenError, TokenPolicy, UnverifiedToken, verify},
};
use shared_types::claims::AccessClaims;
use std::{
    sync::{Arc, RwLock},
    time::Duration,
};
use thiserror::Error;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

/// The shortest time between two fetches: bounds what tokens with invented key ids can cause.
pub const COOL_DOWN: Duration = Duration::from_secs(10);
/// The same after a failure, while there are no keys at all: nobody can sign in meanwhile.
const COOL_DOWN_WITHOUT_KEYS: Duration = Duration::from_millis(500);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a token was not verified.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No keys could be fetched yet.
    #[error("the token issuer's keys are not known yet")]
    NoKeys,
}

#[derive(Debug, Error)]
enum FetchError {
    #[error("the key set could not be fetched")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    fetched: Instant,
}

/// The issuer's keys: fetched at the first token, again when a token names an unknown key, and, once they
/// are old, behind the back of the next request. Those that could not be renewed for a day are dropped.
pub struct SigningKeys {
    http: reqwest::Client,
    url: Url,
    policy: TokenPolicy,
    cool_down: Duration,
    known: RwLock<Option<Known>>,
    /// When the last fetch ended; held during a fetch, so that there is one at a time.
    last_attempt: Mutex<Option<Instant>>,
}

impl SigningKeys {
    /// Keys at `url`, for tokens that satisfy `policy`, fetched at most once per `cool_down`. Fetches nothing
    /// yet.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        url: Url,
        policy: TokenPolicy,
        cool_down: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            http,
            url,
            policy,
            cool_down,
            known: RwLock::new(None),
            last_attempt: Mutex::new(None),
        })
    }

    /// Verifies signature and claims of `token` at the time `now`.
    pub async fn verify(
        self: &Arc<Self>,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<AccessClaims, VerifyError> {
        let token = UnverifiedToken::parse(token)?;
        let known = self.known(now);
        let fits = known
            .as_ref()
            .is_some_and(|known| !matches!(known.keys.select(&token), Err(TokenError::UnknownKey)));
        let known = if fits {
            self.refresh_if_old(known.as_ref(), now);
            known
        } else {
            self.refresh(known.as_ref().map(|known| known.fetched), now)
                .await;
            self.known(now)
        };
        let keys = known.ok_or(VerifyError::NoKeys)?.keys;
        verify::verify(keys.select(&token)?, &token)?;
        Ok(token.accept(&self.policy, now)?.claims)
    }

    fn known(&self, now: DateTime<Utc>) -> Option<Known> {
        // A poisoned lock holds a whole value all the same: it is only ever replaced.
        let known = self.known.read();
        known
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
            .filter(|known| known.keys.is_usable(now.timestamp()))
    }

    fn refresh_if_old(self: &Arc<Self>, known: Option<&Known>, now: DateTime<Utc>) {
        if let Some(known) = known
            && !known.keys.is_current(now.timestamp())
            && self.last_attempt.try_lock().is_ok()
        {
            let (keys, fetched) = (Arc::clone(self), known.fetched);
            tokio::spawn(async move { keys.refresh(Some(fetched), now).await });
        }
    }

    /// Fetches the keys, unless somebody else has since `seen`, or an attempt was made just now.
    async fn refresh(&self, seen: Option<Instant>, now: DateTime<Utc>) {
        let mut last_attempt = self.last_attempt.lock().await;
        let known = self.known(now).map(|known| known.fetched);
        let cool_down = match known {
            Some(_) => self.cool_down,
            None => COOL_DOWN_WITHOUT_KEYS,
        };
        if known != seen || last_attempt.is_some_and(|at| at.elapsed() < cool_down) {
            return;
        }
        let fetched = self.fetch(now).await;
        metrics().refreshed(Credential::SigningKeys, fetched.is_ok());
        match fetched {
            Ok(keys) => {
                tracing::info!("token issuer's keys fetched");
                let known = Known {
                    keys: Arc::new(keys),
                    fetched: Instant::now(),
                };
                *self
                    .known
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(known);
            }
            Err(error) => tracing::warn!(
                cause = crate::error::chain(&error),
                kept = known.is_some(),
                "token issuer's keys could not be fetched"
            ),
        }
        *last_attempt = Some(Instant::now());
    }

    async fn fetch(&self, now: DateTime<Utc>) -> Result<KeySet, FetchError> {
        let request = self.http.get(self.url.clone()).timeout(FETCH_TIMEOUT);
        let mut response = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_KEY_SET_BYTES {
                return Err(KeySetError::TooLarge.into());
            }
        }
        Ok(KeySet::read(&body, now.timestamp())?)
    }
}
