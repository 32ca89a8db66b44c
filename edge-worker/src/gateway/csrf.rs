//! Requests that prove their sender by cookies, and the proof that a page of ours sent them.
//!
//! A browser adds cookies to whatever another site makes it send. So a request that changes
//! something must come from a web origin of ours, and must carry a token that only our pages were
//! given: an HMAC of the session's id. It is bound to the session, so one person's token is of no use
//! with another's cookies, and there is nothing to store.

use crate::gateway::{
    cookies::{self, RefreshCookie},
    exchange::{Incoming, IncomingHeaders},
    protection::MAX_COOKIE_BYTES,
};
use hmac::{Hmac, Mac};
use http::Method;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use shared_types::{
    ids::SessionId,
    problem::{Problem, ProblemKind},
};

/// Separates this use of the edge's secret from every other.
const PURPOSE: &[u8] = b"etude csrf v1:";

/// A request with cookies of ours and without `Authorization`.
pub struct CookieCall {
    /// The refresh token, which travels to `/api/auth` alone.
    pub refresh: Option<RefreshCookie>,
    changes_something: bool,
    is_from_us: bool,
    csrf_token: Option<String>,
}

impl CookieCall {
    /// Puts the access cookie in the place of `Authorization`, where there is none: from here on a
    /// cookie is a bearer, to the origin too. A header that is too long is left where it is, to be
    /// refused.
    pub fn take(incoming: &mut Incoming, allowed_origins: &[String]) -> Option<Self> {
        let headers = &mut incoming.headers;
        if headers.authorization.is_some() {
            return None;
        }
        let cookie = headers
            .cookie
            .take_if(|cookie| cookie.len() <= MAX_COOKIE_BYTES)?;
        if !cookies::are_ours(&cookie) {
            return None;
        }
        let access = cookies::value_of(&cookie, cookies::ACCESS);
        headers.authorization = access.map(|token| format!("Bearer {token}"));
        Some(Self {
            refresh: cookies::value_of(&cookie, cookies::REFRESH).and_then(RefreshCookie::parse),
            changes_something: changes_something(&incoming.method),
            is_from_us: is_from_us(headers, allowed_origins),
            csrf_token: headers.csrf_token.take(),
        })
    }

    /// Refuses a request that would change something, unless a page of ours sent it in this session.
    pub fn check(&self, secret: &SecretString, session: Option<SessionId>) -> Result<(), Problem> {
        if !self.changes_something {
            return Ok(());
        }
        self.check_origin()?;
        let sent = self.csrf_token.as_deref().unwrap_or_default();
        let is_right = session.is_some_and(|session| is_token(secret, session, sent));
        is_right.then_some(()).ok_or_else(|| {
            refused("Send the session's x-csrf-token, which GET /api/auth/me tells again.")
        })
    }

    /// Refuses a request that no page of ours sent.
    pub fn check_origin(&self) -> Result<(), Problem> {
        self.is_from_us.then_some(()).ok_or_else(foreign)
    }
}

/// Whether a request of this method may change something, so that a cookie alone does not prove its sender.
#[must_use]
pub fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses to give cookies to a page that is not ours.
pub fn check_origin(headers: &IncomingHeaders, allowed_origins: &[String]) -> Result<(), Problem> {
    let is_from_us = is_from_us(headers, allowed_origins);
    is_from_us.then_some(()).ok_or_else(foreign)
}

/// The token of a session: 64 hex digits.
#[must_use]
pub fn token(secret: &SecretString, session: SessionId) -> String {
    hex::encode(mac(secret, session).finalize().into_bytes())
}

/// Compares in constant time.
fn is_token(secret: &SecretString, session: SessionId, sent: &str) -> bool {
    let sent = hex::decode(sent).unwrap_or_default();
    mac(secret, session).verify_slice(&sent).is_ok()
}

fn mac(secret: &SecretString, session: SessionId) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.chain_update(PURPOSE).chain_update(session.0.as_bytes())
}

/// Whether the page is of the edge's own web origin or an allowed one. A browser always says so with
/// a request that changes something.
fn is_from_us(headers: &IncomingHeaders, allowed_origins: &[String]) -> bool {
    headers.origin.as_ref().is_some_and(|origin| {
        allowed_origins.contains(origin) || headers.own_origin.as_ref() == Some(origin)
    })
}

fn foreign() -> Problem {
    refused("Cookies are for pages of the allowed origins; others sign in for a bearer token.")
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemKind::CsrfRefused).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn session(number: u128) -> SessionId {
        SessionId(Uuid::from_u128(number))
    }

    #[test]
    fn a_token_is_good_for_its_own_session_and_secret_only() {
        let secret = SecretString::from("between edge and origin");
        let good = token(&secret, session(1));
        assert_eq!(good.len(), 64);
        assert!(is_token(&secret, session(1), &good));
        assert!(!is_token(&secret, session(2), &good));
        assert!(!is_token(&"another".into(), session(1), &good));
        for wrong in ["", "00", &good[..62], &format!("{good}00"), "no hex"] {
            assert!(!is_token(&secret, session(1), wrong), "{wrong}");
        }
    }
}
