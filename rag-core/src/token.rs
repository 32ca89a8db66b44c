//! Access tokens: parsing, the choice of key, and the claims. Supabase signs with RS256 or ES256.
//!
//! The order is fixed: parse, let the host verify the signature with the key that
//! [`crate::jwks::KeySet::select`] names, then [`UnverifiedToken::accept`] the claims. So a token that
//! gets as far as a known key costs one verification, whatever is wrong with it.

use chrono::{DateTime, TimeDelta, Utc};
use jwt_compact::{Claims, UntrustedToken};
use serde::{Deserialize, de::IgnoredAny};
use shared_types::{
    claims::AccessClaims,
    problem::{Problem, ProblemKind},
};
use thiserror::Error;

#[cfg(not(target_arch = "wasm32"))]
pub mod verify;

/// The longest token that is read at all, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Tolerated difference between the issuer's clock and ours, in seconds, in both directions.
pub const CLOCK_SKEW_S: i64 = 60;

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
    /// `nbf` or `iat` has not come.
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
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::TooLarge,
        Self::Malformed,
        Self::AlgorithmRefused,
        Self::UnknownKey,
        Self::KeyMismatch,
        Self::BadSignature,
        Self::ClaimsInvalid,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIssuer,
        Self::WrongAudience,
    ];

    /// How the caller is told.
    #[must_use]
    pub fn problem_kind(self) -> ProblemKind {
        match self {
            Self::TooLarge => ProblemKind::TokenTooLarge,
            Self::Malformed => ProblemKind::TokenInvalid,
            Self::AlgorithmRefused => ProblemKind::TokenAlgorithmRefused,
            Self::UnknownKey => ProblemKind::TokenKeyUnknown,
            Self::KeyMismatch => ProblemKind::TokenKeyMismatch,
            Self::BadSignature => ProblemKind::TokenSignatureInvalid,
            Self::ClaimsInvalid => ProblemKind::TokenClaimsInvalid,
            Self::Expired => ProblemKind::TokenExpired,
            Self::NotYetValid => ProblemKind::TokenNotYetValid,
            Self::WrongIssuer => ProblemKind::TokenIssuerRefused,
            Self::WrongAudience => ProblemKind::TokenAudienceRefused,
        }
    }

    /// The refusal, with what to do about it.
    #[must_use]
    pub fn problem(self) -> Problem {
        let remedy = match self {
            Self::Expired => "Refresh the session, or sign in again.",
            Self::NotYetValid => "Check the clocks, or wait.",
            _ => "Sign in, and send the access token as it was given.",
        };
        Problem::new(self.problem_kind()).with_detail(remedy)
    }
}

/// What a token must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPolicy {
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
}

/// Header parameters beside those that the library reads.
#[derive(Debug, Deserialize)]
struct OtherParameters {
    /// Extensions that must be understood (RFC 7515, 4.1.11). We understand none.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// What a genuine token says, once it was found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedToken {
    /// Its claims.
    pub claims: AccessClaims,
    expires: DateTime<Utc>,
}

impl AcceptedToken {
    /// Whether it would be refused by now. Nothing else about it changes with time: what has begun
    /// stays begun.
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        is_past(self.expires, now)
    }
}

/// Whether a time has passed, by every clock that may be trusted. A difference rather than a sum: no
/// date in a token can overflow it.
fn is_past(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(time) > TimeDelta::seconds(CLOCK_SKEW_S)
}

/// A well-formed token about which nothing is known yet.
#[derive(Debug)]
pub struct UnverifiedToken<'a> {
    token: UntrustedToken<'a, OtherParameters>,
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
        let token: UntrustedToken<'a, OtherParameters> =
            text.try_into().map_err(|_| TokenError::Malformed)?;
        if token.header().other_fields.crit.is_some() {
            return Err(TokenError::Malformed);
        }
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

    /// Checks `exp` (required), `nbf` and `iat` (where present), issuer and audience at the time
    /// `now`. Times may be off by [`CLOCK_SKEW_S`].
    ///
    /// To be called only after the signature was found good.
    pub fn accept(
        self,
        policy: &TokenPolicy,
        now: DateTime<Utc>,
    ) -> Result<AcceptedToken, TokenError> {
        let claims = self.claims()?;
        let expires = claims.expiration.ok_or(TokenError::ClaimsInvalid)?;
        if is_past(expires, now) {
            return Err(TokenError::Expired);
        }
        for begins in [claims.not_before, claims.issued_at].into_iter().flatten() {
            if is_past(now, begins) {
                return Err(TokenError::NotYetValid);
            }
        }
        let claims = claims.custom;
        if claims.iss != policy.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.aud != policy.audience || claims.role != policy.audience {
            return Err(TokenError::WrongAudience);
        }
        Ok(AcceptedToken { claims, expires })
    }

    /// The claims, believed without a check: only for a token that its issuer has just handed over on
    /// a connection that we opened (OpenID Connect Core 1.0, 3.1.3.7, item 6).
    pub fn claims_from_issuer(&self) -> Result<AccessClaims, TokenError> {
        self.claims().map(|claims| claims.custom)
    }

    fn claims(&self) -> Result<Claims<AccessClaims>, TokenError> {
        let claims = self.token.deserialize_claims_unchecked();
        claims.map_err(|_| TokenError::ClaimsInvalid)
    }
}

#[cfg(test)]
mod tests;
