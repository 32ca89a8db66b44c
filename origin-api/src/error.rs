//! [`ApiError`]: what a handler answers with when it can't do what it was asked.

use axum::{
    extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use shared_types::problem::{PROBLEM_JSON, Problem, ProblemKind};
use std::{error::Error, fmt::Write as _, time::Duration};

/// The longest wait that is ever asked of a caller.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// A refusal or a failure, on its way to a problem+json response.
///
/// The cause stays inside: it reaches the log through [`Failure`], never the body.
#[derive(Debug)]
pub struct ApiError {
    /// Boxed, so that a result is not the size of its error.
    problem: Box<Problem>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the completion line tells of a failed request; an extension of its response.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The body that was sent.
    pub problem: Problem,
    /// The cause and its causes, outermost first. Absent on a plain refusal.
    pub cause: Option<String>,
}

impl ApiError {
    /// A refusal without a cause.
    #[must_use]
    pub fn new(kind: ProblemKind) -> Self {
        Self {
            problem: Problem::new(kind).into(),
            source: None,
        }
    }

    /// A refusal that says what the caller can do about it.
    #[must_use]
    pub fn refused(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            problem: Problem::new(kind).with_detail(detail).into(),
            source: None,
        }
    }

    /// A failure with its cause.
    #[must_use]
    pub fn caused(kind: ProblemKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            problem: Problem::new(kind).into(),
            source: Some(source.into()),
        }
    }

    /// Asks the caller to come back after `wait`, rounded up to seconds and capped at a minute.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        if let Some(wait) = wait {
            let seconds = wait.min(MAX_RETRY_AFTER).as_secs_f64().ceil();
            self.problem.retry_after_s = Some((seconds as u32).max(1));
        }
        self
    }

    /// The body.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The cause and its causes, outermost first.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        self.source.as_deref().map(|source| chain(source))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = problem_response(&self.problem);
        let cause = self.cause();
        response.extensions_mut().insert(Failure {
            problem: *self.problem,
            cause,
        });
        response
    }
}

/// `problem` as a response: its status, its media type, and `Retry-After` where it asks for another try.
#[must_use]
pub fn problem_response(problem: &Problem) -> Response {
    // String keys and integers only: always serialises.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// `error` and everything that caused it, joined by `: `.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

impl From<Problem> for ApiError {
    /// A refusal that is worded already.
    fn from(problem: Problem) -> Self {
        Self {
            problem: problem.into(),
            source: None,
        }
    }
}

impl From<storage::Error> for ApiError {
    fn from(error: storage::Error) -> Self {
        Self::caused(error.problem_kind(), error)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::BytesRejection(BytesRejection::FailedToBufferBody(_))
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
            {
                Self::new(ProblemKind::BodyTooLarge)
            }
            other => Self::refused(ProblemKind::BodyInvalid, other.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::refused(ProblemKind::ParametersInvalid, rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        // A path that can't hold an identifier names nothing.
        Self::new(ProblemKind::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("the connection pool failed")]
    struct Pool(#[source] io::Error);

    fn failure() -> ApiError {
        ApiError::caused(
            ProblemKind::Internal,
            Pool(io::Error::other("password of postgres is wrong")),
        )
    }

    #[test]
    fn a_failure_of_ours_shows_no_cause_and_keeps_it_for_the_log() {
        let response = failure().into_response();
        assert_eq!(response.status(), 500);
        let failure = response.extensions().get::<Failure>().unwrap();
        insta::assert_json_snapshot!(failure.problem, @r#"
        {
          "type": "urn:etude:problem:internal",
          "title": "Something went wrong on our side",
          "status": 500
        }
        "#);
        assert_eq!(
            failure.cause.as_deref(),
            Some("the connection pool failed: password of postgres is wrong")
        );
    }

    #[test]
    fn an_unavailable_part_says_when_to_come_back() {
        for (asked, header) in [(None, "1"), (Some(1_200), "2"), (Some(3_600_000), "60")] {
            let response = ApiError::new(ProblemKind::ModelUnavailable)
                .retry_after(asked.map(Duration::from_millis))
                .into_response();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], header);
            assert_eq!(response.headers()["content-type"], PROBLEM_JSON);
        }
    }
}
