//! What questions take of the language model: recorded, shown, and bounded.

use crate::{
    answer::{ANSWER, BEGINNING, OVERLOADED, asking, library, names, paused, whole},
    clouds::Reply,
    flights::until,
    origin::{Origin, events, problem},
};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    event::AnswerEvent,
    problem::ProblemKind,
    usage::{UsageReport, UsageSums},
};
use sqlx::Executor;

const PRICES: [(&str, &str); 4] = [
    ("LLM_INPUT_PRICE_MICROUSD", "1000000"),
    ("LLM_OUTPUT_PRICE_MICROUSD", "5000000"),
    ("LLM_CACHE_READ_PRICE_MICROUSD", "100000"),
    ("LLM_CACHE_WRITE_PRICE_MICROUSD", "1250000"),
];
const USAGE: &str = "/v1/account/usage";

/// An answer that was told to its end, and one that was begun.
const WHOLE: UsageSums = UsageSums {
    calls: 1,
    input_tokens: 99,
    output_tokens: 12,
    cache_read_tokens: 8,
    cache_write_tokens: 0,
    cost_microusd: 152,
};
const BEGUN: UsageSums = UsageSums {
    output_tokens: 1,
    cost_microusd: 97,
    ..WHOLE
};

/// An origin that knows prices, with these variables.
async fn priced(variables: &[(&str, &str)]) -> Origin {
    Origin::start_with(&[&PRICES, variables].concat()).await
}

async fn report(origin: &Origin, who: &AccessClaims) -> UsageReport {
    let response = origin.get(who, USAGE).await;
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// What somebody has used today, once it is on record.
async fn recorded(origin: &Origin, who: &AccessClaims) -> UsageSums {
    until(async || !report(origin, who).await.days.is_empty()).await;
    report(origin, who).await.days[0].sums
}

async fn ask(origin: &Origin, who: &AccessClaims, request: &Value) -> Vec<AnswerEvent> {
    events(origin.post(who, ANSWER, request).await).await
}

#[tokio::test]
async fn two_who_are_told_one_answer_have_it_recorded_for_the_first_alone() {
    let origin = priced(&[]).await;
    let (student, chunk) = library(&origin).await;
    let other = origin.database.person(Role::Student).await;
    origin.clouds.will(paused());
    let first = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    let second = origin.post(&other, ANSWER, &asking(chunk, 0.8)).await;
    origin.clouds.go_on();
    for told in [events(first).await, events(second).await] {
        let Some(AnswerEvent::Done(done)) = told.last() else {
            panic!("{told:?}");
        };
        assert_eq!(done.usage.cost_microusd, Some(152));
    }
    assert_eq!(recorded(&origin, &student).await, WHOLE);
    assert!(report(&origin, &other).await.days.is_empty());
}

#[tokio::test]
async fn an_answer_that_broke_off_is_recorded_as_far_as_it_came() {
    let origin = priced(&[]).await;
    let (student, chunk) = library(&origin).await;
    let broken = Reply::Paused(BEGINNING.into(), OVERLOADED.into());
    origin.clouds.will(broken);
    let response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    origin.clouds.go_on();
    assert_eq!(names(&events(response).await), ["delta", "error"]);
    assert_eq!(recorded(&origin, &student).await, BEGUN);
}

#[tokio::test]
async fn an_answer_whose_last_listener_left_is_recorded_too() {
    let origin = priced(&[]).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let mut response = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    assert_eq!(recorded(&origin, &student).await, BEGUN);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_its_record() {
    let origin = priced(&[]).await;
    let (student, chunk) = library(&origin).await;
    let mut held = origin.database.owner.begin().await.unwrap();
    held.execute("lock table model_usage in access exclusive mode")
        .await
        .unwrap();
    for _ in 0..3 {
        origin.clouds.will(whole());
        let told = ask(&origin, &student, &asking(chunk, 0.8)).await;
        assert_eq!(names(&told).last(), Some(&"done"));
    }
    held.rollback().await.unwrap();
    until(async || {
        let days = report(&origin, &student).await.days;
        days.first().is_some_and(|day| day.sums.calls == 3)
    })
    .await;
}

#[tokio::test]
async fn who_has_used_up_the_day_is_refused_before_a_model_is_asked_until_the_next() {
    for limit in [
        ("DAILY_COST_LIMIT_MICROUSD", "152"),
        ("DAILY_TOKEN_LIMIT", "111"),
    ] {
        let origin = priced(&[limit]).await;
        let (student, chunk) = library(&origin).await;
        let other = origin.database.person(Role::Student).await;
        origin.clouds.will(whole());
        ask(&origin, &student, &asking(chunk, 0.8)).await;
        assert_eq!(recorded(&origin, &student).await, WHOLE);

        let refused = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
        let header = refused.headers()["retry-after"].clone();
        let told = problem(refused, ProblemKind::QuotaUsedUp).await;
        let wait_s = told.retry_after_s.unwrap();
        assert!((1..=86_400).contains(&wait_s), "{wait_s}");
        assert_eq!(header.to_str().unwrap(), wait_s.to_string());
        assert!(told.detail.unwrap().contains("midnight UTC"));
        assert_eq!(origin.clouds.inside().model_calls.len(), 1);

        // What asks no model, and other people, are as before.
        let doubtful = ask(&origin, &student, &asking(chunk, 0.29)).await;
        assert_eq!(names(&doubtful), ["delta", "done"]);
        origin.clouds.will(whole());
        ask(&origin, &other, &asking(chunk, 0.8)).await;

        sqlx::query("update model_usage set day = day - 1")
            .execute(&origin.database.owner)
            .await
            .unwrap();
        origin.clouds.will(whole());
        let told = ask(&origin, &student, &asking(chunk, 0.8)).await;
        assert_eq!(names(&told).last(), Some(&"done"));
    }
}

#[tokio::test]
async fn what_asks_no_model_is_not_recorded() {
    let origin = priced(&[]).await;
    let (student, chunk) = library(&origin).await;
    ask(&origin, &student, &asking(chunk, 0.29)).await;
    origin.clouds.will(Reply::Status(400, &[]));
    let failed = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    problem(failed, ProblemKind::ModelUnavailable).await;
    // Records are kept in the order in which they come: the first one tells that there was none before.
    origin.clouds.will(whole());
    ask(&origin, &student, &asking(chunk, 0.8)).await;
    assert_eq!(recorded(&origin, &student).await, WHOLE);
}

#[tokio::test]
async fn a_report_holds_as_many_days_as_are_asked_for() {
    let origin = priced(&[]).await;
    let student = origin.database.person(Role::Student).await;
    sqlx::query(
        "insert into model_usage \
         select $1, (now() at time zone 'utc')::date - age, 1, 99, 12, 8, 0, 152 \
         from generate_series(0, 99) as age",
    )
    .bind(student.sub.0)
    .execute(&origin.database.owner)
    .await
    .unwrap();
    let days = report(&origin, &student).await.days;
    assert_eq!(days.len(), 90);
    assert!(days.is_sorted_by(|newer, older| newer.day > older.day));
    let response = origin.get(&student, "/v1/account/usage?limit=1").await;
    let newest: Value = response.json().await.unwrap();
    let expected = json!({ "days": [{
        "day": days[0].day, "calls": 1, "input_tokens": 99, "output_tokens": 12, "cache_read_tokens": 8,
        "cache_write_tokens": 0, "cost_microusd": 152,
    }] });
    assert_eq!(newest, expected);
    for wrong in ["limit=0", "limit=91", "limit=x", "day=1"] {
        let refused = origin.get(&student, &format!("{USAGE}?{wrong}")).await;
        problem(refused, ProblemKind::ParametersInvalid).await;
    }
}
