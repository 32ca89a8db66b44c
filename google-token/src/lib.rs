//! Access tokens for Google Cloud, replaced before they end.
//!
//! On Google Cloud they come from the metadata server, for the service account that the process runs as. Elsewhere a
//! file says how to get them: the key of a service account, or a configuration of workload identity federation, by
//! which the identity of another cloud or cluster is exchanged for one of Google's.

mod file;
mod metadata;

use file::FileCredentials;
pub use google_cloud_auth::{build_errors::Error as BuildError, errors::CredentialsError};
use metadata::MetadataServer;
use secrecy::SecretString;
use std::path::PathBuf;
use thiserror::Error;

/// Where the tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The metadata server at this host, with its port where that is not 80.
    MetadataServer(String),
    /// The credentials in this file.
    File(PathBuf),
}

impl TokenSource {
    /// As `GOOGLE_APPLICATION_CREDENTIALS` says, which names a file; else the metadata server at `GCE_METADATA_HOST`,
    /// which is `metadata.google.internal` unless it is set.
    #[must_use]
    pub fn new(credentials_file: Option<String>, metadata_host: Option<String>) -> Self {
        match credentials_file {
            Some(file) => Self::File(file.into()),
            None => Self::MetadataServer(
                metadata_host.unwrap_or_else(|| "metadata.google.internal".to_owned()),
            ),
        }
    }
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum GoogleTokenError {
    /// The metadata server did not answer as it should.
    #[error("the metadata server gave no token")]
    Metadata(#[from] reqwest::Error),
    /// The file can't be read.
    #[error("the file of GOOGLE_APPLICATION_CREDENTIALS can't be read")]
    Unreadable(#[source] std::io::Error),
    /// The file does not hold JSON.
    #[error("the file of GOOGLE_APPLICATION_CREDENTIALS is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The file holds credentials of another kind.
    #[error(
        "the credentials of GOOGLE_APPLICATION_CREDENTIALS are of the type {0:?}, which is neither service_account nor \
         external_account"
    )]
    OtherType(String),
    /// The file lacks something.
    #[error("the credentials of GOOGLE_APPLICATION_CREDENTIALS are not complete")]
    Incomplete(#[source] BuildError),
    /// The credentials yield no token.
    #[error("there is no token for the credentials of GOOGLE_APPLICATION_CREDENTIALS")]
    Refused(#[source] CredentialsError),
    /// The service that exchanges credentials for tokens is silent.
    #[error("there was no token for the credentials of GOOGLE_APPLICATION_CREDENTIALS in time")]
    Silent,
}

/// Tokens of one source, fetched when they are needed and kept until shortly before they end.
pub struct GoogleToken {
    source: Source,
    watch: fn(bool),
}

enum Source {
    MetadataServer(MetadataServer),
    File(FileCredentials),
}

impl GoogleToken {
    /// Tokens of `source`. `http` is for the metadata server, and must not go through a proxy. Asks nobody yet for the
    /// metadata server's; a file is read, and makes for a task that keeps its token fresh: to be called within a runtime
    /// of tokio.
    pub fn new(http: reqwest::Client, source: &TokenSource) -> Result<Self, GoogleTokenError> {
        Ok(Self {
            source: match source {
                TokenSource::MetadataServer(host) => {
                    Source::MetadataServer(MetadataServer::new(http, host))
                }
                TokenSource::File(path) => Source::File(FileCredentials::read(path)?),
            },
            watch: |_| {},
        })
    }

    /// Has `watch` told of each fetch whether it brought a token. Of a file, whose tokens are fetched by themselves, of each
    /// time that one was wanted.
    #[must_use]
    pub fn watched(mut self, watch: fn(bool)) -> Self {
        self.watch = watch;
        self
    }

    /// A token that is good for a few minutes at least, or, where its source is silent, for as long as it still is.
    pub async fn get(&self) -> Result<SecretString, GoogleTokenError> {
        match &self.source {
            Source::MetadataServer(server) => Ok(server.get(self.watch).await?),
            Source::File(credentials) => {
                let token = credentials.get().await;
                (self.watch)(token.is_ok());
                token
            }
        }
    }

    /// Forgets the token: a service refused it.
    pub async fn forget(&self) {
        match &self.source {
            Source::MetadataServer(server) => server.forget().await,
            Source::File(credentials) => credentials.forget(),
        }
    }
}
