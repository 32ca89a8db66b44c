//! A browser: it keeps cookies, sends them where they belong, and says which page it shows.

use super::{Edge, Received, Sent, issuer::SESSION, request};
use http::{Method, header::SET_COOKIE};
use serde_json::json;
use shared_types::session::CookieSession;
use std::{cell::RefCell, collections::BTreeMap};
use uuid::Uuid;

/// A page of ours.
pub const OUR_PAGE: &str = "https://app.example";

/// A browser that shows a page of ours.
#[derive(Default)]
pub struct Browser {
    /// Value and path by name.
    cookies: RefCell<BTreeMap<String, (String, String)>>,
    csrf_token: RefCell<Option<String>>,
}

impl Browser {
    /// A browser in which somebody has just signed in.
    pub async fn of(edge: &Edge, person: Uuid) -> Self {
        let browser = Self::default();
        browser.signs_in(edge, person).await;
        browser
    }

    /// Signs in; the sign-in service grants the refresh token `r-1`.
    pub async fn signs_in(&self, edge: &Edge, person: Uuid) -> Received {
        *edge.world.auth_reply.borrow_mut() = (200, granted(edge, person, "r-1"));
        let body = json!({"email": "e", "password": "p", "session": "cookie"}).to_string();
        let reply = self
            .does(edge, Method::POST, "/api/auth/login", &body)
            .await;
        let session: CookieSession = serde_json::from_str(&reply.body).unwrap();
        *self.csrf_token.borrow_mut() = Some(session.csrf_token);
        reply
    }

    /// A request as our page sends it, before it is sent.
    pub fn request(&self, method: Method, path: &str, body: &str) -> Sent {
        let mut sent = request(method, path, body);
        let cookies = self.cookies.borrow();
        let pairs: Vec<String> = cookies
            .iter()
            .filter(|(_, (_, below))| path.starts_with(&**below))
            .map(|(name, (value, _))| format!("{name}={value}"))
            .collect();
        sent.headers.cookie = (!pairs.is_empty()).then(|| pairs.join("; "));
        sent.headers.own_origin = Some("https://edge.example".to_owned());
        if sent.method != Method::GET {
            sent.headers.origin = Some(OUR_PAGE.to_owned());
            let token = self.csrf_token.borrow();
            sent.headers.csrf_token.clone_from(&token);
        }
        sent
    }

    /// Has our page send a request.
    pub async fn does(&self, edge: &Edge, method: Method, path: &str, body: &str) -> Received {
        self.sends(edge, self.request(method, path, body)).await
    }

    /// Sends a request and keeps the cookies of the reply.
    pub async fn sends(&self, edge: &Edge, sent: Sent) -> Received {
        let reply = edge.send(sent).await;
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let mut parts = cookie.to_str().unwrap().split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<&str> = parts.collect();
            for needed in ["Secure", "HttpOnly", "SameSite=Strict"] {
                assert!(attributes.contains(&needed), "{cookie:?}");
            }
            let attribute = |name: &str| {
                let mut values = attributes.iter().filter_map(|text| text.strip_prefix(name));
                values.next().unwrap().to_owned()
            };
            let mut cookies = self.cookies.borrow_mut();
            if attribute("Max-Age=") == "0" {
                cookies.remove(name);
            } else {
                let kept = (value.to_owned(), attribute("Path="));
                cookies.insert(name.to_owned(), kept);
            }
        }
        reply
    }

    /// Forgets a cookie, as when its time is over.
    pub fn forgets(&self, name: &str) {
        self.cookies.borrow_mut().remove(name);
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.cookies.borrow();
        cookies.get(name).map(|(value, _)| value.clone())
    }

    /// Whether it keeps no cookie.
    pub fn is_empty(&self) -> bool {
        self.cookies.borrow().is_empty()
    }
}

/// A session as the sign-in service grants it.
pub fn granted(edge: &Edge, person: Uuid, refresh_token: &str) -> String {
    let token = edge.world.issuer.borrow().token(person, edge.now_s());
    json!({
        "access_token": token, "token_type": "bearer", "expires_in": 3_600,
        "refresh_token": refresh_token, "user": {"id": person},
    })
    .to_string()
}

/// The refresh cookie that goes with a refresh token.
pub fn refresh_cookie(refresh_token: &str) -> String {
    format!("{SESSION}.{refresh_token}")
}
