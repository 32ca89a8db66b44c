//! Who asks: the verified access token of the person behind the call.

use crate::{
    error::ApiError, host, requests::RequestContext, signing_keys::VerifyError, state::AppState,
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use shared_types::{
    claims::{AccessClaims, Role},
    ids::UserId,
    problem::ProblemKind,
};
use std::time::Duration;

/// A person whose token is genuine, current and meant for us.
#[derive(Clone, Debug)]
pub struct Caller(pub AccessClaims);

impl Caller {
    /// The person.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.0.sub
    }

    /// The person's role in Etude.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.app_metadata.role
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or(ApiError::new(ProblemKind::TokenMissing))?;
        let claims = state.signing_keys.verify(token, host::now()).await?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            context.identify(claims.sub);
        }
        Ok(Self(claims))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Token(error) => error.problem().into(),
            VerifyError::NoKeys => {
                Self::new(ProblemKind::AuthUnavailable).retry_after(Some(Duration::from_secs(2)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_bearer_token_is_read_in_any_case_and_nothing_else_is() {
        assert_eq!(bearer(&with("Bearer a.b.c")), Some("a.b.c"));
        assert_eq!(bearer(&with("bearer  a.b.c")), Some("a.b.c"));
        for value in ["Basic a.b.c", "Bearer ", "Bearer", "a.b.c"] {
            assert_eq!(bearer(&with(value)), None, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
