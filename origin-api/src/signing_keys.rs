//! The public keys of the token issuer, kept through its outages.

use chrono::{DateTime, Utc};
use rag_core::{
    jwks::Jwks,
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

/// After this, keys are fetched again behind the back of the next request: a key that the issuer took back
/// is trusted no longer than this while the issuer answers.
const MAX_AGE: Duration = Duration::from_mins(10);
/// The shortest time between two fetches: bounds what tokens with invented key ids can cause.
pub const COOL_DOWN: Duration = Duration::from_secs(10);
/// The same after a failure, while there are no keys at all: nobody can sign in meanwhile.
const COOL_DOWN_WITHOUT_KEYS: Duration = Duration::from_millis(500);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_KEY_SET_BYTES: usize = 64 * 1024;

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
    #[error("the key set is longer than {MAX_KEY_SET_BYTES} bytes")]
    TooLong,
    #[error("the key set is not valid")]
    Json(#[from] serde_json::Error),
    #[error("the key set is empty")]
    NoKeys,
}

#[derive(Clone)]
struct Known {
    keys: Arc<Jwks>,
    fetched: Instant,
}

/// The issuer's keys: fetched at the first token, and again when a token names an unknown key.
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
        let known = self.known();
        let fits = known
            .as_ref()
            .is_some_and(|known| known.keys.select(&token) != Err(TokenError::UnknownKey));
        let known = if fits {
            self.refresh_if_old(known.as_ref());
            known
        } else {
            self.refresh(known.as_ref().map(|known| known.fetched))
                .await;
            self.known()
        };
        let keys = known.ok_or(VerifyError::NoKeys)?.keys;
        verify::verify(keys.select(&token)?, &token)?;
        Ok(token.accept(&self.policy, now)?)
    }

    fn known(&self) -> Option<Known> {
        // A poisoned lock holds a whole value all the same: it is only ever replaced.
        let known = self.known.read();
        known
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn refresh_if_old(self: &Arc<Self>, known: Option<&Known>) {
        if let Some(fetched) = known.map(|known| known.fetched)
            && fetched.elapsed() > MAX_AGE
            && self.last_attempt.try_lock().is_ok()
        {
            let keys = Arc::clone(self);
            tokio::spawn(async move { keys.refresh(Some(fetched)).await });
        }
    }

    /// Fetches the keys, unless somebody else has since `seen`, or an attempt was made just now.
    async fn refresh(&self, seen: Option<Instant>) {
        let mut last_attempt = self.last_attempt.lock().await;
        let known = self.known().map(|known| known.fetched);
        let cool_down = match known {
            Some(_) => self.cool_down,
            None => COOL_DOWN_WITHOUT_KEYS,
        };
        if known != seen || last_attempt.is_some_and(|at| at.elapsed() < cool_down) {
            return;
        }
        match self.fetch().await {
            Ok(keys) => {
                tracing::info!(keys = keys.keys.len(), "token issuer's keys fetched");
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

    async fn fetch(&self) -> Result<Jwks, FetchError> {
        let request = self.http.get(self.url.clone()).timeout(FETCH_TIMEOUT);
        let mut response = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_KEY_SET_BYTES {
                return Err(FetchError::TooLong);
            }
        }
        let keys: Jwks = serde_json::from_slice(&body)?;
        if keys.keys.is_empty() {
            return Err(FetchError::NoKeys);
        }
        Ok(keys)
    }
}
