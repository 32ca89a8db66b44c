//! What a browser does: sign in, ask, upload. Every call goes to the edge.

mod asking;
mod conversing;
mod uploading;

pub use asking::{Answer, Answering, Moment};
pub use uploading::NewDocument;

use crate::StackError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use shared_types::problem::Problem;
use std::time::Duration;

/// How much of an unexpected body an error repeats, in bytes.
const BODY_EXCERPT: usize = 400;

/// A browser at the edge, signed in or not.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// `workerd` closes a connection that was idle for five seconds; a request must not be on its way then.
const IDLE_CONNECTION: Duration = Duration::from_secs(3);

/// What the sign-in service hands out.
#[derive(Clone, Deserialize)]
pub struct Session {
    /// The bearer token.
    pub access_token: String,
    /// Gets the next session, once.
    pub refresh_token: String,
    /// Seconds until the access token ends.
    pub expires_in: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the edge at `base` (`http://host:port`), signed in as nobody.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            http: http(),
            base: base.into(),
            token: None,
        }
    }

    /// Signs in.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Session, StackError> {
        let body = json!({ "email": email, "password": password });
        let what = format!("signing in as {email}");
        let request = self.http.post(self.url("/api/auth/login")).json(&body);
        let response = request.send().await.map_err(StackError::http(&what))?;
        answer(&what, response).await
    }

    /// The same client with this access token.
    #[must_use]
    pub fn with_token(&self, access_token: impl Into<String>) -> Self {
        Self {
            token: Some(access_token.into()),
            ..self.clone()
        }
    }

    /// Signs in and returns a client that is.
    pub async fn signed_in(&self, email: &str, password: &str) -> Result<Self, StackError> {
        let session = self.sign_in(email, password).await?;
        Ok(self.with_token(session.access_token))
    }

    /// The access token, if signed in.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request to the edge, for what has no method here. `path` starts with `/`.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// An HTTP client that asks no proxy: everything is on this machine.
pub(crate) fn http() -> reqwest::Client {
    // Building fails only where the TLS backend can't be set up, and then nothing else works either.
    reqwest::Client::builder()
        .pool_idle_timeout(IDLE_CONNECTION)
        .no_proxy()
        .build()
        .unwrap_or_default()
}

/// Reads the JSON of an answer, or its problem.
pub(crate) async fn answer<T: DeserializeOwned>(
    what: &str,
    response: reqwest::Response,
) -> Result<T, StackError> {
    if !response.status().is_success() {
        return Err(refusal(what, response).await);
    }
    let status = response.status().as_u16();
    let body = response.bytes().await.map_err(StackError::http(what))?;
    serde_json::from_slice(&body).map_err(|_| unexpected(what, status, &body))
}

/// Reads the problem of a refusal.
pub(crate) async fn refusal(what: &str, response: reqwest::Response) -> StackError {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => StackError::Refused {
            what: what.to_owned(),
            problem: Box::new(problem),
        },
        Err(_) => unexpected(what, status, &body),
    }
}

fn unexpected(what: &str, status: u16, body: &[u8]) -> StackError {
    let body = &body[..body.len().min(BODY_EXCERPT)];
    StackError::Unexpected {
        what: what.to_owned(),
        status,
        body: String::from_utf8_lossy(body).into_owned(),
    }
}
