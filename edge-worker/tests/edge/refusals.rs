//! The problems of sign-in: the table of `docs/AUTH.md` is what is seen here.

use crate::support::{
    Edge, Received, Sent,
    browser::Browser,
    issuer::{Issuer, claims},
    library::{FIRST_STUDENT, Library},
    request,
};
use http::Method;
use rag_core::token::TokenError;
use serde_json::{Value, json};
use std::fmt::Write;

const DOC: &str = include_str!("../../../docs/AUTH.md");

/// A question with this token.
fn ask(edge: &Edge, token: &str) -> Sent {
    let mut sent = edge.question(FIRST_STUDENT, "scales?");
    sent.headers.authorization = Some(format!("Bearer {token}"));
    sent
}

fn headed(edge: &Edge, header: &Value) -> Sent {
    let token = {
        let issuer = edge.world.issuer.borrow();
        issuer.sign(header, &claims(FIRST_STUDENT, edge.now_s()))
    };
    ask(edge, &token)
}

fn claiming(edge: &Edge, name: &str, value: Value) -> Sent {
    let mut claims = claims(FIRST_STUDENT, edge.now_s());
    claims[name] = value;
    let token = {
        let issuer = edge.world.issuer.borrow();
        issuer.sign(&issuer.header(), &claims)
    };
    ask(edge, &token)
}

/// A question whose token is bad in this way.
fn provoking(edge: &Edge, reason: TokenError) -> Sent {
    let now = edge.now_s();
    match reason {
        TokenError::TooLarge => ask(edge, &"a".repeat(9_000)),
        TokenError::Malformed => ask(edge, "a.b.c"),
        TokenError::AlgorithmRefused => headed(edge, &json!({"alg": "none"})),
        TokenError::UnknownKey => headed(edge, &json!({"alg": "ES256", "kid": "k"})),
        TokenError::KeyMismatch => headed(edge, &json!({"alg": "RS256", "kid": "key-1"})),
        TokenError::BadSignature => ask(edge, &Issuer::new("key-1").token(FIRST_STUDENT, now)),
        TokenError::ClaimsInvalid => claiming(edge, "exp", Value::Null),
        TokenError::Expired => claiming(edge, "exp", json!(now - 61)),
        TokenError::NotYetValid => claiming(edge, "nbf", json!(now + 61)),
        TokenError::WrongIssuer => claiming(edge, "iss", json!("https://elsewhere.example")),
        TokenError::WrongAudience => claiming(edge, "aud", json!("service")),
    }
}

/// The sign-in service refuses with this code.
async fn refused_by_service(edge: &Edge, status: u16, code: &str, sent: Sent) -> Received {
    let refusal = json!({"code": status, "error_code": code}).to_string();
    *edge.world.auth_reply.borrow_mut() = (status, refusal);
    edge.send(sent).await
}

fn row(refused: &Received) -> String {
    let problem = refused.problem();
    let name = problem.type_uri.strip_prefix("urn:etude:problem:");
    let (name, title) = (name.unwrap(), &problem.title);
    assert_eq!(refused.status, problem.status);
    format!("| `{name}` | {} | {title} |", problem.status)
}

#[tokio::test]
async fn every_refusal_is_as_the_table_says() {
    let edge = Edge::new(Library::of_two_teachers());
    let post = |path: &str, body: &str| request(Method::POST, path, body);
    let refresh = || post("/api/auth/refresh", r#"{"refresh_token":"r-1"}"#);
    let me = edge.signed_in(FIRST_STUDENT, Method::GET, "/api/auth/me", "");
    let login = post("/api/auth/login", r#"{"email":"e","password":"p"}"#);
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let mut provoked = browser.request(Method::POST, "/api/chat/query", "");
    provoked.headers.origin = Some("https://evil.example".to_owned());

    let mut seen = vec![edge.send(request(Method::GET, "/api/documents", "")).await];
    for reason in TokenError::ALL {
        seen.push(edge.send(provoking(&edge, reason)).await);
    }
    seen.push(refused_by_service(&edge, 403, "session_not_found", me).await);
    let reused = "refresh_token_already_used";
    seen.push(refused_by_service(&edge, 400, reused, refresh()).await);
    let unknown = "refresh_token_not_found";
    seen.push(refused_by_service(&edge, 400, unknown, refresh()).await);
    seen.push(refused_by_service(&edge, 400, "invalid_credentials", login).await);
    seen.push(edge.send(provoked).await);

    let mut table = String::new();
    for refused in &seen {
        writeln!(table, "{}", row(refused)).unwrap();
    }
    assert!(DOC.contains(&table), "docs/AUTH.md lacks\n{table}");
}
