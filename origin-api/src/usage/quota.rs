//! How much of the language model one person may use in a day.

use crate::{config::QuotaConfig, error::ApiError};
use chrono::{Days, NaiveTime};
use shared_types::problem::{Problem, ProblemKind};
use storage::{ReaderTx, usage::Today};

const DETAIL: &str = "You have had as many new answers as one person may have in a day. More come after midnight UTC. \
     Until then, questions that were answered lately still are.";

/// No model is asked for somebody before the next day begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp {
    /// Until then, in seconds: 1 to 86,400.
    begins_anew_s: u32,
}

impl UsedUp {
    /// Whether whoever has used so much today may use no more.
    ///
    /// A call under way counts once it has ended, so a day can end above its limit by the calls that somebody has begun at
    /// the same time.
    #[must_use]
    pub fn of(quota: &QuotaConfig, today: &Today) -> Option<Self> {
        let sums = &today.sums;
        let is_reached = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used >= limit);
        let tokens = sums.input_tokens.saturating_add(sums.output_tokens);
        let is_used_up = is_reached(quota.daily_cost_microusd, sums.cost_microusd)
            || is_reached(quota.daily_tokens, tokens);
        is_used_up.then(|| Self {
            begins_anew_s: seconds_left(today),
        })
    }
}

/// Whether the reader may use no more today. Asks the database only where there is a limit.
pub async fn used_up(
    reader: &mut ReaderTx,
    quota: &QuotaConfig,
) -> Result<Option<UsedUp>, storage::Error> {
    if quota.is_unlimited() {
        return Ok(None);
    }
    Ok(UsedUp::of(quota, &storage::usage::today(reader).await?))
}

/// Until midnight, rounded up: whoever comes back then finds a new day.
fn seconds_left(today: &Today) -> u32 {
    let midnight = today.now.date_naive() + Days::new(1);
    let left = midnight.and_time(NaiveTime::MIN).and_utc() - today.now;
    let left_s = left.num_seconds() + i64::from(left.subsec_nanos() > 0);
    u32::try_from(left_s).unwrap_or(1).max(1)
}

impl From<UsedUp> for ApiError {
    fn from(used_up: UsedUp) -> Self {
        let mut problem = Problem::new(ProblemKind::QuotaUsedUp).with_detail(DETAIL);
        problem.retry_after_s = Some(used_up.begins_anew_s);
        problem.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_types::usage::UsageSums;

    fn today(time: &str, input_tokens: u64, cost_microusd: u64) -> Today {
        Today {
            now: format!("2026-11-29T{time}Z").parse().unwrap(),
            sums: UsageSums {
                input_tokens,
                output_tokens: 10,
                cost_microusd,
                ..UsageSums::default()
            },
        }
    }

    fn quota(daily_cost_microusd: Option<u64>, daily_tokens: Option<u64>) -> QuotaConfig {
        QuotaConfig {
            daily_cost_microusd,
            daily_tokens,
        }
    }

    #[test]
    fn a_limit_is_used_up_once_it_is_reached_and_none_never_is() {
        for (quota, input_tokens, cost, is_used_up) in [
            (quota(None, None), u64::MAX, u64::MAX, false),
            (quota(Some(500), None), u64::MAX, 499, false),
            (quota(Some(500), None), 0, 500, true),
            (quota(None, Some(100)), 89, u64::MAX, false),
            (quota(None, Some(100)), 90, 0, true),
            (quota(Some(500), Some(100)), 90, 0, true),
        ] {
            let used = UsedUp::of(&quota, &today("12:00:00", input_tokens, cost));
            assert_eq!(used.is_some(), is_used_up, "{quota:?}");
        }
    }

    #[test]
    fn a_refusal_says_when_the_next_day_begins() {
        for (time, wait_s) in [
            ("00:00:00", 86_400),
            ("21:30:00", 9_000),
            ("23:59:58.2", 2),
            ("23:59:59.999999", 1),
        ] {
            let used_up = UsedUp::of(&quota(Some(1), None), &today(time, 0, 1)).unwrap();
            let error = ApiError::from(used_up);
            assert!(error.problem().is(ProblemKind::QuotaUsedUp));
            assert_eq!(error.problem().retry_after_s, Some(wait_s), "{time}");
            assert!(
                error
                    .problem()
                    .detail
                    .as_ref()
                    .unwrap()
                    .contains("midnight UTC")
            );
        }
    }
}
