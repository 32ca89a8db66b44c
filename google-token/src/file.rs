//! Tokens for the credentials in a file, by Google's own library.

use crate::GoogleTokenError;
use google_cloud_auth::credentials::{AccessTokenCredentials, external_account, service_account};
use secrecy::SecretString;
use serde_json::Value;
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What the tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// For one token, with all that the library asks for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The credentials of a file, as they were when it was read.
pub(crate) struct FileCredentials {
    kind: Kind,
    content: Value,
    credentials: Mutex<AccessTokenCredentials>,
}

#[derive(Clone, Copy)]
enum Kind {
    ServiceAccount,
    ExternalAccount,
}

impl FileCredentials {
    pub(crate) fn read(path: &Path) -> Result<Self, GoogleTokenError> {
        let text = std::fs::read(path).map_err(GoogleTokenError::Unreadable)?;
        let content: Value = serde_json::from_slice(&text).map_err(GoogleTokenError::NotJson)?;
        let kind = match content["type"].as_str() {
            Some("service_account") => Kind::ServiceAccount,
            Some("external_account") => Kind::ExternalAccount,
            other => {
                let other = other.unwrap_or_default();
                return Err(GoogleTokenError::OtherType(other.to_owned()));
            }
        };
        // The library leaves the choice to the process, which has made it where it speaks TLS already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            kind,
            credentials: Mutex::new(build(kind, &content)?),
            content,
        })
    }

    pub(crate) async fn get(&self) -> Result<SecretString, GoogleTokenError> {
        let credentials = self.lock().clone();
        let outcome = match tokio::time::timeout(TIMEOUT, credentials.access_token()).await {
            Ok(Ok(token)) => return Ok(token.token.into()),
            Ok(Err(error)) => GoogleTokenError::Refused(error),
            Err(_) => GoogleTokenError::Silent,
        };
        // The library keeps an error for a while, some of them for good.
        self.forget();
        Err(outcome)
    }

    /// The library forgets no token: credentials that know none take its place.
    pub(crate) fn forget(&self) {
        // The same content was good when it was read.
        if let Ok(fresh) = build(self.kind, &self.content) {
            *self.lock() = fresh;
        }
    }

    fn lock(&self) -> MutexGuard<'_, AccessTokenCredentials> {
        self.credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(kind: Kind, content: &Value) -> Result<AccessTokenCredentials, GoogleTokenError> {
    let built = match kind {
        Kind::ServiceAccount => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            service_account::Builder::new(content.clone())
                .with_access_specifier(scopes)
                .build_access_token_credentials()
        }
        Kind::ExternalAccount => external_account::Builder::new(content.clone())
            .with_scopes([SCOPE])
            .build_access_token_credentials(),
    };
    built.map_err(GoogleTokenError::Incomplete)
}
