//! The endpoints around the question: sign-in, documents, health, and what every reply carries.

use crate::support::{
    Edge, Failure,
    browser::Browser,
    library::{CLASSMATE, FIRST_STUDENT, Library},
    request,
};
use edge_worker::ports::{Allowance, Layer};
use http::Method;
use serde_json::json;
use shared_types::problem::{Problem, ProblemKind};
use uuid::Uuid;

const QUESTION: &str = "How fast should I practise scales?";

fn edge() -> Edge {
    Edge::new(Library::of_two_teachers())
}

const CREDENTIALS: &str = r#"{"email":"student@example.org","password":"correct horse"}"#;

#[tokio::test]
async fn signing_in_is_supabases_reply_under_our_path() {
    let cases = [
        ("/api/auth/register", CREDENTIALS, "/signup"),
        ("/api/auth/login", CREDENTIALS, "/token?grant_type=password"),
        (
            "/api/auth/refresh",
            r#"{"refresh_token":"r-1"}"#,
            "/token?grant_type=refresh_token",
        ),
    ];
    for (path, body, forwarded) in cases {
        let edge = edge();
        *edge.world.auth_reply.borrow_mut() = (200, r#"{"access_token":"t"}"#.to_owned());
        let reply = edge.send(request(Method::POST, path, body)).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, r#"{"access_token":"t"}"#)
        );
        assert_eq!(
            *edge.world.auth_calls.borrow(),
            [(forwarded.to_owned(), body.to_owned())]
        );
        let counted = edge.world.counted.borrow();
        assert_eq!(*counted, [(Allowance::Address, "203.0.113.9".to_owned())]);
    }
}

#[tokio::test]
async fn refusals_of_the_sign_in_service_become_problems_of_ours() {
    let refusal = |code: &str| json!({"code": 400, "error_code": code, "msg": "m"}).to_string();
    let cases = [
        (
            "login",
            400,
            refusal("invalid_credentials"),
            ProblemKind::SignInRefused,
        ),
        (
            "login",
            400,
            r#"{"error":"invalid_grant"}"#.into(),
            ProblemKind::SignInRefused,
        ),
        (
            "login",
            400,
            refusal("email_not_confirmed"),
            ProblemKind::SignInRefused,
        ),
        (
            "login",
            429,
            refusal("over_request_rate_limit"),
            ProblemKind::RateLimited,
        ),
        ("login", 500, "<html>".into(), ProblemKind::AuthUnavailable),
        ("login", 302, String::new(), ProblemKind::AuthUnavailable),
        (
            "register",
            422,
            refusal("user_already_exists"),
            ProblemKind::Conflict,
        ),
        (
            "refresh",
            400,
            refusal("refresh_token_already_used"),
            ProblemKind::RefreshTokenReused,
        ),
        (
            "refresh",
            400,
            refusal("refresh_token_not_found"),
            ProblemKind::RefreshTokenRefused,
        ),
        (
            "register",
            422,
            refusal("weak_password"),
            ProblemKind::BodyInvalid,
        ),
    ];
    for (action, status, body, kind) in cases {
        let edge = edge();
        *edge.world.auth_reply.borrow_mut() = (status, body.clone());
        let path = format!("/api/auth/{action}");
        let sent = match action {
            "refresh" => r#"{"refresh_token":"r-1"}"#,
            _ => CREDENTIALS,
        };
        let refused = edge.send(request(Method::POST, &path, sent)).await;
        assert!(
            refused.problem().is(kind),
            "{action} {status} {body}: {}",
            refused.body
        );
        assert_eq!(refused.status, kind.status());
    }
}

#[tokio::test]
async fn who_registers_chooses_to_teach_or_to_learn_and_gives_a_name() {
    for (said, told) in [
        (r#""role":"teacher""#, json!({ "role": "teacher" })),
        (
            r#""role":"student","full_name":"A. Pupil""#,
            json!({ "role": "student", "full_name": "A. Pupil" }),
        ),
    ] {
        let edge = edge();
        let body = format!("{},{said}}}", CREDENTIALS.trim_end_matches('}'));
        let register = request(Method::POST, "/api/auth/register", &body);
        assert_eq!(edge.send(register).await.status, 200);
        let calls = edge.world.auth_calls.take();
        let sent: serde_json::Value = serde_json::from_str(&calls[0].1).unwrap();
        assert_eq!(sent["data"], told);
        // Once and for all.
        let login = request(Method::POST, "/api/auth/login", &body);
        let refused = edge.send(login).await.problem();
        assert!(refused.is(ProblemKind::BodyInvalid));
        assert!(edge.world.auth_calls.borrow().is_empty());
    }
}

#[tokio::test]
async fn who_registers_gives_herself_no_other_rights() {
    for claim in [
        r#""role":"admin""#,
        r#""role":"authenticated""#,
        r#""app_metadata":{"role":"admin"}"#,
        r#""data":{"role":"teacher"}"#,
        r#""user_metadata":{}"#,
        r#""session":"forever""#,
    ] {
        let edge = edge();
        let body = format!("{},{claim}}}", CREDENTIALS.trim_end_matches('}'));
        let refused = edge
            .send(request(Method::POST, "/api/auth/register", &body))
            .await;
        assert!(refused.problem().is(ProblemKind::BodyInvalid), "{claim}");
        assert!(edge.calls().is_empty(), "{claim}");
    }
}

#[tokio::test]
async fn a_sign_in_service_that_is_down_is_said_to_be_down() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = edge();
        edge.break_(|faults| faults.auth = Some(failure));
        let refused = edge
            .send(request(Method::POST, "/api/auth/login", CREDENTIALS))
            .await;
        assert!(refused.problem().is(ProblemKind::AuthUnavailable));
        let log = edge.world.logged.borrow().join("\n");
        assert!(
            !log.contains("first_student@") && !log.contains("horse"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn passwords_are_counted_before_they_are_tried() {
    let edge = edge();
    edge.break_(|faults| faults.used_up.push(Allowance::Address));
    let refused = edge
        .send(request(Method::POST, "/api/auth/login", CREDENTIALS))
        .await;
    assert_eq!(refused.status, 429);
    assert!(edge.calls().is_empty());
}

#[tokio::test]
async fn an_account_is_for_its_bearer() {
    let edge = edge();
    *edge.world.auth_reply.borrow_mut() = (204, String::new());
    let logout = edge.signed_in(FIRST_STUDENT, Method::POST, "/api/auth/logout", "");
    assert_eq!(edge.send(logout).await.status, 204);

    *edge.world.auth_reply.borrow_mut() = (200, r#"{"id":"a"}"#.to_owned());
    let me = edge.signed_in(FIRST_STUDENT, Method::GET, "/api/auth/me", "");
    assert_eq!(edge.send(me).await.body, r#"{"id":"a"}"#);

    *edge.world.auth_reply.borrow_mut() = (403, r#"{"error_code":"session_not_found"}"#.to_owned());
    let me = edge.signed_in(FIRST_STUDENT, Method::GET, "/api/auth/me", "");
    let ended = edge.send(me).await.problem();
    assert!(ended.is(ProblemKind::TokenSessionEnded));

    let nobody = request(Method::GET, "/api/auth/me", "");
    assert!(
        edge.send(nobody)
            .await
            .problem()
            .is(ProblemKind::TokenMissing)
    );
}

#[tokio::test]
async fn documents_are_the_origins_matter() {
    let edge = edge();
    let announced = json!({
        "title": "Scales", "file_name": "scales.pdf", "size_bytes": 9,
        "sha256": "00", "visibility": "private"
    });
    let create = edge.signed_in(
        FIRST_STUDENT,
        Method::POST,
        "/api/documents",
        &announced.to_string(),
    );
    let created: serde_json::Value = serde_json::from_str(&edge.send(create).await.body).unwrap();
    assert_eq!(created["echo"], announced);

    let id = Uuid::from_u128(7);
    let confirm = format!("/api/documents/{id}/confirm");
    let reply = edge
        .send(edge.signed_in(FIRST_STUDENT, Method::POST, &confirm, ""))
        .await;
    assert_eq!(
        reply.body,
        format!(r#"{{"path":"/v1/documents/{id}/confirm"}}"#)
    );
    assert!(
        reply.headers["server-timing"]
            .to_str()
            .unwrap()
            .contains("origin_sql;dur=2.5")
    );

    let mut next = edge.signed_in(FIRST_STUDENT, Method::GET, "/api/documents", "");
    next.query = "limit=2&cursor=17.x".to_owned();
    assert_eq!(
        edge.send(next).await.body,
        r#"{"path":"/v1/documents?limit=2&cursor=17.x"}"#
    );

    let nobody = request(Method::GET, "/api/documents", "");
    assert!(
        edge.send(nobody)
            .await
            .problem()
            .is(ProblemKind::TokenMissing)
    );
    let large = edge.signed_in(
        FIRST_STUDENT,
        Method::POST,
        "/api/documents",
        &" ".repeat(65 * 1024),
    );
    assert!(
        edge.send(large)
            .await
            .problem()
            .is(ProblemKind::BodyTooLarge)
    );
}

#[tokio::test]
async fn a_changed_document_is_told_and_its_readers_find_it_changed_at_once() {
    let id = Uuid::from_u128(7);
    let path = format!("/api/documents/{id}");
    for (method, body, status, told) in [
        (
            Method::PATCH,
            r#"{"title":"Scales"}"#,
            200,
            r#"{"title":"Scales"}"#,
        ),
        (Method::DELETE, "", 204, ""),
    ] {
        let edge = edge();
        for reader in [FIRST_STUDENT, CLASSMATE] {
            edge.ask(reader, QUESTION).await;
        }
        assert_eq!(edge.kept(Layer::Scope), 2);
        edge.calls();
        let change = edge.signed_in(CLASSMATE, method, &path, body);
        let reply = edge.send(change).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, told));
        assert_eq!(edge.calls(), [format!("/v1/documents/{id}")]);
        assert_eq!(edge.kept(Layer::Scope), 1, "the first student's is dropped");
    }
}

#[tokio::test]
async fn what_is_said_of_people_is_the_origins_matter() {
    let id = Uuid::from_u128(7);
    for path in [
        "/api/invitations".to_owned(),
        "/api/students".to_owned(),
        "/api/teachers".to_owned(),
    ] {
        let edge = edge();
        let mut list = edge.signed_in(FIRST_STUDENT, Method::GET, &path, "");
        list.query = "limit=2".to_owned();
        let there = path.replace("/api/", "/v1/");
        let told = format!(r#"{{"path":"{there}?limit=2"}}"#);
        assert_eq!(edge.send(list).await.body, told);
    }
    let edge = edge();
    let path = format!("/api/invitations/{id}");
    let withdraw = edge.signed_in(FIRST_STUDENT, Method::DELETE, &path, "");
    let reply = edge.send(withdraw).await;
    assert_eq!((reply.status, &*reply.body), (204, ""));
}

#[tokio::test]
async fn whoever_gains_or_loses_a_teacher_finds_it_so_at_once() {
    let id = Uuid::from_u128(7);
    for (method, path, status) in [
        (Method::POST, "/api/invitations/accept".to_owned(), 200),
        (Method::POST, format!("/api/invitations/{id}/accept"), 200),
        (Method::DELETE, format!("/api/students/{id}"), 204),
        (Method::DELETE, format!("/api/teachers/{id}"), 204),
        (Method::DELETE, "/api/account".to_owned(), 204),
    ] {
        let edge = edge();
        for reader in [FIRST_STUDENT, CLASSMATE] {
            edge.ask(reader, QUESTION).await;
        }
        edge.calls();
        let reply = edge
            .send(edge.signed_in(CLASSMATE, method, &path, ""))
            .await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert_eq!(edge.calls(), [path.replace("/api/", "/v1/")]);
        assert_eq!(edge.kept(Layer::Scope), 1, "the first student's is dropped");
    }
}

#[tokio::test]
async fn a_browser_whose_account_is_gone_forgets_its_session() {
    let edge = edge();
    let browser = Browser::of(&edge, FIRST_STUDENT).await;
    assert!(!browser.is_empty());
    let reply = browser
        .does(&edge, Method::DELETE, "/api/account", "")
        .await;
    assert_eq!(reply.status, 204, "{}", reply.body);
    assert!(browser.is_empty());
}

#[tokio::test]
async fn an_archive_and_live_progress_go_on_to_the_caller_as_they_come() {
    let edge = edge();
    let export = edge.signed_in(FIRST_STUDENT, Method::GET, "/api/account/export", "");
    let reply = edge.send(export).await;
    assert_eq!(&*reply.body, "PK…");
    assert_eq!(reply.headers["content-type"], "application/zip");
    assert_eq!(
        reply.headers["content-disposition"],
        "attachment; filename=\"etude.zip\""
    );
    assert_eq!(reply.headers["cache-control"], "no-store");

    let path = format!("/api/documents/{}/events", Uuid::from_u128(7));
    let watch = || edge.signed_in(FIRST_STUDENT, Method::GET, &path, "");
    let reply = edge.send(watch()).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    assert_eq!(&*reply.body, "event: document\n\n");

    let gone = Problem::new(ProblemKind::NotFound);
    let there = "/v1/documents/00000000-0000-0000-0000-000000000007/events";
    edge.break_(|faults| faults.refusal(there, gone));
    let refused = edge.send(watch()).await.problem();
    assert!(refused.is(ProblemKind::NotFound));
    let nobody = edge.send(request(Method::GET, &path, "")).await.problem();
    assert!(nobody.is(ProblemKind::TokenMissing));
}

#[tokio::test]
async fn publishing_a_large_book_may_take_half_a_minute() {
    let edge = edge();
    let path = "/v1/documents/00000000-0000-0000-0000-000000000007";
    edge.break_(|faults| faults.origin(path, Failure::Lags(25_000)));
    let change = |method, body| {
        let path = path.replace("/v1/", "/api/");
        edge.signed_in(FIRST_STUDENT, method, &path, body)
    };
    let publish = change(Method::PATCH, r#"{"visibility":"public"}"#);
    assert_eq!(edge.send(publish).await.status, 200);
    let look = edge.send(change(Method::GET, "")).await;
    assert!(look.problem().is(ProblemKind::OriginUnavailable));
}

#[tokio::test]
async fn a_change_stands_although_no_scope_can_be_dropped() {
    let edge = edge();
    edge.ask(FIRST_STUDENT, QUESTION).await;
    edge.break_(|faults| faults.caches = Some(Failure::Fails));
    let path = format!("/api/documents/{}", Uuid::from_u128(7));
    let reply = edge
        .send(edge.signed_in(FIRST_STUDENT, Method::DELETE, &path, ""))
        .await;
    assert_eq!(reply.status, 204, "{}", reply.body);
}

#[tokio::test]
async fn health_tells_whether_the_origin_is_reached() {
    let edge = edge();
    let health = || request(Method::GET, "/api/health", "");
    assert!(edge.send(health()).await.body.contains(r#""status":"ok""#));
    for failure in [Failure::Fails, Failure::Stalls] {
        edge.break_(|faults| faults.origin("/api/health", failure));
        let reply = edge.send(health()).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains(r#""status":"degraded""#));
    }
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems() {
    let edge = edge();
    let missing = edge.send(request(Method::GET, "/api/nothing", "")).await;
    assert!(missing.problem().is(ProblemKind::NotFound));
    let wrong = edge
        .send(request(Method::DELETE, "/api/documents", ""))
        .await;
    assert!(wrong.problem().is(ProblemKind::MethodNotAllowed));
    assert_eq!(wrong.headers["allow"], "GET, POST");
}

#[tokio::test]
async fn browsers_may_call_from_our_own_pages_only() {
    let edge = edge();
    for (origin, is_ours) in [
        ("https://app.example", true),
        ("https://app.example.evil", false),
    ] {
        let mut preflight = request(Method::OPTIONS, "/api/chat/query", "");
        preflight.headers.origin = Some(origin.to_owned());
        let reply = edge.send(preflight).await;
        assert_eq!(reply.status, 204);
        assert_eq!(
            reply.headers.contains_key("access-control-allow-methods"),
            is_ours
        );
        if is_ours {
            let allowed = reply.headers["access-control-allow-headers"].to_str();
            assert!(allowed.unwrap().contains("x-csrf-token"));
        }

        let mut missing = request(Method::GET, "/api/nothing", "");
        missing.headers.origin = Some(origin.to_owned());
        let reply = edge.send(missing).await;
        let allowed = reply.headers.get("access-control-allow-origin");
        assert_eq!(
            allowed.map(|value| value == origin),
            is_ours.then_some(true)
        );
        let with_cookies = reply.headers.get("access-control-allow-credentials");
        assert_eq!(
            with_cookies.map(|value| value == "true"),
            is_ours.then_some(true)
        );
        assert_eq!(reply.headers["vary"], "Origin");
    }
}

#[tokio::test]
async fn every_reply_is_private_and_inert() {
    let edge = edge();
    for reply in [
        edge.ask(FIRST_STUDENT, "scales?").await,
        edge.send(request(Method::GET, "/", "")).await,
    ] {
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert!(reply.headers.contains_key("x-request-id"));
    }
    let log = edge.world.logged.borrow().join("\n");
    assert!(
        !log.contains("scales"),
        "a question is personal data: {log}"
    );
}
