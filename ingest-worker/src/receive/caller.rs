//! Who pushes: Pub/Sub, by a token that Google signed for the subscription's service account.

use crate::config::ReceiveConfig;
use base64ct::{Base64UrlUnpadded, Encoding};
use chrono::{DateTime, Utc};
use rag_core::{
    jwks::{KeySet, KeySetError, MAX_KEY_SET_BYTES},
    token::{CLOCK_SKEW_S, TokenError, UnverifiedToken, verify},
};
use shared_types::google::ServiceAccountClaims;
use std::time::Duration;
use thiserror::Error;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

/// Google names itself in one of these two ways.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a push is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no bearer token.
    #[error("the push has no token")]
    NoToken,
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token is good, and another account's.
    #[error("the token is of another service account")]
    AnotherAccount,
    /// Google's keys could not be fetched.
    #[error("the keys of tokens are not known yet")]
    NoKeys,
}

#[derive(Debug, Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// Verifies tokens of pushes. Keys are fetched at the first, once they are old, and when a token names an unknown one.
pub struct Callers {
    http: reqwest::Client,
    jwks_url: Url,
    audience: String,
    service_account: String,
    cool_down: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Option<KeySet>,
    tried: Option<Instant>,
}

impl Callers {
    /// Who may push, as `config` says. Fetches nothing yet.
    pub fn new(config: &ReceiveConfig) -> anyhow::Result<Self> {
        Ok(Self {
            http: super::cloud_run::client(&config.jwks_url)?,
            jwks_url: config.jwks_url.clone(),
            audience: config.audience.clone(),
            service_account: config.service_account.clone(),
            cool_down: config.key_cool_down,
            known: Mutex::default(),
        })
    }

    /// Whether this token is Pub/Sub's at the time `now`.
    pub async fn verify(&self, token: Option<&str>, now: DateTime<Utc>) -> Result<(), Refused> {
        let token = UnverifiedToken::parse(token.ok_or(Refused::NoToken)?)?;
        self.verify_signature(&token, now).await?;
        let claims = claims(&token).ok_or(TokenError::ClaimsInvalid)?;
        let now_s = now.timestamp();
        if now_s.saturating_sub(claims.exp) > CLOCK_SKEW_S {
            return Err(TokenError::Expired.into());
        }
        if claims.iat.saturating_sub(now_s) > CLOCK_SKEW_S {
            return Err(TokenError::NotYetValid.into());
        }
        if !ISSUERS.contains(&claims.iss.as_str()) {
            return Err(TokenError::WrongIssuer.into());
        }
        if claims.aud != self.audience {
            return Err(TokenError::WrongAudience.into());
        }
        if claims.email != self.service_account || !claims.email_verified {
            return Err(Refused::AnotherAccount);
        }
        Ok(())
    }

    async fn verify_signature(
        &self,
        token: &UnverifiedToken<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let mut known = self.known.lock().await;
        let now_s = now.timestamp();
        let lacks = known.keys.as_ref().is_none_or(|keys| {
            !keys.is_current(now_s) || keys.select(token) == Err(TokenError::UnknownKey)
        });
        let is_cooling = known.tried.is_some_and(|at| at.elapsed() < self.cool_down);
        if lacks && !is_cooling {
            match self.fetch(now_s).await {
                Ok(keys) => known.keys = Some(keys),
                Err(error) => tracing::warn!(error = %error, "the keys of tokens were not fetched"),
            }
            known.tried = Some(Instant::now());
        }
        let keys = known.keys.as_ref().filter(|keys| keys.is_usable(now_s));
        let key = keys.ok_or(Refused::NoKeys)?.select(token)?;
        Ok(verify::verify(key, token)?)
    }

    async fn fetch(&self, now_s: i64) -> Result<KeySet, FetchError> {
        let request = self.http.get(self.jwks_url.clone()).timeout(FETCH_TIMEOUT);
        let mut response = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_KEY_SET_BYTES {
                return Err(KeySetError::TooLarge.into());
            }
        }
        Ok(KeySet::read(&body, now_s)?)
    }
}

/// What the token says; to be asked only after its signature was found good.
fn claims(token: &UnverifiedToken<'_>) -> Option<ServiceAccountClaims> {
    let signed = std::str::from_utf8(token.signed_data()).ok()?;
    let (_, payload) = signed.split_once('.')?;
    let payload = Base64UrlUnpadded::decode_vec(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}
