//! Sessions whose tokens are cookies: no script reads them, and no other site uses them.

use crate::support::{
    Edge, Failure, Sent,
    browser::{Browser, OUR_PAGE, granted, refresh_cookie},
    issuer::claims,
    library::{FIRST_STUDENT, Library, OTHER_STUDENT},
    request,
};
use edge_worker::gateway::cookies::{ACCESS, REFRESH};
use http::Method;
use serde_json::{Value, json};
use shared_types::{ids::SessionId, problem::ProblemKind};
use uuid::Uuid;

/// What another site can't help doing otherwise.
type Change = Box<dyn FnOnce(&mut Sent)>;

const QUESTION: &str = r#"{"query":"scales?"}"#;

fn edge() -> Edge {
    Edge::new(Library::of_two_teachers())
}

fn refuses_csrf(status: u16, problem: &shared_types::problem::Problem) -> bool {
    status == 403 && problem.is(ProblemKind::CsrfRefused)
}

#[tokio::test]
async fn signing_in_leaves_no_token_where_a_script_could_read_it() {
    for action in ["login", "register"] {
        let edge = edge();
        let session = granted(&edge, FIRST_STUDENT, "r-1");
        *edge.world.auth_reply.borrow_mut() = (200, session.clone());
        let browser = Browser::default();
        let path = format!("/api/auth/{action}");
        let body = r#"{"email":"e","password":"p","session":"cookie"}"#;
        let reply = browser.does(&edge, Method::POST, &path, body).await;

        let session: Value = serde_json::from_str(&session).unwrap();
        let token = session["access_token"].as_str().unwrap();
        assert_eq!(browser.cookie(ACCESS).as_deref(), Some(token));
        assert_eq!(browser.cookie(REFRESH), Some(refresh_cookie("r-1")));
        for secret in [token, "r-1"] {
            let readable = reply
                .headers
                .iter()
                .filter(|(name, _)| *name != "set-cookie");
            let mut readable = readable.map(|(_, value)| value.to_str().unwrap());
            assert!(!reply.body.contains(secret));
            assert!(readable.all(|value| !value.contains(secret)));
            let log = edge.world.logged.borrow().join("\n");
            assert!(!log.contains(secret), "{log}");
        }
        let told: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            told["user"],
            json!({"id": FIRST_STUDENT, "email": "student@school.example", "role": "student"})
        );
        assert_eq!(told["ends_at_s"], edge.now_s() + 3_600);
        assert_eq!(
            reply.headers["x-csrf-token"],
            told["csrf_token"].as_str().unwrap()
        );

        let calls = edge.world.auth_calls.borrow();
        assert_eq!(calls[0].1, r#"{"email":"e","password":"p"}"#);
    }
}

#[tokio::test]
async fn who_signs_in_without_a_word_gets_bearer_tokens_and_no_cookie() {
    for form in ["", r#","session":"bearer""#] {
        let edge = edge();
        let session = granted(&edge, FIRST_STUDENT, "r-1");
        *edge.world.auth_reply.borrow_mut() = (200, session.clone());
        let body = format!(r#"{{"email":"e","password":"p"{form}}}"#);
        let reply = edge
            .send(request(Method::POST, "/api/auth/login", &body))
            .await;
        assert_eq!(reply.body, session);
        assert!(!reply.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn cookies_are_given_to_our_pages_only_before_a_password_is_tried() {
    let edge = edge();
    let body = r#"{"email":"e","password":"p","session":"cookie"}"#;
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let mut sent = request(Method::POST, "/api/auth/login", body);
        sent.headers.origin = origin.map(str::to_owned);
        let refused = edge.send(sent).await;
        assert!(
            refuses_csrf(refused.status, &refused.problem()),
            "{origin:?}"
        );
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    assert!(edge.calls().is_empty());
}

#[tokio::test]
async fn an_account_that_is_to_be_confirmed_first_begins_no_session() {
    let edge = edge();
    let body = r#"{"email":"e","password":"p","session":"cookie"}"#;
    *edge.world.auth_reply.borrow_mut() = (200, r#"{"id":"a","email":"e"}"#.to_owned());
    let browser = Browser::default();
    let register = || browser.does(&edge, Method::POST, "/api/auth/register", body);
    let reply = register().await;
    assert_eq!(
        (reply.status, &*reply.body),
        (200, r#"{"id":"a","email":"e"}"#)
    );
    assert!(browser.is_empty());

    let mut unnamed = claims(FIRST_STUDENT, edge.now_s());
    unnamed.as_object_mut().unwrap().remove("session_id");
    let unnamed = {
        let issuer = edge.world.issuer.borrow();
        issuer.sign(&issuer.header(), &unnamed)
    };
    for unreadable in [
        json!({"access_token": "a.b.c"}),
        json!({"access_token": "a.b.c", "refresh_token": "r", "expires_in": 3_600}),
        json!({"access_token": unnamed, "refresh_token": "r", "expires_in": 3_600}),
        json!("<html>"),
    ] {
        *edge.world.auth_reply.borrow_mut() = (200, unreadable.to_string());
        let refused = register().await;
        assert!(refused.problem().is(ProblemKind::AuthUnavailable));
        assert!(browser.is_empty());
    }
}

#[tokio::test]
async fn a_cookie_opens_whatever_a_bearer_opens() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let document = Uuid::from_u128(7);
    let announced = json!({
        "title": "Scales", "file_name": "scales.pdf", "size_bytes": 9,
        "sha256": "00", "visibility": "private"
    })
    .to_string();
    let calls = [
        (Method::POST, "/api/chat/query".to_owned(), QUESTION),
        (Method::GET, "/api/documents".to_owned(), ""),
        (Method::POST, "/api/documents".to_owned(), &*announced),
        (Method::GET, format!("/api/documents/{document}"), ""),
        (
            Method::POST,
            format!("/api/documents/{document}/confirm"),
            "",
        ),
        (Method::GET, "/api/auth/me".to_owned(), ""),
    ];
    edge.world.verifications.set(0);
    for (method, path, body) in calls {
        let reply = browser.does(&edge, method, &path, body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
    assert_eq!(edge.world.verifications.get(), 1, "it was accepted before");
}

#[tokio::test]
async fn a_request_that_another_site_provokes_changes_nothing() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let other_session = edge_worker::gateway::csrf::token(
        &crate::support::EDGE_TOKEN.into(),
        SessionId(Uuid::from_u128(0xbad)),
    );
    let foreign = |origin: Option<&str>| {
        let origin = origin.map(str::to_owned);
        move |sent: &mut Sent| sent.headers.origin = origin
    };
    let token = |token: Option<&str>| {
        let token = token.map(str::to_owned);
        move |sent: &mut Sent| sent.headers.csrf_token = token
    };
    let document = format!("/api/documents/{}/confirm", Uuid::from_u128(7));
    for path in [
        "/api/chat/query",
        "/api/documents",
        &document,
        "/api/auth/refresh",
        "/api/auth/logout",
    ] {
        let changes: [Change; 8] = [
            Box::new(foreign(None)),
            Box::new(foreign(Some("https://evil.example"))),
            Box::new(foreign(Some("https://app.example.evil"))),
            Box::new(foreign(Some("null"))),
            Box::new(token(None)),
            Box::new(token(Some(""))),
            Box::new(token(Some(&"0".repeat(64)))),
            Box::new(token(Some(&other_session))),
        ];
        edge.calls();
        for change in changes {
            let body = if path.ends_with("query") {
                QUESTION
            } else {
                ""
            };
            let mut sent = browser.request(Method::POST, path, body);
            change(&mut sent);
            let told = format!("{path} {:?}", sent.headers);
            let refused = browser.sends(&edge, sent).await;
            assert!(refuses_csrf(refused.status, &refused.problem()), "{told}");
        }
        let calls = edge.calls();
        assert!(calls.iter().all(|call| call == "jwks"), "{path}: {calls:?}");
        assert!(browser.cookie(ACCESS).is_some() && browser.cookie(REFRESH).is_some());
    }
    let mut read = browser.request(Method::GET, "/api/documents", "");
    read.headers.origin = Some("https://evil.example".to_owned());
    let reply = browser.sends(&edge, read).await;
    assert_eq!(reply.status, 200, "what only reads needs no proof");
    let readable_by = reply.headers.get("access-control-allow-origin");
    assert_eq!(readable_by, None, "and other sites can't see it");
}

#[tokio::test]
async fn a_page_of_the_edges_own_origin_is_ours() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let mut sent = browser.request(Method::POST, "/api/chat/query", QUESTION);
    sent.headers.origin = sent.headers.own_origin.clone();
    assert!(browser.sends(&edge, sent).await.is_done());
}

#[tokio::test]
async fn of_a_bearer_and_a_cookie_the_bearer_counts() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let mut sent = edge.question(OTHER_STUDENT, "scales?");
    sent.headers.cookie = browser.request(Method::GET, "/", "").headers.cookie;
    assert!(sent.headers.cookie.is_some());
    assert!(edge.send(sent).await.is_done(), "no proof is asked of it");
    let counted = edge.world.counted.borrow();
    let (_, who) = counted.last().unwrap();
    assert_eq!(*who, OTHER_STUDENT.to_string());
}

#[tokio::test]
async fn a_broken_bearer_is_not_mended_by_a_cookie() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let mut sent = browser.request(Method::GET, "/api/documents", "");
    sent.headers.authorization = Some("Bearer a.b.c".to_owned());
    let refused = edge.send(sent).await;
    assert!(refused.problem().is(ProblemKind::TokenInvalid));
}

#[tokio::test]
async fn a_page_that_was_loaded_again_asks_who_it_is_and_for_its_proof() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let sent = browser
        .request(Method::POST, "/api/auth/refresh", "")
        .headers
        .csrf_token;
    let me = browser.does(&edge, Method::GET, "/api/auth/me", "").await;
    let told = me.headers["x-csrf-token"].to_str().unwrap();
    assert_eq!(Some(told), sent.as_deref());

    let bearer = edge.signed_in(FIRST_STUDENT, Method::GET, "/api/auth/me", "");
    let me = edge.send(bearer).await;
    assert!(
        !me.headers.contains_key("x-csrf-token"),
        "a bearer needs none"
    );
}

#[tokio::test]
async fn refreshing_changes_both_cookies_and_keeps_the_proof() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    let before = browser.cookie(ACCESS);
    edge.wait_s(3_700);
    // The browser has dropped the access token with its last second.
    browser.forgets(ACCESS);
    *edge.world.auth_reply.borrow_mut() = (200, granted(&edge, FIRST_STUDENT, "r-2"));
    let reply = browser
        .does(&edge, Method::POST, "/api/auth/refresh", "")
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_ne!(browser.cookie(ACCESS), before);
    assert_eq!(browser.cookie(REFRESH), Some(refresh_cookie("r-2")));
    let calls = edge.world.auth_calls.borrow().clone();
    assert_eq!(calls.last().unwrap().1, r#"{"refresh_token":"r-1"}"#);
    let question = browser.does(&edge, Method::POST, "/api/chat/query", QUESTION);
    assert!(question.await.is_done());
}

#[tokio::test]
async fn a_refresh_cookie_that_was_used_before_ends_the_session_in_the_browser_too() {
    for (code, kind) in [
        (
            "refresh_token_already_used",
            ProblemKind::RefreshTokenReused,
        ),
        ("refresh_token_not_found", ProblemKind::RefreshTokenRefused),
        ("session_expired", ProblemKind::RefreshTokenRefused),
    ] {
        let edge = edge();
        let browser = Browser::of(&edge, FIRST_STUDENT).await;
        let refusal = json!({"code": 400, "error_code": code}).to_string();
        *edge.world.auth_reply.borrow_mut() = (400, refusal);
        let refused = browser
            .does(&edge, Method::POST, "/api/auth/refresh", "")
            .await;
        assert_eq!(refused.status, 401);
        assert!(refused.problem().is(kind), "{code}");
        assert!(browser.is_empty(), "{code}");
    }
}

#[tokio::test]
async fn a_session_survives_a_refresh_that_failed() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    edge.break_(|faults| faults.auth = Some(Failure::Fails));
    let failed = browser
        .does(&edge, Method::POST, "/api/auth/refresh", "")
        .await;
    assert!(failed.problem().is(ProblemKind::AuthUnavailable));
    assert_eq!(browser.cookie(REFRESH), Some(refresh_cookie("r-1")));
}

#[tokio::test]
async fn refreshing_without_any_token_says_what_is_missing() {
    let edge = edge();
    for body in ["", "{}"] {
        let refused = edge
            .send(request(Method::POST, "/api/auth/refresh", body))
            .await;
        assert!(refused.problem().is(ProblemKind::TokenMissing), "{body}");
    }
    let broken = format!("{ACCESS}=a.b.c; {REFRESH}=no-session");
    let mut sent = request(Method::POST, "/api/auth/refresh", "");
    sent.headers.cookie = Some(broken);
    sent.headers.origin = Some(OUR_PAGE.to_owned());
    let refused = edge.send(sent).await;
    assert!(refused.problem().is(ProblemKind::TokenMissing));
    assert!(edge.calls().is_empty());
}

#[tokio::test]
async fn signing_out_ends_the_session_and_clears_the_browser() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    *edge.world.auth_reply.borrow_mut() = (204, String::new());
    let reply = browser
        .does(&edge, Method::POST, "/api/auth/logout", "")
        .await;
    assert_eq!(reply.status, 204);
    assert!(browser.is_empty());
    assert_eq!(*edge.world.auth_bearers.borrow(), [FIRST_STUDENT]);
    assert_eq!(edge.world.auth_calls.borrow().last().unwrap().0, "/logout");
}

#[tokio::test]
async fn signing_out_clears_the_browser_whatever_the_sign_in_service_says() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = edge();
        let browser = Browser::of(&edge, FIRST_STUDENT).await;
        edge.break_(|faults| faults.auth = Some(failure));
        let reply = browser
            .does(&edge, Method::POST, "/api/auth/logout", "")
            .await;
        assert_eq!(reply.status, 204);
        assert!(browser.is_empty());
        let log = edge.world.logged.borrow().join("\n");
        assert!(log.contains("session_ended=false"), "{log}");
    }
}

#[tokio::test]
async fn signing_out_with_a_stale_access_token_still_ends_the_session() {
    for drops_the_access_token in [false, true] {
        let edge = edge();
        let browser = Browser::of(&edge, FIRST_STUDENT).await;
        edge.wait_s(4_000);
        if drops_the_access_token {
            browser.forgets(ACCESS);
        }
        let fresh = granted(&edge, FIRST_STUDENT, "r-2");
        edge.world.auth_replies.borrow_mut().extend([
            ("/token?grant_type=refresh_token", (200, fresh)),
            ("/logout", (204, String::new())),
        ]);
        let reply = browser
            .does(&edge, Method::POST, "/api/auth/logout", "")
            .await;
        assert_eq!(reply.status, 204);
        assert!(browser.is_empty());
        let calls = edge.world.auth_calls.borrow();
        let paths: Vec<&str> = calls[1..].iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, ["/token?grant_type=refresh_token", "/logout"]);
        assert_eq!(*edge.world.auth_bearers.borrow(), [FIRST_STUDENT]);
    }
}

#[tokio::test]
async fn cookies_that_say_nothing_any_more_are_cleared_for_our_own_page() {
    let edge = edge();
    for origin in [Some(OUR_PAGE), Some("https://evil.example"), None] {
        let mut sent = request(Method::POST, "/api/auth/logout", "");
        sent.headers.cookie = Some(format!("{ACCESS}=a.b.c; {REFRESH}=no-session"));
        sent.headers.origin = origin.map(str::to_owned);
        let reply = edge.send(sent).await;
        let clears = reply.headers.get_all("set-cookie").iter().count();
        let expected = if origin == Some(OUR_PAGE) {
            (204, 2)
        } else {
            (403, 0)
        };
        assert_eq!((reply.status, clears), expected, "{origin:?}");
    }
    assert!(edge.calls().iter().all(|call| call == "jwks"));
}
