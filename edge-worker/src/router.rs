//! Which endpoint a request is for.

use http::Method;
use shared_types::ids::DocumentId;

/// An endpoint of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /api/chat/query`
    ChatQuery,
    /// `GET /api/health`
    Health,
    /// `POST /api/auth/register`
    Register,
    /// `POST /api/auth/login`
    Login,
    /// `POST /api/auth/refresh`
    Refresh,
    /// `POST /api/auth/logout`
    Logout,
    /// `GET /api/auth/me`
    Me,
    /// `POST /api/documents`
    CreateDocument,
    /// `GET /api/documents`
    ListDocuments,
    /// `GET /api/documents/{id}`
    GetDocument(DocumentId),
    /// `PATCH /api/documents/{id}`
    ChangeDocument(DocumentId),
    /// `DELETE /api/documents/{id}`
    DeleteDocument(DocumentId),
    /// `POST /api/documents/{id}/confirm`
    ConfirmDocument(DocumentId),
    /// `POST /api/documents/{id}/reprocess`
    ReprocessDocument(DocumentId),
    /// `GET` and `HEAD /api/documents/{id}/pdf`
    DocumentFile(DocumentId),
    /// `POST /api/admin/cache/purge`
    PurgeCache,
    /// `POST /internal/scope/invalidate`
    InvalidateScopes,
}

impl Route {
    /// The route's template, for logs: no ids in it.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Self::ChatQuery => "/api/chat/query",
            Self::Health => "/api/health",
            Self::Register => "/api/auth/register",
            Self::Login => "/api/auth/login",
            Self::Refresh => "/api/auth/refresh",
            Self::Logout => "/api/auth/logout",
            Self::Me => "/api/auth/me",
            Self::CreateDocument | Self::ListDocuments => "/api/documents",
            Self::GetDocument(_) | Self::ChangeDocument(_) | Self::DeleteDocument(_) => {
                "/api/documents/{id}"
            }
            Self::ConfirmDocument(_) => "/api/documents/{id}/confirm",
            Self::ReprocessDocument(_) => "/api/documents/{id}/reprocess",
            Self::DocumentFile(_) => "/api/documents/{id}/pdf",
            Self::PurgeCache => "/api/admin/cache/purge",
            Self::InvalidateScopes => "/internal/scope/invalidate",
        }
    }

    /// Whether every passage of a document is touched: to publish eight thousand takes half a minute.
    #[must_use]
    pub fn takes_a_whole_document(self) -> bool {
        matches!(self, Self::ChangeDocument(_) | Self::DeleteDocument(_))
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
    Found(Route),
    /// The path exists under other methods: these.
    WrongMethod(&'static str),
    /// No such path.
    NotFound,
}

/// Finds the endpoint. `path` has no query.
#[must_use]
pub fn route(method: &Method, path: &str) -> Match {
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    let parts = [
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ];
    let get = |route| pick(method, Some(route), None);
    let post = |route| pick(method, None, Some(route));
    match parts {
        [Some("api"), Some("chat"), Some("query"), None, _] => post(Route::ChatQuery),
        [Some("api"), Some("health"), None, ..] => get(Route::Health),
        [Some("api"), Some("auth"), Some(action), None, _] => match action {
            "register" => post(Route::Register),
            "login" => post(Route::Login),
            "refresh" => post(Route::Refresh),
            "logout" => post(Route::Logout),
            "me" => get(Route::Me),
            _ => Match::NotFound,
        },
        [Some("api"), Some("documents"), None, ..] => pick(
            method,
            Some(Route::ListDocuments),
            Some(Route::CreateDocument),
        ),
        [Some("api"), Some("documents"), Some(id), None, _] => id
            .parse()
            .map_or(Match::NotFound, |id| document(method, id)),
        [Some("api"), Some("documents"), Some(id), Some(part), None] => {
            id.parse().map_or(Match::NotFound, |id| match part {
                "confirm" => post(Route::ConfirmDocument(id)),
                "reprocess" => post(Route::ReprocessDocument(id)),
                "pdf" => file(method, Route::DocumentFile(id)),
                _ => Match::NotFound,
            })
        }
        [
            Some("api"),
            Some("admin"),
            Some("cache"),
            Some("purge"),
            None,
        ] => post(Route::PurgeCache),
        [Some("internal"), Some("scope"), Some("invalidate"), None, _] => {
            post(Route::InvalidateScopes)
        }
        _ => Match::NotFound,
    }
}

fn document(method: &Method, id: DocumentId) -> Match {
    match *method {
        Method::GET => Match::Found(Route::GetDocument(id)),
        Method::PATCH => Match::Found(Route::ChangeDocument(id)),
        Method::DELETE => Match::Found(Route::DeleteDocument(id)),
        _ => Match::WrongMethod("GET, PATCH, DELETE"),
    }
}

fn file(method: &Method, route: Route) -> Match {
    match *method {
        Method::GET | Method::HEAD => Match::Found(route),
        _ => Match::WrongMethod("GET, HEAD"),
    }
}

fn pick(method: &Method, get: Option<Route>, post: Option<Route>) -> Match {
    let chosen = match *method {
        Method::GET => get,
        Method::POST => post,
        _ => None,
    };
    match (chosen, get, post) {
        (Some(route), ..) => Match::Found(route),
        (None, Some(_), Some(_)) => Match::WrongMethod("GET, POST"),
        (None, Some(_), None) => Match::WrongMethod("GET"),
        (None, ..) => Match::WrongMethod("POST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_endpoint_is_found_under_its_own_method_only() {
        let id = DocumentId(Uuid::from_u128(7));
        let table = [
            (Method::POST, "/api/chat/query".to_owned(), Route::ChatQuery),
            (Method::GET, "/api/health".to_owned(), Route::Health),
            (
                Method::POST,
                "/api/auth/register".to_owned(),
                Route::Register,
            ),
            (Method::POST, "/api/auth/login".to_owned(), Route::Login),
            (Method::POST, "/api/auth/refresh".to_owned(), Route::Refresh),
            (Method::POST, "/api/auth/logout".to_owned(), Route::Logout),
            (Method::GET, "/api/auth/me".to_owned(), Route::Me),
            (
                Method::POST,
                "/api/documents".to_owned(),
                Route::CreateDocument,
            ),
            (
                Method::GET,
                "/api/documents".to_owned(),
                Route::ListDocuments,
            ),
            (
                Method::GET,
                format!("/api/documents/{id}"),
                Route::GetDocument(id),
            ),
            (
                Method::PATCH,
                format!("/api/documents/{id}"),
                Route::ChangeDocument(id),
            ),
            (
                Method::DELETE,
                format!("/api/documents/{id}"),
                Route::DeleteDocument(id),
            ),
            (
                Method::POST,
                format!("/api/documents/{id}/confirm"),
                Route::ConfirmDocument(id),
            ),
            (
                Method::POST,
                format!("/api/documents/{id}/reprocess"),
                Route::ReprocessDocument(id),
            ),
            (
                Method::GET,
                format!("/api/documents/{id}/pdf"),
                Route::DocumentFile(id),
            ),
            (
                Method::HEAD,
                format!("/api/documents/{id}/pdf"),
                Route::DocumentFile(id),
            ),
            (
                Method::POST,
                "/api/admin/cache/purge".to_owned(),
                Route::PurgeCache,
            ),
            (
                Method::POST,
                "/internal/scope/invalidate".to_owned(),
                Route::InvalidateScopes,
            ),
        ];
        for (method, path, expected) in table {
            assert_eq!(route(&method, &path), Match::Found(expected));
            assert!(matches!(route(&Method::PUT, &path), Match::WrongMethod(_)));
        }
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
            "/api/auth/admin",
            "/api/admin/cache",
            "/api/admin/cache/purge/more",
            "/api/documents/not-an-id",
            "/api/documents/00000000-0000-0000-0000-000000000007/delete",
            "/api/documents/00000000-0000-0000-0000-000000000007/pdf/1",
            "/api/documents/not-an-id/pdf",
            "/v1/scope",
        ] {
            assert_eq!(route(&Method::GET, path), Match::NotFound, "{path}");
            assert_eq!(route(&Method::POST, path), Match::NotFound, "{path}");
        }
    }
}
