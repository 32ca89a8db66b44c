//! RFC 9457 problem details: the one shape in which every HTTP boundary of Etude refuses or fails.

use crate::ids::RequestId;
use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`] body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, as a stable name that clients may match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// Neither a bearer token nor a session cookie.
    TokenMissing,
    /// The access token is no JWT.
    TokenInvalid,
    /// The access token is longer than any that is read.
    TokenTooLarge,
    /// The access token is signed with an algorithm that is never accepted.
    TokenAlgorithmRefused,
    /// The access token names a key that is not in the key set.
    TokenKeyUnknown,
    /// The access token's algorithm is not that of the key it names.
    TokenKeyMismatch,
    /// The access token's signature is not by the key it names.
    TokenSignatureInvalid,
    /// The access token lacks a claim, or has one of a wrong type.
    TokenClaimsInvalid,
    /// The access token was good once.
    TokenExpired,
    /// The access token will be good later.
    TokenNotYetValid,
    /// The access token was issued by somebody else.
    TokenIssuerRefused,
    /// The access token is meant for somebody else.
    TokenAudienceRefused,
    /// The access token is genuine, and its session was ended.
    TokenSessionEnded,
    /// The refresh token was used before: whoever holds its successor may be a thief, so the session
    /// has ended.
    RefreshTokenReused,
    /// The refresh token is unknown, or its session has ended.
    RefreshTokenRefused,
    /// A cookie came without proof that a page of ours sent it.
    CsrfRefused,
    /// The caller is known and may not do this.
    Forbidden,
    /// The call did not come through the edge.
    NotFromEdge,
    /// The e-mail address or password is wrong.
    SignInRefused,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// This path exists under another method.
    MethodNotAllowed,
    /// A parameter in the URL is none that this endpoint takes.
    ParametersInvalid,
    /// The body can't be read as what this endpoint takes.
    BodyInvalid,
    /// The body is larger than this endpoint takes.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTooSlow,
    /// A header is longer than we read.
    HeadersTooLarge,
    /// The question is empty or too long.
    QueryInvalid,
    /// The file is none that we accept (size, name, type).
    UploadRefused,
    /// The object was not uploaded, or is not what was announced.
    UploadMismatch,
    /// The thing is not in the state that this call needs.
    Conflict,
    /// A condition of the request (`If-Match`, `If-Unmodified-Since`) does not hold.
    PreconditionFailed,
    /// The file has no such bytes; `Content-Range` says how many it has.
    RangeNotSatisfiable,
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited,
    /// The caller's share of model answers for today is used up; `Retry-After` says when the next day begins.
    QuotaUsedUp,
    /// The service has as much in work as it may; `Retry-After` says when to come back.
    Overloaded,
    /// The origin did not answer in time or failed.
    OriginUnavailable,
    /// The language model did not answer in time or failed.
    ModelUnavailable,
    /// The language model's answer broke off.
    AnswerInterrupted,
    /// The embedding service did not answer in time or failed.
    EmbeddingUnavailable,
    /// The sign-in service did not answer in time or failed.
    AuthUnavailable,
    /// Object storage did not answer in time or failed.
    StorageUnavailable,
    /// A fault of ours.
    Internal,
}

impl ProblemKind {
    /// The HTTP status that goes with the kind.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TokenMissing
            | Self::TokenInvalid
            | Self::TokenTooLarge
            | Self::TokenAlgorithmRefused
            | Self::TokenKeyUnknown
            | Self::TokenKeyMismatch
            | Self::TokenSignatureInvalid
            | Self::TokenClaimsInvalid
            | Self::TokenExpired
            | Self::TokenNotYetValid
            | Self::TokenIssuerRefused
            | Self::TokenAudienceRefused
            | Self::TokenSessionEnded
            | Self::RefreshTokenReused
            | Self::RefreshTokenRefused
            | Self::SignInRefused => 401,
            Self::CsrfRefused | Self::Forbidden | Self::NotFromEdge => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::BodyTooSlow => 408,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::RangeNotSatisfiable => 416,
            Self::BodyTooLarge => 413,
            Self::ParametersInvalid
            | Self::BodyInvalid
            | Self::QueryInvalid
            | Self::UploadRefused
            | Self::UploadMismatch => 422,
            Self::RateLimited | Self::QuotaUsedUp => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::Overloaded
            | Self::OriginUnavailable
            | Self::ModelUnavailable
            | Self::AnswerInterrupted
            | Self::EmbeddingUnavailable
            | Self::AuthUnavailable
            | Self::StorageUnavailable => 503,
        }
    }

    /// A sentence for people, the same for every occurrence.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::TokenMissing => "Sign in first",
            Self::TokenInvalid => "The access token is not a JWT",
            Self::TokenTooLarge => "The access token is too large",
            Self::TokenAlgorithmRefused => "The access token's algorithm is not accepted",
            Self::TokenKeyUnknown => "The access token's key is not known",
            Self::TokenKeyMismatch => "The access token's algorithm is not its key's",
            Self::TokenSignatureInvalid => "The access token's signature is wrong",
            Self::TokenClaimsInvalid => "The access token lacks a claim",
            Self::TokenExpired => "The access token has expired",
            Self::TokenNotYetValid => "The access token is not valid yet",
            Self::TokenIssuerRefused => "The access token was issued by somebody else",
            Self::TokenAudienceRefused => "The access token is meant for somebody else",
            Self::TokenSessionEnded => "The session has ended",
            Self::RefreshTokenReused => "The refresh token was used before",
            Self::RefreshTokenRefused => "The refresh token is not valid",
            Self::CsrfRefused => "Not sent by a page of ours",
            Self::Forbidden => "Not allowed",
            Self::NotFromEdge => "Calls come through the edge",
            Self::SignInRefused => "Sign-in refused",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::ParametersInvalid => "A parameter is not valid",
            Self::BodyInvalid => "The request body is not valid",
            Self::BodyTooLarge => "The request body is too large",
            Self::BodyTooSlow => "The request body did not come in time",
            Self::HeadersTooLarge => "A request header is too long",
            Self::QueryInvalid => "The question is not valid",
            Self::UploadRefused => "The file is not accepted",
            Self::UploadMismatch => "The uploaded file is not what was announced",
            Self::Conflict => "Not possible in this state",
            Self::PreconditionFailed => "The file is not the one you know",
            Self::RangeNotSatisfiable => "The file is shorter than that",
            Self::RateLimited => "Too many requests",
            Self::QuotaUsedUp => "Enough new answers for today",
            Self::Overloaded => "Too much to do right now",
            Self::OriginUnavailable => "The library is unavailable",
            Self::ModelUnavailable => "The language model is unavailable",
            Self::AnswerInterrupted => "The answer broke off",
            Self::EmbeddingUnavailable => "The embedding service is unavailable",
            Self::AuthUnavailable => "The sign-in service is unavailable",
            Self::StorageUnavailable => "File storage is unavailable",
            Self::Internal => "Something went wrong on our side",
        }
    }

    /// The stable `type` of the problem: `urn:etude:problem:<kebab-case kind>`.
    #[must_use]
    pub fn type_uri(self) -> String {
        let name = serde_json::to_value(self).ok();
        let name = name.as_ref().and_then(serde_json::Value::as_str);
        format!("urn:etude:problem:{}", name.unwrap_or("internal"))
    }
}

/// A problem+json body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:etude:problem:<kind>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// [`ProblemKind::title`].
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about this occurrence. Never a cause from inside on a 5xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request id, to quote in a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Seconds to wait before another try; also sent as `Retry-After` on 429 and 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem of this kind, without detail. A 429 or 503 asks for another try in a second.
    #[must_use]
    pub fn new(kind: ProblemKind) -> Self {
        let status = kind.status();
        Self {
            type_uri: kind.type_uri(),
            title: kind.title().to_owned(),
            status,
            detail: None,
            instance: None,
            retry_after_s: matches!(status, 429 | 503).then_some(1),
        }
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the request id.
    #[must_use]
    pub fn with_instance(mut self, request_id: RequestId) -> Self {
        self.instance = Some(request_id.to_string());
        self
    }

    /// Whether the problem is of this kind.
    #[must_use]
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.type_uri == kind.type_uri()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_a_stable_shape() {
        let problem = Problem::new(ProblemKind::RateLimited)
            .with_detail("At most 20 questions in 10 seconds.")
            .with_instance(RequestId(uuid::Uuid::from_u128(0x7d4e)));
        insta::assert_json_snapshot!(problem, @r#"
        {
          "type": "urn:etude:problem:rate-limited",
          "title": "Too many requests",
          "status": 429,
          "detail": "At most 20 questions in 10 seconds.",
          "instance": "00000000-0000-0000-0000-000000007d4e",
          "retry_after_s": 1
        }
        "#);
    }
}
