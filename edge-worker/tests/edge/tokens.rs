//! Who is let in.

use crate::support::{
    Edge, Received,
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

/// A genuine token but for one claim.
fn lie(edge: &Edge, name: &str, value: Value) -> String {
    let mut claims = claims(FIRST_STUDENT, edge.now_s());
    claims[name] = value;
    let issuer = edge.world.issuer.borrow();
    format!("Bearer {}", issuer.sign(&issuer.header(), &claims))
}

/// A genuine token but for its header.
fn headed(edge: &Edge, header: &Value) -> String {
    let issuer = edge.world.issuer.borrow();
    let claims = claims(FIRST_STUDENT, edge.now_s());
    format!("Bearer {}", issuer.sign(header, &claims))
}

/// Each `Authorization`, or none where it is empty, is refused after so many verifications, before
/// anything is asked.
async fn all_are_refused(edge: &Edge, cases: Vec<(String, ProblemKind)>, verifications: usize) {
    for (authorization, kind) in cases {
        let told = authorization.clone();
        edge.world.verifications.set(0);
        let header = Some(authorization).filter(|header| !header.is_empty());
        let refused = ask_with(edge, header).await;
        assert_eq!(edge.world.verifications.get(), verifications, "{told}");
        assert_eq!(refused.status, 401, "{told}");
        assert!(!refused.headers.contains_key("set-cookie"), "{told}");
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
async fn a_token_that_no_key_of_ours_can_have_signed_costs_no_verification() {
    let edge = Edge::new(Library::of_two_teachers());
    let cases = vec![
        (String::new(), ProblemKind::TokenMissing),
        ("Basic YTpi".to_owned(), ProblemKind::TokenMissing),
        ("Bearer".to_owned(), ProblemKind::TokenMissing),
        ("Bearer ".to_owned(), ProblemKind::TokenInvalid),
        ("Bearer a.b.c".to_owned(), ProblemKind::TokenInvalid),
        (
            lie(&edge, "user_metadata", json!("a".repeat(8_000))),
            ProblemKind::TokenTooLarge,
        ),
        (
            headed(&edge, &json!({"alg": "none"})),
            ProblemKind::TokenAlgorithmRefused,
        ),
        (
            headed(&edge, &json!({"alg": "HS256", "kid": "key-1"})),
            ProblemKind::TokenAlgorithmRefused,
        ),
        (
            headed(&edge, &json!({"alg": "ES256", "kid": "key-9"})),
            ProblemKind::TokenKeyUnknown,
        ),
        (
            headed(&edge, &json!({"alg": "RS256", "kid": "key-1"})),
            ProblemKind::TokenKeyMismatch,
        ),
    ];
    all_are_refused(&edge, cases, 0).await;
}

#[tokio::test]
async fn every_other_bad_token_costs_one_verification_whatever_is_wrong() {
    let edge = Edge::new(Library::of_two_teachers());
    let now = edge.now_s();
    let forged = Issuer::new("key-1").token(FIRST_STUDENT, now);
    let mut cases = vec![(
        format!("Bearer {forged}"),
        ProblemKind::TokenSignatureInvalid,
    )];
    let owner = json!({"role": "owner"});
    for (name, value, kind) in [
        ("exp", json!(now - 61), ProblemKind::TokenExpired),
        ("exp", Value::Null, ProblemKind::TokenClaimsInvalid),
        ("nbf", json!(now + 61), ProblemKind::TokenNotYetValid),
        ("iat", json!(now + 61), ProblemKind::TokenNotYetValid),
        ("iss", json!("https://x"), ProblemKind::TokenIssuerRefused),
        ("aud", json!("service"), ProblemKind::TokenAudienceRefused),
        ("role", json!("x"), ProblemKind::TokenAudienceRefused),
        ("app_metadata", owner, ProblemKind::TokenClaimsInvalid),
    ] {
        cases.push((lie(&edge, name, value), kind));
    }
    all_are_refused(&edge, cases, 1).await;
}

/// What a question costs in verifications, and whether it is answered.
async fn cost(edge: &Edge, token: &str) -> (usize, bool) {
    edge.world.verifications.set(0);
    let reply = ask_with(edge, Some(format!("Bearer {token}"))).await;
    (edge.world.verifications.get(), reply.status == 200)
}

fn genuine(edge: &Edge) -> String {
    let issuer = edge.world.issuer.borrow();
    issuer.token(FIRST_STUDENT, edge.now_s())
}

#[tokio::test]
async fn a_token_that_was_accepted_is_not_verified_again_for_a_minute() {
    let edge = Edge::new(Library::of_two_teachers());
    let token = genuine(&edge);
    assert_eq!(cost(&edge, &token).await, (1, true));
    edge.wait_s(59);
    assert_eq!(cost(&edge, &token).await, (0, true));
    edge.wait_s(1);
    assert_eq!(cost(&edge, &token).await, (1, true));
}

#[tokio::test]
async fn what_is_remembered_of_a_token_lets_in_no_other() {
    let edge = Edge::new(Library::of_two_teachers());
    let genuine = genuine(&edge);
    cost(&edge, &genuine).await;
    let forged = Issuer::new("key-1").token(FIRST_STUDENT, edge.now_s() - 1);
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (theirs, ours) = (parts(&forged), parts(&genuine));
    for mixed in [
        forged.clone(),
        [&*theirs[0], &*theirs[1], &*ours[2]].join("."),
        [&*ours[0], &*ours[1], &*theirs[2]].join("."),
    ] {
        assert_eq!(cost(&edge, &mixed).await, (1, false), "{mixed}");
    }
    assert_eq!(cost(&edge, &genuine).await, (0, true));
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_says() {
    let edge = Edge::new(Library::of_two_teachers());
    let mut claims = claims(FIRST_STUDENT, edge.now_s());
    claims["exp"] = json!(edge.now_s() + 10);
    let token = {
        let issuer = edge.world.issuer.borrow();
        issuer.sign(&issuer.header(), &claims)
    };
    edge.wait_s(20);
    // Clocks may differ by a minute.
    assert_eq!(cost(&edge, &token).await, (1, true));
    edge.wait_s(49);
    assert_eq!(cost(&edge, &token).await, (0, true));
    edge.wait_s(2);
    assert_eq!(cost(&edge, &token).await, (1, false));
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_key() {
    let edge = Edge::new(Library::of_two_teachers());
    cost(&edge, &genuine(&edge)).await;
    edge.wait_s(599);
    let token = genuine(&edge);
    assert_eq!(cost(&edge, &token).await, (1, true));
    // The set is ten minutes old, and the next one has another key under the old one's name.
    *edge.world.issuer.borrow_mut() = Issuer::new("key-1");
    edge.wait_s(1);
    assert_eq!(cost(&edge, &token).await, (1, false));
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
async fn clocks_may_be_a_minute_apart() {
    let edge = Edge::new(Library::of_two_teachers());
    let now = edge.now_s();
    for (name, value) in [("exp", now - 60), ("nbf", now + 60), ("iat", now + 60)] {
        let mut claims = claims(FIRST_STUDENT, now);
        claims[name] = json!(value);
        let token = {
            let issuer = edge.world.issuer.borrow();
            issuer.sign(&issuer.header(), &claims)
        };
        let reply = ask_with(&edge, Some(format!("Bearer {token}"))).await;
        assert!(reply.is_done(), "{name}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_signature_is_verified_once_in_a_request() {
    let edge = Edge::new(Library::of_two_teachers());
    for request in 1..=3 {
        edge.ask(FIRST_STUDENT, "scales?").await;
        assert_eq!(edge.world.verifications.get(), request);
    }
}
