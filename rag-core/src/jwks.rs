//! JSON Web Key Sets, as far as Supabase Auth publishes them.

use crate::token::{SigningAlgorithm, TokenError, UnverifiedToken};
use serde::{Deserialize, Serialize};

/// A public key (RFC 7517). Fields that are not of the key's type are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA` or `EC`; keys of other types are kept and never selected.
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

/// A key set.
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
}

impl Jwks {
    /// The key that the token names. Its type decides the algorithm; a token that claims another is
    /// refused. A token without key id is accepted only where there is no choice.
    pub fn select(&self, token: &UnverifiedToken<'_>) -> Result<&Jwk, TokenError> {
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
}
