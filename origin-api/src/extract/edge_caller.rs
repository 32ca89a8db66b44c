//! Proof that a call came through the edge.

use crate::{error::ApiError, state::AppState};
use axum::{extract::FromRequestParts, http::request::Parts};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use shared_types::{headers::EDGE_TOKEN, problem::ProblemKind};
use subtle::ConstantTimeEq;

/// A caller that knows the secret of the edge. It guards every `/v1` route, before anything else is read.
#[derive(Clone, Copy, Debug)]
pub struct EdgeCaller;

/// The digest of the edge's secret.
///
/// Both sides of a comparison are digests: equal in length, so the time it takes tells nothing.
#[derive(Clone)]
pub struct EdgeSecret([u8; 32]);

impl EdgeSecret {
    /// Takes the secret that the edge sends.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self(Sha256::digest(secret.expose_secret()).into())
    }

    /// Whether `candidate` is the secret, in constant time.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let candidate: [u8; 32] = Sha256::digest(candidate).into();
        self.0.ct_eq(&candidate).into()
    }
}

impl FromRequestParts<AppState> for EdgeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let sent = parts.headers.get(EDGE_TOKEN);
        match sent {
            Some(token) if state.edge_secret.matches(token.as_bytes()) => Ok(Self),
            _ => Err(ApiError::new(ProblemKind::NotFromEdge)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = EdgeSecret::new(&"between the two of us".into());
        assert!(secret.matches(b"between the two of us"));
        for wrong in [
            "",
            "between the two of u",
            "between the two of us ",
            "other",
        ] {
            assert!(!secret.matches(wrong.as_bytes()));
        }
    }
}
