//! Access tokens: parsing, the choice of key, and the claims. Supabase signs with RS256 or ES256.
//!
//! The order is fixed by the types: parse, let the host verify the signature with the key that
//! [`crate::jwks::Jwks::select`] names, then [`UnverifiedToken::accept`] the claims.

use chrono::{DateTime, TimeDelta, Utc};
use jwt_compact::{TimeOptions, UntrustedToken, ValidationError};
use shared_types::{claims::AccessClaims, problem::ProblemKind};
use thiserror::Error;

#[cfg(not(target_arch = "wasm32"))]
pub mod verify;

/// The longest token that is read at all, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The signature algorithms that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Above [`MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TooLarge,
    /// Not a compact JWT.
    #[error("the token is not a JWT")]
    Malformed,
    /// Neither RS256 nor ES256.
    #[error("the token is signed with an algorithm that is not accepted")]
    AlgorithmRefused,
    /// No key of that id.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The key is for another algorithm.
    #[error("the token's algorithm is not its key's")]
    KeyMismatch,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is somebody else.
    #[error("the token was issued by somebody else")]
    WrongIssuer,
    /// `aud` is somebody else.
    #[error("the token is meant for somebody else")]
    WrongAudience,
    /// A claim is missing (`exp`, `sub`, `app_metadata.role`, …) or of the wrong type.
    #[error("the token lacks a claim")]
    ClaimsInvalid,
}

impl TokenError {
    /// How the caller is told.
    #[must_use]
    pub fn problem_kind(self) -> ProblemKind {
        match self {
            Self::Expired => ProblemKind::TokenExpired,
            _ => ProblemKind::TokenInvalid,
        }
    }
}

/// What a token must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPolicy {
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
    /// Tolerated difference between clocks, in seconds.
    pub leeway_s: i64,
}

/// A well-formed token about which nothing is known yet.
#[derive(Debug)]
pub struct UnverifiedToken<'a> {
    token: UntrustedToken<'a>,
    signed_data: &'a [u8],
    algorithm: SigningAlgorithm,
}

impl<'a> UnverifiedToken<'a> {
    /// Reads a compact JWT of at most [`MAX_TOKEN_BYTES`].
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let (signed_data, _) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let token = UntrustedToken::new(text).map_err(|_| TokenError::Malformed)?;
        let algorithm = match token.algorithm() {
            "RS256" => SigningAlgorithm::Rs256,
            "ES256" => SigningAlgorithm::Es256,
            _ => return Err(TokenError::AlgorithmRefused),
        };
        Ok(Self {
            token,
            signed_data: signed_data.as_bytes(),
            algorithm,
        })
    }

    /// The key that the token claims to be signed with.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.token.header().key_id.as_deref()
    }

    /// The algorithm that the token claims to be signed with.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The bytes that the signature is over.
    #[must_use]
    pub fn signed_data(&self) -> &'a [u8] {
        self.signed_data
    }

    /// The signature: PKCS#1 v1.5 for RS256, `r || s` for ES256.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.token.signature_bytes()
    }

    /// Checks issuer, audience, `exp` (required) and `nbf` (where present) at the time `now`.
    ///
    /// To be called only after the signature was found good.
    pub fn accept(
        self,
        policy: &TokenPolicy,
        now: DateTime<Utc>,
    ) -> Result<AccessClaims, TokenError> {
        let claims = self
            .token
            .deserialize_claims_unchecked::<AccessClaims>()
            .map_err(|_| TokenError::ClaimsInvalid)?;
        let leeway = TimeDelta::seconds(policy.leeway_s);
        claims
            .validate_expiration(&TimeOptions::new(leeway, || now))
            .map_err(|error| match error {
                ValidationError::Expired => TokenError::Expired,
                _ => TokenError::ClaimsInvalid,
            })?;
        if claims
            .not_before
            .is_some_and(|not_before| not_before > now + leeway)
        {
            return Err(TokenError::NotYetValid);
        }
        let claims = claims.custom;
        if claims.iss != policy.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.aud != policy.audience || claims.role != policy.audience {
            return Err(TokenError::WrongAudience);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests;
