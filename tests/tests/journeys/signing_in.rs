//! A browser signs in, and keeps its tokens where no script reads them.

use journeys::{School, journey_with};
use local_stack::{
    StackConfig,
    config::TokenAlgorithm,
    faults::{Fault, Target},
};
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{COOKIE, ORIGIN, SET_COOKIE},
};
use serde_json::{Value, json};
use shared_types::{
    headers::CSRF_TOKEN,
    problem::{Problem, ProblemKind},
    session::CookieSession,
};
use std::collections::BTreeMap;

/// A page of ours, as `wrangler.toml` allows it for local development.
const OUR_PAGE: &str = "http://localhost:5173";
const ACCESS: &str = "__Host-etude-access";
const REFRESH: &str = "__Secure-etude-refresh";
const PASSWORD: &str = "correct-horse-battery";

/// A browser with a page of ours.
struct Page {
    http: Client,
    edge: String,
    cookies: BTreeMap<String, String>,
    csrf_token: String,
}

impl Page {
    fn open(school: &School) -> Self {
        Self {
            // workerd closes a connection whose request was refused before its body was read.
            http: Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            edge: school.stack.edge_url(),
            cookies: BTreeMap::new(),
            csrf_token: String::new(),
        }
    }

    /// Sends a request with its cookies and keeps those of the reply.
    async fn does(&mut self, method: Method, path: &str, body: &str) -> Response {
        let (token, cookies) = (self.csrf_token.clone(), self.cookies.clone());
        let reply = self.sends(method, path, body, OUR_PAGE, &token, &cookies);
        let reply = reply.await;
        for cookie in reply.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"));
            if attributes.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    async fn sends(
        &self,
        method: Method,
        path: &str,
        body: &str,
        origin: &str,
        csrf_token: &str,
        cookies: &BTreeMap<String, String>,
    ) -> Response {
        let pairs: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self.http.request(method, format!("{}{path}", self.edge));
        let request = request
            .header(COOKIE, pairs.join("; "))
            .header(ORIGIN, origin)
            .header(CSRF_TOKEN, csrf_token)
            .body(body.to_owned());
        request.send().await.unwrap()
    }

    /// Registers or signs in.
    async fn begins(&mut self, action: &str, email: &str) -> CookieSession {
        let body = json!({ "email": email, "password": PASSWORD, "session": "cookie" });
        let path = format!("/api/auth/{action}");
        let reply = self.does(Method::POST, &path, &body.to_string()).await;
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        for name in [ACCESS, REFRESH] {
            let value = &self.cookies[name];
            let secret = value.rsplit('.').next().unwrap();
            assert!(!text.contains(secret), "{name} is in the body");
        }
        let session: CookieSession = serde_json::from_str(&text).unwrap();
        self.csrf_token.clone_from(&session.csrf_token);
        session
    }

    async fn refreshes(&mut self) -> Response {
        self.does(Method::POST, "/api/auth/refresh", "").await
    }

    async fn signs_out(&mut self) -> Response {
        self.does(Method::POST, "/api/auth/logout", "").await
    }
}

async fn problem(reply: Response) -> Problem {
    let status = reply.status().as_u16();
    let problem: Problem = reply.json().await.unwrap();
    assert_eq!(problem.status, status);
    problem
}

async fn a_browser_lives_with_cookies(school: &mut School) {
    let mut page = Page::open(school);
    let session = page.begins("register", "newcomer@school.example").await;
    assert_eq!(session.user.role.as_str(), "student");

    // Reading takes the cookie alone, at the edge, at the origin and at the sign-in service.
    let documents = page.does(Method::GET, "/api/documents", "").await;
    assert_eq!(documents.status(), StatusCode::OK);
    let me = page.does(Method::GET, "/api/auth/me", "").await;
    let told = me.headers()[CSRF_TOKEN].to_str().unwrap().to_owned();
    assert_eq!(told, page.csrf_token);
    let me: Value = me.json().await.unwrap();
    assert_eq!(me["email"], "newcomer@school.example");

    // Changing something takes the proof as well.
    let question = r#"{"query":"How do I hold my wrist?"}"#;
    let wrong = "0".repeat(64);
    let ask = |origin, token| {
        let path = "/api/chat/query";
        page.sends(Method::POST, path, question, origin, token, &page.cookies)
    };
    for (origin, token) in [
        ("https://evil.example", &*page.csrf_token),
        (OUR_PAGE, ""),
        (OUR_PAGE, &*wrong),
    ] {
        let refused = problem(ask(origin, token).await).await;
        assert!(refused.is(ProblemKind::CsrfRefused), "{origin} {token}");
    }
    let answer = ask(OUR_PAGE, &page.csrf_token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("event: done"));

    // The first refresh token is good once; whoever comes with it again ends the session for all.
    let first = page.cookies.clone();
    assert_eq!(page.refreshes().await.status(), StatusCode::OK);
    assert_ne!(page.cookies[REFRESH], first[REFRESH]);
    let newest = std::mem::replace(&mut page.cookies, first);
    let reused = problem(page.refreshes().await).await;
    assert!(reused.is(ProblemKind::RefreshTokenReused), "{reused:?}");
    assert!(page.cookies.is_empty());
    page.cookies.clone_from(&newest);
    let me = problem(page.does(Method::GET, "/api/auth/me", "").await).await;
    assert!(me.is(ProblemKind::TokenSessionEnded), "{me:?}");
    let ended = problem(page.refreshes().await).await;
    assert!(ended.is(ProblemKind::RefreshTokenReused), "{ended:?}");

    // Signing out ends the session where it began, too.
    page.begins("login", "newcomer@school.example").await;
    let before = page.cookies.clone();
    assert_eq!(page.signs_out().await.status(), StatusCode::NO_CONTENT);
    assert!(page.cookies.is_empty());
    page.cookies = before;
    let ended = problem(page.refreshes().await).await;
    assert!(ended.is(ProblemKind::RefreshTokenRefused), "{ended:?}");

    // And it clears the browser while the sign-in service is down.
    page.begins("login", "newcomer@school.example").await;
    let faults = school.stack.faults();
    let down = Fault::Status { status: 500 };
    faults.arm(Target::Auth, down, None).await.unwrap();
    assert_eq!(page.signs_out().await.status(), StatusCode::NO_CONTENT);
    assert!(page.cookies.is_empty());
}

fn signed_with(algorithm: TokenAlgorithm) -> impl FnOnce(StackConfig) -> StackConfig {
    move |mut config| {
        config.token_algorithm = algorithm;
        config
    }
}

#[test]
fn a_browser_signs_in_with_cookies_under_rs256() {
    journey_with(
        signed_with(TokenAlgorithm::Rs256),
        a_browser_lives_with_cookies,
    );
}

#[test]
fn a_browser_signs_in_with_cookies_under_es256() {
    journey_with(
        signed_with(TokenAlgorithm::Es256),
        a_browser_lives_with_cookies,
    );
}

#[test]
fn forged_tokens_and_used_refresh_tokens_open_nothing() {
    journey_with(signed_with(TokenAlgorithm::Es256), async |school| {
        let client = school.stack.client();
        let session = client
            .sign_in("student@school.example", PASSWORD)
            .await
            .unwrap();
        let parts: Vec<&str> = session.access_token.split('.').collect();
        let teacher = school.teacher.browser.token().unwrap();
        let teachers_claims = teacher.split('.').nth(1).unwrap();
        for (token, kind) in [
            (
                format!("{}.{teachers_claims}.{}", parts[0], parts[2]),
                ProblemKind::TokenSignatureInvalid,
            ),
            (
                // {"alg":"none"}
                format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
                ProblemKind::TokenAlgorithmRefused,
            ),
            (
                // {"alg":"ES256","kid":"k"}
                format!(
                    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.{}.{}",
                    parts[1], parts[2]
                ),
                ProblemKind::TokenKeyUnknown,
            ),
        ] {
            let forger = client.with_token(token);
            let reply = forger.request(Method::GET, "/api/documents").send().await;
            assert!(problem(reply.unwrap()).await.is(kind), "{kind:?}");
        }

        let body = json!({ "refresh_token": session.refresh_token });
        let refresh = || {
            client
                .request(Method::POST, "/api/auth/refresh")
                .json(&body)
                .send()
        };
        assert_eq!(refresh().await.unwrap().status(), StatusCode::OK);
        let reused = problem(refresh().await.unwrap()).await;
        assert!(reused.is(ProblemKind::RefreshTokenReused));
    });
}
