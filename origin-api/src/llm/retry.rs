//! When a call to the model is made again. Only before the model has begun to speak.
//!
//! Source: the behaviour of Anthropic's own clients.

use super::ModelError;
use backon::ExponentialBuilder;
use reqwest::header::HeaderMap;
use std::time::Duration;
use tower::retry::budget::TpsBudget;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
const RETRIES: usize = 2;

/// Over so long a time, there is one retry for five calls, and one for each second: a provider that is overloaded is
/// not asked three times as often for it.
const BUDGET_SPAN: Duration = Duration::from_secs(10);
const BUDGET_SHARE: f32 = 0.2;
const BUDGET_A_SECOND: u32 = 1;

/// What Anthropic and Google call a fault that passes by itself.
const PASSING: [&str; 6] = [
    "overloaded_error",
    "api_error",
    "UNAVAILABLE",
    "INTERNAL",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
];

/// The pauses where the provider names none.
pub(super) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(RETRIES)
        .with_jitter()
}

/// The retries that there are for all calls together.
pub(super) fn budget() -> TpsBudget {
    TpsBudget::new(BUDGET_SPAN, BUDGET_A_SECOND, BUDGET_SHARE)
}

/// Whether to try again. A provider that wants a longer pause than we would make is not asked again:
/// the caller is told when to come back instead.
pub(super) fn is_retryable(error: &ModelError) -> bool {
    match error {
        ModelError::Connection(_) | ModelError::Truncated => true,
        ModelError::Interrupted { kind } => PASSING.contains(&kind.as_str()),
        ModelError::Status {
            status,
            retry_after,
            should_retry,
            ..
        } => {
            should_retry.unwrap_or(matches!(status, 408 | 409 | 429 | 500..))
                && retry_after.is_none_or(|wait| wait <= LONGEST_PAUSE)
        }
        _ => false,
    }
}

/// The pause before the next try: the provider's and a little more, so that not all come back at once, else `ours`.
/// `None` where there is no next try.
pub(super) fn pause(error: &ModelError, ours: Option<Duration>) -> Option<Duration> {
    let asked = error.retry_after();
    ours.map(|ours| asked.map_or(ours, |asked| asked + ours / 4))
}

/// The pause that a reply asks for: `retry-after-ms`, else `retry-after` in seconds.
pub(super) fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1e3)
        .or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The provider's own verdict on trying again: `x-should-retry`.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    headers.get("x-should-retry")?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after_s: Option<u64>, should_retry: Option<bool>) -> ModelError {
        ModelError::Status {
            status,
            kind: "unknown".into(),
            retry_after: retry_after_s.map(Duration::from_secs),
            should_retry,
        }
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        for code in [408, 409, 429, 500, 503, 529] {
            assert!(is_retryable(&status(code, None, None)), "{code}");
        }
        for code in [400, 401, 403, 404, 413] {
            assert!(!is_retryable(&status(code, None, None)), "{code}");
        }
    }

    #[test]
    fn the_provider_has_the_last_word() {
        assert!(!is_retryable(&status(529, None, Some(false))));
        assert!(is_retryable(&status(400, None, Some(true))));
        assert!(!is_retryable(&status(429, Some(60), None)));
    }

    #[test]
    fn the_pause_is_read_in_milliseconds_first() {
        let headers = |pairs: &[(&str, &str)]| -> HeaderMap {
            let parsed = pairs
                .iter()
                .map(|(name, value)| Ok((name.parse()?, value.parse()?)));
            parsed.collect::<Result<_, axum::http::Error>>().unwrap()
        };
        let both = headers(&[("retry-after", "2"), ("retry-after-ms", "150")]);
        assert_eq!(asked_pause(&both), Some(Duration::from_millis(150)));
        let seconds = headers(&[("retry-after", "2")]);
        assert_eq!(asked_pause(&seconds), Some(Duration::from_secs(2)));
        for nonsense in ["-1", "soon", "1e300", "NaN"] {
            assert_eq!(asked_pause(&headers(&[("retry-after", nonsense)])), None);
        }
    }
}
