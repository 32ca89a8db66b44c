//! How much the edge takes on: `docs/LIMITS.md` line by line.

use crate::support::{
    Edge, Failure, Sent,
    library::{FIRST_STUDENT, Library},
    request,
};
use edge_worker::{
    gateway::{
        admission::MAX_IN_WORK,
        protection::{MAX_COOKIE_BYTES, MAX_HEADER_BYTES},
    },
    ports::Allowance,
    router::Route,
};
use futures_util::future::join_all;
use http::Method;
use rag_core::token::MAX_TOKEN_BYTES;
use serde_json::json;
use shared_types::{
    chat::{MAX_FILTER_IDS, MAX_QUERY_CHARS},
    problem::{Problem, ProblemKind},
};
use uuid::Uuid;

const DOCUMENT: &str = include_str!("../../../docs/LIMITS.md");
const QUESTION: &str = "/api/chat/query";

fn edge() -> Edge {
    Edge::new(Library::of_two_teachers())
}

fn asking(edge: &Edge, body: &serde_json::Value) -> Sent {
    edge.signed_in(FIRST_STUDENT, Method::POST, QUESTION, &body.to_string())
}

async fn refusal(edge: &Edge, sent: Sent) -> Problem {
    let reply = edge.send(sent).await;
    let problem = reply.problem();
    let retry_after = reply.headers.get("retry-after");
    assert_eq!(
        retry_after.map(|value| value.to_str().unwrap().to_owned()),
        problem.retry_after_s.map(|seconds| seconds.to_string()),
    );
    problem
}

/// Holds a line of the document against what was refused.
fn documented(what: &str, limit: &str, problem: &Problem) {
    let name = problem.type_uri.rsplit(':').next().unwrap();
    let line = format!("| {what} | {limit} | {} `{name}` |", problem.status);
    assert!(DOCUMENT.contains(&line), "docs/LIMITS.md lacks: {line}");
}

fn grouped(number: usize) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{},{:03}", number / 1_000, number % 1_000)
    }
}

#[tokio::test]
async fn a_question_is_bounded_in_every_way() {
    let edge = edge();
    let long = "a".repeat(MAX_QUERY_CHARS);
    let reply = edge.ask(FIRST_STUDENT, &long).await;
    assert!(reply.is_done(), "{}", reply.body);
    edge.calls();

    let longer = asking(&edge, &json!({"query": long + "a"}));
    let limit = format!("{} characters", grouped(MAX_QUERY_CHARS));
    documented("Question", &limit, &refusal(&edge, longer).await);

    let ids: Vec<Uuid> = (0..=MAX_FILTER_IDS as u128).map(Uuid::from_u128).collect();
    for (what, kind) in [("Documents", "document_ids"), ("Owners", "owner_ids")] {
        let wide = asking(&edge, &json!({"query": "q", "filters": {kind: ids}}));
        let problem = refusal(&edge, wide).await;
        let what = format!("{what} that a question is narrowed to");
        documented(&what, &MAX_FILTER_IDS.to_string(), &problem);
        assert!(problem.detail.unwrap().contains(kind));
    }

    let limit = Route::ChatQuery.body_limit();
    let large = asking(&edge, &json!({"query": " ".repeat(limit)}));
    let limit = format!("{} KiB", limit / 1_024);
    documented("Body of a question", &limit, &refusal(&edge, large).await);
    assert!(edge.calls().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn other_bodies_are_bounded() {
    let edge = edge();
    let limit = Route::Login.body_limit();
    let large = " ".repeat(limit + 1);
    let create = edge.signed_in(FIRST_STUDENT, Method::POST, "/api/documents", &large);
    let problem = refusal(&edge, create).await;
    documented(
        "Any other body",
        &format!("{} KiB", limit / 1_024),
        &problem,
    );

    // One whose length is announced is refused unread.
    let mut announced = edge.signed_in(FIRST_STUDENT, Method::POST, "/api/documents", "{}");
    announced.headers.content_length = Some(limit + 1);
    let problem = refusal(&edge, announced).await;
    assert!(problem.is(ProblemKind::BodyTooLarge));
}

#[tokio::test]
async fn nobody_is_waited_for_who_does_not_send_what_was_begun() {
    let edge = edge();
    let mut sent = asking(&edge, &json!({"query": "scales?"}));
    sent.body.truncate(5);
    sent.stalls = true;
    let asked_at_ms = edge.world.time.now_ms();
    documented(
        "Time that a body takes to come",
        "2 s",
        &refusal(&edge, sent).await,
    );
    assert_eq!(edge.world.time.now_ms() - asked_at_ms, 2_000);
    assert_eq!(edge.calls(), ["jwks"], "nobody else was asked");
}

#[tokio::test]
async fn tokens_and_headers_are_bounded() {
    let edge = edge();
    let mut sent = request(Method::GET, "/api/auth/me", "");
    sent.headers.authorization = Some(format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1)));
    let limit = format!("{} KiB", MAX_TOKEN_BYTES / 1_024);
    documented("Access token", &limit, &refusal(&edge, sent).await);

    let too_long = "a".repeat(MAX_HEADER_BYTES + 1);
    for set in [
        |sent: &mut Sent, value: String| sent.headers.accept = Some(value),
        |sent: &mut Sent, value: String| sent.headers.origin = Some(value),
        |sent: &mut Sent, value: String| sent.headers.edge_token = Some(value),
    ] {
        let mut sent = asking(&edge, &json!({"query": "scales?"}));
        set(&mut sent, too_long.clone());
        let problem = refusal(&edge, sent).await;
        documented("Any other header that is read", "1 KiB", &problem);
    }
    let mut sent = request(Method::POST, QUESTION, r#"{"query":"scales?"}"#);
    sent.headers.cookie = Some("a".repeat(MAX_COOKIE_BYTES + 1));
    documented("Cookies", "16 KiB", &refusal(&edge, sent).await);
    assert!(edge.calls().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let edge = edge();
    edge.break_(|faults| faults.used_up.push(Allowance::User));
    let problem = refusal(&edge, asking(&edge, &json!({"query": "scales?"}))).await;
    assert_eq!(problem.retry_after_s, Some(60));
    documented("Requests of one person", "60 a minute", &problem);

    edge.repair();
    edge.break_(|faults| faults.used_up.push(Allowance::Address));
    let credentials = r#"{"email":"student@example.org","password":"correct horse"}"#;
    let sign_in = request(Method::POST, "/api/auth/login", credentials);
    let problem = refusal(&edge, sign_in).await;
    documented(
        "Sign-ins, and requests with a token that is refused, from one address",
        "100 a minute",
        &problem,
    );
}

#[tokio::test]
async fn whoever_has_used_up_the_day_is_told_when_it_begins_anew_and_still_told_what_is_kept() {
    let edge = edge();
    assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
    let mut used_up = Problem::new(ProblemKind::QuotaUsedUp).with_detail("More come at midnight.");
    used_up.retry_after_s = Some(9_000);
    edge.break_(|faults| faults.refusal("/v1/answer", used_up.clone()));
    let told = refusal(&edge, asking(&edge, &json!({"query": "arpeggios?"}))).await;
    documented(
        "What one person uses of the model in a day that begins at midnight UTC \
         (`DAILY_COST_LIMIT_MICROUSD`, `DAILY_TOKEN_LIMIT`)",
        "no limit unless set",
        &told,
    );
    assert_eq!(told.detail, used_up.detail);
    assert_eq!(told.retry_after_s, Some(9_000));
    assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
}

#[tokio::test]
async fn an_isolate_takes_on_no_more_than_it_can_hold_and_still_tells_its_health() {
    let edge = edge();
    edge.break_(|faults| faults.origin("/v1/scope", Failure::Stalls));
    let crowd = (0..=MAX_IN_WORK).map(|_| edge.begin(edge.question(FIRST_STUDENT, "scales?")));
    let replies = edge.world.time.drive(join_all(crowd)).await;
    let mut refused = Vec::new();
    for reply in replies {
        let received = crate::support::read(reply).await.problem();
        refused.extend(received.is(ProblemKind::Overloaded).then_some(received));
    }
    assert_eq!(refused.len(), 1);
    documented(
        "Requests in work in one isolate",
        &MAX_IN_WORK.to_string(),
        &refused[0],
    );

    // All have gone: there is room again, which an answer keeps until its last byte.
    edge.repair();
    let mut told = Vec::new();
    for _ in 0..MAX_IN_WORK {
        told.push(edge.begin(edge.question(FIRST_STUDENT, "scales?")).await);
    }
    let health = edge.send(request(Method::GET, "/api/health", "")).await;
    assert_eq!(health.status, 200);
    let put_off = edge.ask(FIRST_STUDENT, "scales?").await;
    assert!(put_off.problem().is(ProblemKind::Overloaded));
    told.pop();
    assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
}

#[tokio::test]
async fn a_callers_trace_goes_on_to_the_origin_and_a_bad_one_is_replaced() {
    let edge = edge();
    let begun = "0000000000000000000000000000002a";
    for (sent, trace_id) in [
        (
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        (Some("00-forged-01"), begun),
        (None, begun),
    ] {
        let mut question = edge.question(FIRST_STUDENT, "scales?");
        question.headers.traceparent = sent.map(str::to_owned);
        edge.send(question).await;
        let traces = std::mem::take(&mut *edge.world.traces.borrow_mut());
        assert!(!traces.is_empty());
        for trace in traces {
            assert!(trace.starts_with(&format!("00-{trace_id}-")), "{trace}");
        }
        assert!(edge.world.logged.borrow().join("\n").contains(trace_id));
        // Until the next question the origin must be asked again.
        edge.wait_s(61);
    }
}
