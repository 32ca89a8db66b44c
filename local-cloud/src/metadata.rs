//! Stands for the metadata server of a Compute Engine instance: access tokens for its service account,
//! the project and the account's address.
//!
//! The tokens are random words: the Vertex stand-in takes any.

use crate::host;
use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const FLAVOR_VALUE: HeaderValue = HeaderValue::from_static("Google");
const PROJECT_ID: &str = "etude-local";
const PROJECT_NUMBER: &str = "100000000001";
const EMAIL: &str = "origin@etude-local.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_LIFETIME_S: u32 = 3599;

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
struct AccessToken {
    access_token: String,
    expires_in: u32,
    token_type: &'static str,
}

pub(crate) fn router() -> Router {
    let account = "/computeMetadata/v1/instance/service-accounts/default";
    Router::new()
        .route(&format!("{account}/token"), get(token))
        .route(&format!("{account}/email"), get(|| async { EMAIL }))
        .route(&format!("{account}/scopes"), get(|| async { SCOPE }))
        .route(
            "/computeMetadata/v1/project/project-id",
            get(|| async { PROJECT_ID }),
        )
        .route(
            "/computeMetadata/v1/project/numeric-project-id",
            get(|| async { PROJECT_NUMBER }),
        )
        .layer(middleware::from_fn(flavored))
}

/// The header proves that the caller is no browser tricked into asking; the reply proves the same of
/// the server.
async fn flavored(request: Request, next: Next) -> Response {
    let mut response = if request.headers().get(FLAVOR) == Some(&FLAVOR_VALUE) {
        next.run(request).await
    } else {
        (
            StatusCode::FORBIDDEN,
            "Missing Metadata-Flavor:Google header.",
        )
            .into_response()
    };
    response.headers_mut().insert(FLAVOR, FLAVOR_VALUE);
    response
}

async fn token() -> Result<Json<AccessToken>, StatusCode> {
    let random = host::random_hex::<24>().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(AccessToken {
        access_token: format!("local.{random}"),
        expires_in: TOKEN_LIFETIME_S,
        token_type: "Bearer",
    }))
}
