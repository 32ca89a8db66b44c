//! Who gets in, and what everybody else is told.

use crate::{
    issuer::Issuer,
    origin::{Origin, SECRET, problem},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared_types::{
    claims::Role,
    headers::{EDGE_TOKEN, REQUEST_ID},
    origin::{Health, Scope},
    problem::ProblemKind,
};

const SCOPE: &str = "/v1/scope";

#[tokio::test]
async fn a_call_that_did_not_come_through_the_edge_is_refused_whatever_its_token() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let token = origin.issuer.token(&student, &origin.issuer_url(), 600);
    for secret in [None, Some(""), Some("a guess at the edge's secret")] {
        let mut request = origin.bare(Method::GET, SCOPE).bearer_auth(&token);
        if let Some(secret) = secret {
            request = request.header(EDGE_TOKEN, secret);
        }
        problem(request.send().await.unwrap(), ProblemKind::NotFromEdge).await;
    }
    assert_eq!(origin.clouds.inside().key_fetches, 0);
}

#[tokio::test]
async fn only_the_bearer_of_a_good_token_is_somebody() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let issuer = origin.issuer_url();
    let now_s = origin_api::host::now().timestamp();
    let claiming = |name: &str, value: Value| {
        let mut claims = serde_json::to_value(&student).unwrap();
        claims["iss"] = json!(issuer);
        claims["exp"] = json!(now_s + 600);
        claims[name] = value;
        origin.issuer.sign(&origin.issuer.header(), &claims)
    };
    let headed = |name: &str, value: Value| {
        let mut header = origin.issuer.header();
        header[name] = value;
        let claims = serde_json::to_value(&student).unwrap();
        origin.issuer.sign(&header, &claims)
    };
    let forged = Issuer::new("key-1").token(&student, &issuer, 600);
    for (token, kind) in [
        ("not a token".to_owned(), ProblemKind::TokenInvalid),
        ("a".repeat(9_000), ProblemKind::TokenTooLarge),
        (
            headed("alg", json!("none")),
            ProblemKind::TokenAlgorithmRefused,
        ),
        (
            headed("alg", json!("HS256")),
            ProblemKind::TokenAlgorithmRefused,
        ),
        (headed("alg", json!("RS256")), ProblemKind::TokenKeyMismatch),
        (headed("kid", json!("key-9")), ProblemKind::TokenKeyUnknown),
        (forged, ProblemKind::TokenSignatureInvalid),
        (
            claiming("exp", Value::Null),
            ProblemKind::TokenClaimsInvalid,
        ),
        (
            claiming("exp", json!(now_s - 61)),
            ProblemKind::TokenExpired,
        ),
        (
            claiming("nbf", json!(now_s + 90)),
            ProblemKind::TokenNotYetValid,
        ),
        (
            claiming("iat", json!(now_s + 90)),
            ProblemKind::TokenNotYetValid,
        ),
        (
            claiming("iss", json!("https://elsewhere.example")),
            ProblemKind::TokenIssuerRefused,
        ),
        (
            claiming("aud", json!("service")),
            ProblemKind::TokenAudienceRefused,
        ),
    ] {
        let request = origin.with_token(Method::GET, SCOPE, &token);
        problem(request.send().await.unwrap(), kind).await;
    }
    let nobody = origin.bare(Method::GET, SCOPE).header(EDGE_TOKEN, SECRET);
    problem(nobody.send().await.unwrap(), ProblemKind::TokenMissing).await;

    let scope: Scope = origin.get(&student, SCOPE).await.json().await.unwrap();
    assert_eq!(scope.version.scope_version.len(), 64);
}

#[tokio::test]
async fn keys_are_fetched_once_again_for_a_new_key_and_kept_through_an_outage() {
    let mut origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    for _ in 0..3 {
        assert_eq!(origin.get(&student, SCOPE).await.status(), 200);
    }
    assert_eq!(origin.clouds.inside().key_fetches, 1);

    let next = Issuer::new("key-2");
    origin.clouds.inside().keys.push(next.public_key());
    let before = std::mem::replace(&mut origin.issuer, next);
    assert_eq!(origin.get(&student, SCOPE).await.status(), 200);
    assert_eq!(origin.clouds.inside().key_fetches, 2);

    origin.clouds.inside().issuer_is_down = true;
    origin.issuer = Issuer::new("key-3");
    problem(
        origin.get(&student, SCOPE).await,
        ProblemKind::TokenKeyUnknown,
    )
    .await;
    origin.issuer = before;
    assert_eq!(origin.get(&student, SCOPE).await.status(), 200);
}

#[tokio::test]
async fn a_cookie_is_nobody_at_the_origin() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let token = origin.issuer.token(&student, &origin.issuer_url(), 600);
    let request = origin
        .bare(Method::GET, SCOPE)
        .header(EDGE_TOKEN, SECRET)
        .header("cookie", format!("__Host-etude-access={token}"));
    problem(request.send().await.unwrap(), ProblemKind::TokenMissing).await;
}

#[tokio::test]
async fn before_the_first_keys_an_outage_of_the_issuer_is_told_as_one() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    origin.clouds.inside().issuer_is_down = true;
    let told = problem(
        origin.get(&student, SCOPE).await,
        ProblemKind::AuthUnavailable,
    )
    .await;
    assert!(told.retry_after_s.is_some());
}

#[tokio::test]
async fn what_is_not_there_and_what_can_not_be_read_are_problems_too() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    problem(
        origin.get(&student, "/v1/nothing").await,
        ProblemKind::NotFound,
    )
    .await;
    problem(
        origin.get(&student, "/v1/documents/7").await,
        ProblemKind::NotFound,
    )
    .await;
    problem(
        origin.get(&student, "/v1/answer").await,
        ProblemKind::MethodNotAllowed,
    )
    .await;
    let long = "a".repeat(70_000);
    for (body, kind) in [
        ("{", ProblemKind::BodyInvalid),
        (r#"{"query":"legato"}"#, ProblemKind::BodyInvalid),
        (long.as_str(), ProblemKind::BodyTooLarge),
    ] {
        let request = origin
            .by(&student, Method::POST, "/v1/retrieve")
            .header("content-type", "application/json")
            .body(body.to_owned());
        problem(request.send().await.unwrap(), kind).await;
    }
}

#[tokio::test]
async fn a_request_keeps_the_name_that_the_edge_gave_it() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    let name = "0190e9a0-0000-7000-8000-000000000007";
    let request = origin
        .by(&student, Method::GET, SCOPE)
        .header(REQUEST_ID, name);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[REQUEST_ID], name);
}

#[tokio::test]
async fn anybody_may_ask_whether_the_origin_works() {
    let origin = Origin::start().await;
    let response = origin
        .bare(Method::GET, "/api/health")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Health>().await.unwrap().status, "ok");

    origin.database.origin.close().await;
    let response = origin
        .bare(Method::GET, "/api/health")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.json::<Health>().await.unwrap().status, "degraded");
}

#[tokio::test]
async fn an_unreachable_database_is_an_outage_without_its_cause() {
    let origin = Origin::start().await;
    let student = origin.database.person(Role::Student).await;
    origin.database.origin.close().await;
    let told = problem(
        origin.get(&student, SCOPE).await,
        ProblemKind::OriginUnavailable,
    )
    .await;
    assert_eq!(told.detail, None);
    assert_eq!(told.retry_after_s, Some(1));
}
