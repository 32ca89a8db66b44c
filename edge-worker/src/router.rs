//! Which endpoint a request is for.

use http::Method;
use uuid::Uuid;

/// An endpoint of the edge.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path, in which `{id}` stands for any UUID. For logs, too: no ids in it.
    pub template: &'static str,
    /// What is done there.
    pub route: Route,
}

/// What is done at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A question is answered.
    ChatQuery,
    /// The edge says how it is.
    Health,
    /// An account is made.
    Register,
    /// A session begins.
    Login,
    /// A session goes on.
    Refresh,
    /// A session ends.
    Logout,
    /// The caller's account is shown.
    Me,
    /// A document's file is sent.
    DocumentFile,
    /// Something is never again served from a cache.
    PurgeCache,
    /// What people may read is forgotten.
    InvalidateScopes,
    /// The origin does it, at `/v1/…` in place of `/api/…`.
    Forwarded(Forward),
}

/// How a call is passed on to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Whether the caller's body goes with it.
    pub has_body: bool,
    /// Whether it may take as long as an answer: a large file is copied, or every passage of a document is touched (to
    /// publish eight thousand takes half a minute).
    pub is_slow: bool,
    /// What becomes of the reply.
    pub reply: Relaying,
}

/// What becomes of the origin's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relaying {
    /// It is the caller's.
    Whole,
    /// The same, as it comes: it is long, or lasts.
    AsItComes,
    /// It names people whose scopes are forgotten, beside what is the caller's.
    Change,
    /// The same, and the caller has no account any more.
    Farewell,
}

const READ: Route = forwarded(false, Relaying::Whole);
const SENT: Route = forwarded(true, Relaying::Whole);
const LIVE: Route = forwarded(false, Relaying::AsItComes);
const CHANGE: Route = forwarded(false, Relaying::Change);

const fn forwarded(has_body: bool, reply: Relaying) -> Route {
    Route::Forwarded(Forward {
        has_body,
        is_slow: false,
        reply,
    })
}

const fn slow(has_body: bool, reply: Relaying) -> Route {
    Route::Forwarded(Forward {
        has_body,
        is_slow: true,
        reply,
    })
}

const fn at(method: Method, template: &'static str, route: Route) -> Endpoint {
    Endpoint {
        method,
        template,
        route,
    }
}

/// Every endpoint; the methods of a path stand side by side.
pub static ENDPOINTS: [Endpoint; 41] = [
    at(Method::POST, "/api/chat/query", Route::ChatQuery),
    at(Method::GET, "/api/chat/sessions", READ),
    at(Method::POST, "/api/chat/sessions", SENT),
    at(Method::GET, "/api/chat/sessions/{id}", READ),
    at(Method::DELETE, "/api/chat/sessions/{id}", READ),
    at(Method::GET, "/api/chat/sessions/{id}/messages", READ),
    at(Method::POST, "/api/chat/messages/{id}/feedback", SENT),
    at(Method::GET, "/api/unanswered", READ),
    at(Method::GET, "/api/curated-answers", READ),
    at(
        Method::POST,
        "/api/curated-answers",
        forwarded(true, Relaying::Change),
    ),
    at(Method::DELETE, "/api/curated-answers/{id}", CHANGE),
    at(Method::GET, "/api/health", Route::Health),
    at(Method::POST, "/api/auth/register", Route::Register),
    at(Method::POST, "/api/auth/login", Route::Login),
    at(Method::POST, "/api/auth/refresh", Route::Refresh),
    at(Method::POST, "/api/auth/logout", Route::Logout),
    at(Method::GET, "/api/auth/me", Route::Me),
    at(Method::GET, "/api/documents", READ),
    at(Method::POST, "/api/documents", SENT),
    at(Method::GET, "/api/documents/{id}", READ),
    at(
        Method::PATCH,
        "/api/documents/{id}",
        slow(true, Relaying::Change),
    ),
    at(
        Method::DELETE,
        "/api/documents/{id}",
        slow(false, Relaying::Change),
    ),
    at(
        Method::POST,
        "/api/documents/{id}/confirm",
        slow(true, Relaying::Whole),
    ),
    at(Method::POST, "/api/documents/{id}/reprocess", READ),
    at(Method::GET, "/api/documents/{id}/events", LIVE),
    at(Method::GET, "/api/documents/{id}/file", Route::DocumentFile),
    at(
        Method::HEAD,
        "/api/documents/{id}/file",
        Route::DocumentFile,
    ),
    at(Method::GET, "/api/invitations", READ),
    at(Method::POST, "/api/invitations", SENT),
    at(
        Method::POST,
        "/api/invitations/accept",
        forwarded(true, Relaying::Change),
    ),
    at(Method::DELETE, "/api/invitations/{id}", READ),
    at(Method::POST, "/api/invitations/{id}/accept", CHANGE),
    at(Method::GET, "/api/students", READ),
    at(Method::DELETE, "/api/students/{id}", CHANGE),
    at(Method::GET, "/api/teachers", READ),
    at(Method::DELETE, "/api/teachers/{id}", CHANGE),
    at(
        Method::DELETE,
        "/api/account",
        slow(true, Relaying::Farewell),
    ),
    at(Method::GET, "/api/account/export", LIVE),
    at(Method::GET, "/api/account/usage", READ),
    at(Method::POST, "/api/admin/cache/purge", Route::PurgeCache),
    at(
        Method::POST,
        "/internal/scope/invalidate",
        Route::InvalidateScopes,
    ),
];

impl Route {
    /// Whether the caller waits as long as for an answer.
    #[must_use]
    pub fn is_slow(self) -> bool {
        match self {
            Self::ChatQuery => true,
            Self::Forwarded(forward) => forward.is_slow,
            _ => false,
        }
    }

    /// The largest request body in bytes.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::ChatQuery => 16 * 1024,
            _ => 64 * 1024,
        }
    }
}

/// What a method and path lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// An endpoint.
    Found(&'static Endpoint),
    /// The path exists under other methods.
    WrongMethod,
    /// No such path.
    NotFound,
}

/// Finds the endpoint. `path` has no query.
#[must_use]
pub fn route(method: &Method, path: &str) -> Match {
    let mut found = Match::NotFound;
    for endpoint in endpoints_at(path) {
        if endpoint.method == *method {
            return Match::Found(endpoint);
        }
        found = Match::WrongMethod;
    }
    found
}

/// The methods of a path, as the header `Allow` lists them.
#[must_use]
pub fn allowed(path: &str) -> String {
    let methods: Vec<_> = endpoints_at(path)
        .map(|endpoint| endpoint.method.as_str())
        .collect();
    methods.join(", ")
}

fn endpoints_at(path: &str) -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS
        .iter()
        .filter(move |endpoint| fits(endpoint.template, path))
}

fn fits(template: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let is_part = |expected: &str| {
        parts.next().is_some_and(|part| match expected {
            "{id}" => part.parse::<Uuid>().is_ok(),
            word => part == word,
        })
    };
    template.split('/').all(is_part) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const ID: &str = "00000000-0000-0000-0000-000000000007";

    #[test]
    fn every_endpoint_is_found_under_its_own_methods_only() {
        let mut methods = BTreeMap::<&str, Vec<&str>>::new();
        for endpoint in &ENDPOINTS {
            let path = endpoint.template.replace("{id}", ID);
            assert_eq!(route(&endpoint.method, &path), Match::Found(endpoint));
            assert_eq!(route(&Method::PUT, &path), Match::WrongMethod);
            let methods = methods.entry(endpoint.template).or_default();
            methods.push(endpoint.method.as_str());
        }
        for (template, methods) in methods {
            let path = template.replace("{id}", ID);
            assert_eq!(allowed(&path), methods.join(", "), "{template}");
        }
    }

    #[test]
    fn a_word_is_no_id_and_an_id_no_word() {
        let accepted = route(&Method::POST, "/api/invitations/accept");
        let Match::Found(endpoint) = accepted else {
            panic!("{accepted:?}");
        };
        assert_eq!(endpoint.template, "/api/invitations/accept");
        let one = format!("/api/invitations/{ID}");
        assert_eq!(route(&Method::POST, &one), Match::WrongMethod);
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "/",
            "",
            "/api",
            "/api/chat",
            "/api/chat/query/",
            "/api/chat/query/more",
            "/api//health",
            "api/health",
            "/api/auth/admin",
            "/api/admin/cache",
            "/api/admin/cache/purge/more",
            "/api/documents/{id}",
            "/api/documents/not-an-id",
            "/api/documents/../account",
            "/api/documents/00000000-0000-0000-0000-000000000007/delete",
            "/api/documents/00000000-0000-0000-0000-000000000007/file/1",
            "/api/documents/not-an-id/file",
            "/v1/scope",
        ] {
            assert_eq!(route(&Method::GET, path), Match::NotFound, "{path}");
            assert_eq!(route(&Method::POST, path), Match::NotFound, "{path}");
        }
    }
}
