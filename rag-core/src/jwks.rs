//! The sign-in service's public keys: which of them can be used, for what, and for how long.

use crate::token::{SigningAlgorithm, TokenError, UnverifiedToken};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared_types::cache::{CacheKey, CacheValue, CacheValueError};
use std::sync::Arc;
use thiserror::Error;

/// Seconds for which a key set is used before it is fetched again: so long, at most, is a key trusted
/// that the sign-in service has taken back, as long as the service answers.
pub const LIFE_S: i64 = 10 * 60;
/// The least number of seconds between two fetches for the sake of unknown keys.
pub const COOL_DOWN_S: i64 = 30;
/// Seconds for which the last set stays in use where no newer one can be had. Time enough to mend an
/// outage, and a bound on how long a stolen key goes on opening doors because somebody keeps us from
/// hearing that it was taken back.
pub const OUTAGE_S: i64 = 24 * 60 * 60;
/// The largest key set that is read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 64 * 1024;
/// The most keys of a set that are kept; a project has one or two in use.
const MAX_KEYS: usize = 16;
/// How far a time stamp may lie in the future, in seconds, before its writer's word counts for nothing.
const FUTURE_S: i64 = 60;

/// A public key (RFC 7517). Fields that are not of the key's type are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA` or `EC`; keys of other types are never used.
    pub kty: String,
    /// The key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The algorithm that the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// RSA modulus, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Curve, `P-256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// X coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Y coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

/// A key set as it is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwk {
    /// The one algorithm that this key may be used with; `None` for keys that we never use.
    #[must_use]
    pub fn algorithm(&self) -> Option<SigningAlgorithm> {
        let (algorithm, name) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (SigningAlgorithm::Rs256, "RS256"),
            ("EC", Some("P-256")) => (SigningAlgorithm::Es256, "ES256"),
            _ => return None,
        };
        self.alg
            .as_deref()
            .is_none_or(|alg| alg == name)
            .then_some(algorithm)
    }

    /// Whether the key has an algorithm, and the numbers that go with it: an RSA modulus of 2048 to
    /// 8192 bits with an odd exponent from 3 to 2^33, or two coordinates of 256 bits. Whether they
    /// are a point of the curve is for the cryptography to say.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let number = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            Base64UrlUnpadded::decode_vec(text).unwrap_or_default()
        };
        match self.algorithm() {
            Some(SigningAlgorithm::Rs256) => {
                let (modulus, exponent) = (number(&self.n), number(&self.e));
                let exponent = exponent
                    .iter()
                    .take(9)
                    .fold(0u128, |value, byte| value << 8 | u128::from(*byte));
                let is_full = modulus.first().is_some_and(|byte| *byte >= 0x80);
                is_full
                    && (256..=1024).contains(&modulus.len())
                    && (3..1 << 33).contains(&exponent)
                    && exponent % 2 == 1
            }
            Some(SigningAlgorithm::Es256) => {
                number(&self.x).len() == 32 && number(&self.y).len() == 32
            }
            None => false,
        }
    }
}

/// Why a key set is not used.
#[derive(Debug, Error)]
pub enum KeySetError {
    /// Above [`MAX_KEY_SET_BYTES`].
    #[error("the key set is too large")]
    TooLarge,
    /// Not a key set.
    #[error("the key set is not valid JSON of its type")]
    Json(#[from] serde_json::Error),
    /// No key of it can be used.
    #[error("the key set has no key that can be used")]
    NoKeys,
}

/// The keys that can be used, at least one, and when the sign-in service handed them out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct KeySet {
    keys: Vec<Arc<Jwk>>,
    fetched_at_s: i64,
}

/// A key set as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    fetched_at_s: i64,
    keys: Vec<Jwk>,
}

impl TryFrom<Kept> for KeySet {
    type Error = &'static str;

    /// Refuses what [`KeySet::read`] could not have made: it was not written by us.
    fn try_from(kept: Kept) -> Result<Self, Self::Error> {
        let is_ours = !kept.keys.is_empty()
            && kept.keys.len() <= MAX_KEYS
            && kept.keys.iter().all(Jwk::is_sound);
        if !is_ours {
            return Err("keys that can be used");
        }
        Ok(Self {
            keys: kept.keys.into_iter().map(Arc::new).collect(),
            fetched_at_s: kept.fetched_at_s,
        })
    }
}

impl From<KeySet> for Kept {
    fn from(set: KeySet) -> Self {
        let keys = set.keys.into_iter().map(Arc::unwrap_or_clone);
        Self {
            fetched_at_s: set.fetched_at_s,
            keys: keys.collect(),
        }
    }
}

impl KeySet {
    /// Reads the body that the sign-in service sent at `fetched_at_s`, in seconds since 1970. Keys
    /// that can't be used are left out.
    pub fn read(body: &[u8], fetched_at_s: i64) -> Result<Self, KeySetError> {
        if body.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let published: Jwks = serde_json::from_slice(body)?;
        let sound = published.keys.into_iter().filter(Jwk::is_sound);
        let keys: Vec<Arc<Jwk>> = sound.take(MAX_KEYS).map(Arc::new).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKeys);
        }
        Ok(Self { keys, fetched_at_s })
    }

    /// The key that the token names. Its type decides the algorithm; a token that claims another is
    /// refused. A token without key id is accepted only where there is no choice.
    pub fn select(&self, token: &UnverifiedToken<'_>) -> Result<&Arc<Jwk>, TokenError> {
        let key = match token.key_id() {
            Some(kid) => self.keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            None if self.keys.len() == 1 => self.keys.first(),
            None => None,
        };
        let key = key.ok_or(TokenError::UnknownKey)?;
        if key.algorithm() == Some(token.algorithm()) {
            Ok(key)
        } else {
            Err(TokenError::KeyMismatch)
        }
    }

    /// Whether a key comes from this very set.
    #[must_use]
    pub fn holds(&self, key: &Arc<Jwk>) -> bool {
        self.keys.iter().any(|own| Arc::ptr_eq(own, key))
    }

    /// When the sign-in service handed the set out, in seconds since 1970.
    #[must_use]
    pub fn fetched_at_s(&self) -> i64 {
        self.fetched_at_s
    }

    /// Whether the set needs no other: it is younger than [`LIFE_S`].
    #[must_use]
    pub fn is_current(&self, now_s: i64) -> bool {
        self.is_younger_than(LIFE_S, now_s)
    }

    /// Whether the set is too new to be fetched again for a key that it lacks.
    #[must_use]
    pub fn is_cooling(&self, now_s: i64) -> bool {
        self.is_younger_than(COOL_DOWN_S, now_s)
    }

    /// Whether the set may be used at all: it is younger than [`OUTAGE_S`].
    #[must_use]
    pub fn is_usable(&self, now_s: i64) -> bool {
        self.is_younger_than(OUTAGE_S, now_s)
    }

    fn is_younger_than(&self, limit_s: i64, now_s: i64) -> bool {
        now_s
            .checked_sub(self.fetched_at_s)
            .is_some_and(|age_s| (-FUTURE_S..limit_s).contains(&age_s))
    }
}

/// `jwks:v1:` — the key set at one address. 24 h, as long as it may be used.
pub struct KeySetKey<'a> {
    /// Where the set is published.
    pub url: &'a str,
}

impl CacheKey for KeySetKey<'_> {
    type Value = KeySet;
    const TTL_S: u32 = OUTAGE_S as u32;
    fn text(&self) -> String {
        format!("jwks:v1:{}", hex::encode(Sha256::digest(self.url)))
    }
}

impl CacheValue for KeySet {
    fn encode(&self) -> Vec<u8> {
        // Strings and an integer always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
    fn decode(bytes: &[u8]) -> Result<Self, CacheValueError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests;
