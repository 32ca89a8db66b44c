//! Who is let in, and how the sign-in service's keys are kept.

use crate::support::{
    Edge, Failure, Received,
    issuer::{Issuer, claims},
    library::{FIRST_STUDENT, Library},
};
use edge_worker::ports::Allowance;
use serde_json::{Value, json};
use shared_types::problem::ProblemKind;

async fn ask_with(edge: &Edge, authorization: Option<String>) -> Received {
    let mut sent = edge.question(FIRST_STUDENT, "scales?");
    sent.headers.authorization = authorization;
    edge.send(sent).await
}

fn jwks_calls(edge: &Edge) -> usize {
    edge.calls().iter().filter(|call| *call == "jwks").count()
}

#[tokio::test]
async fn forged_stale_and_foreign_tokens_are_refused_before_anything_is_asked() {
    let edge = Edge::new(Library::of_two_teachers());
    let now = edge.now_s();
    let lie = |name: &str, value: Value| {
        let mut claims = claims(FIRST_STUDENT, now);
        claims[name] = value;
        let issuer = edge.world.issuer.borrow();
        Some(format!("Bearer {}", issuer.sign(&issuer.header(), &claims)))
    };
    let forged = Issuer::new("key-1").token(FIRST_STUDENT, now);
    let unsigned = edge
        .world
        .issuer
        .borrow()
        .sign(&json!({"alg": "none"}), &claims(FIRST_STUDENT, now));
    let cases = [
        (None, ProblemKind::TokenMissing),
        (Some("Basic YTpi".to_owned()), ProblemKind::TokenMissing),
        (Some("Bearer ".to_owned()), ProblemKind::TokenInvalid),
        (Some("Bearer a.b.c".to_owned()), ProblemKind::TokenInvalid),
        (Some(format!("Bearer {forged}")), ProblemKind::TokenInvalid),
        (
            Some(format!("Bearer {unsigned}")),
            ProblemKind::TokenInvalid,
        ),
        (lie("exp", json!(now - 31)), ProblemKind::TokenExpired),
        (
            lie("iss", json!("https://elsewhere.example")),
            ProblemKind::TokenInvalid,
        ),
        (lie("aud", json!("service")), ProblemKind::TokenInvalid),
        (
            lie("app_metadata", json!({"role": "owner"})),
            ProblemKind::TokenInvalid,
        ),
    ];
    for (authorization, kind) in cases {
        let told = format!("{authorization:?}");
        let refused = ask_with(&edge, authorization).await;
        assert_eq!(refused.status, 401, "{told}");
        assert!(refused.problem().is(kind), "{told}: {}", refused.body);
    }
    assert!(edge.calls().iter().all(|call| call == "jwks"));
    let counted = edge.world.counted.borrow();
    assert!(
        counted
            .iter()
            .all(|(allowance, _)| *allowance == Allowance::Address),
        "who is not let in is counted by address"
    );
}

#[tokio::test]
async fn a_guesser_is_slowed_down() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.used_up.push(Allowance::Address));
    let refused = ask_with(&edge, Some("Bearer a.b.c".to_owned())).await;
    assert_eq!(refused.status, 429);
    assert!(
        edge.ask(FIRST_STUDENT, "scales?").await.is_done(),
        "people behind the same address are not"
    );
}

#[tokio::test]
async fn keys_are_fetched_once_in_ten_minutes() {
    let edge = Edge::new(Library::of_two_teachers());
    for _ in 0..5 {
        edge.ask(FIRST_STUDENT, "scales?").await;
    }
    assert_eq!(jwks_calls(&edge), 1);
    edge.wait_s(600);
    edge.ask(FIRST_STUDENT, "scales?").await;
    assert_eq!(jwks_calls(&edge), 1);
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_unknown_ones_are_asked_for_once_in_a_while() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, "scales?").await;
    edge.wait_s(30);
    *edge.world.issuer.borrow_mut() = Issuer::new("key-2");
    assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
    assert_eq!(jwks_calls(&edge), 2);

    let unknown = Issuer::new("key-9").token(FIRST_STUDENT, edge.now_s());
    for _ in 0..5 {
        let refused = ask_with(&edge, Some(format!("Bearer {unknown}"))).await;
        assert!(refused.problem().is(ProblemKind::TokenInvalid));
    }
    assert_eq!(
        jwks_calls(&edge),
        0,
        "the last fetch is not half a minute old"
    );
    edge.wait_s(30);
    for _ in 0..5 {
        ask_with(&edge, Some(format!("Bearer {unknown}"))).await;
    }
    assert_eq!(jwks_calls(&edge), 1);
}

#[tokio::test]
async fn known_keys_outlive_an_outage_of_the_sign_in_service() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = Edge::new(Library::of_two_teachers());
        edge.ask(FIRST_STUDENT, "scales?").await;
        edge.break_(|faults| faults.auth = Some(failure));
        edge.wait_s(3_000);
        assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
    }
}

#[tokio::test]
async fn an_edge_that_never_saw_a_key_says_that_sign_in_is_down() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.auth = Some(failure));
        let refused = edge.ask(FIRST_STUDENT, "scales?").await;
        assert_eq!(refused.status, 503);
        assert!(refused.problem().is(ProblemKind::AuthUnavailable));
        edge.repair();
        assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
    }
}
