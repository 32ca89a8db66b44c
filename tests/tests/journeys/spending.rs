//! What answers take of the language model, and a student who has used up her day.

use journeys::{WALTZ, journey_with};
use local_stack::{Client, StackConfig};
use reqwest::Method;
use serde_json::json;
use shared_types::{
    chat::CacheOutcome,
    problem::{Problem, ProblemKind},
    usage::{UsageReport, UsageSums},
};
use std::time::Duration;

const DAMPERS: &str = "What does the pedal do to the dampers?";

/// One answer a day is as much as anybody may have.
fn one_answer_a_day(config: StackConfig) -> StackConfig {
    config.with_variable("origin", "DAILY_COST_LIMIT_MICROUSD", "1")
}

/// What somebody has used, once the first answer is on record.
async fn used(browser: &Client) -> UsageSums {
    for _ in 0..100 {
        let request = browser.request(Method::GET, "/api/account/usage");
        let report: UsageReport = request.send().await.unwrap().json().await.unwrap();
        if let [day] = &*report.days {
            return day.sums;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is put on record");
}

#[test]
fn who_has_used_up_the_day_is_told_when_the_next_begins_and_still_what_is_kept() {
    journey_with(one_answer_a_day, async |school| {
        school.shows_pedalling().await;
        let browser = &school.student.browser;
        let usage = browser.ask_json(WALTZ).await.unwrap().usage;
        let expected = UsageSums {
            calls: 1,
            input_tokens: usage.input_tokens.into(),
            output_tokens: usage.output_tokens.into(),
            cost_microusd: usage.cost_microusd.unwrap(),
            ..UsageSums::default()
        };
        assert!(expected.cost_microusd > 0);
        assert_eq!(used(browser).await, expected);

        let request = browser.request(Method::POST, "/api/chat/query");
        let request = request.json(&json!({ "query": DAMPERS }));
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), 429);
        let retry_after = refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .to_owned();
        let problem: Problem = refused.json().await.unwrap();
        assert!(problem.is(ProblemKind::QuotaUsedUp), "{problem:?}");
        let wait_s = problem.retry_after_s.unwrap();
        assert!((1..=86_400).contains(&wait_s), "{wait_s}");
        assert_eq!(retry_after, wait_s.to_string());
        assert!(problem.detail.unwrap().contains("midnight UTC"));

        let kept = browser.ask_to_end(WALTZ).await.unwrap();
        assert_eq!(kept.meta.unwrap().cache.answer, CacheOutcome::Hit);
        assert_eq!(kept.done.unwrap().usage, usage);
        assert_eq!(used(browser).await, expected);

        let teacher = &school.teacher.browser;
        assert!(teacher.ask_to_end(DAMPERS).await.unwrap().done.is_some());
    });
}
