//! Uploaded files in R2, through its S3 face: read for their text, and removed when their documents are gone.

use crate::{config::R2Config, failure::Rejection};
use futures_util::TryStreamExt;
use rusty_s3::{
    Bucket, Credentials, S3Action, UrlStyle,
    actions::{DeleteObject, GetObject},
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tempfile::{NamedTempFile, TempPath};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

/// How long a presigned request stays valid: it is used at once.
const SIGNED_FOR: Duration = Duration::from_mins(1);
/// How long the store may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum FetchError {
    /// It is not the file that was announced.
    #[error("the stored file differs from the announced one")]
    Rejected(#[from] Rejection),
    /// The store did not answer, or broke off.
    #[error("object storage did not answer")]
    Request(#[from] reqwest::Error),
    /// The store refused, or does not have the file.
    #[error("object storage answered {0}")]
    Status(reqwest::StatusCode),
    /// The temporary file can't be written.
    #[error("can't write a temporary file")]
    Io(#[from] std::io::Error),
}

/// The bucket of confirmed documents.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    client: reqwest::Client,
    bucket: Bucket,
    credentials: Credentials,
}

impl ObjectStore {
    /// A store that reads from `config.library_bucket`.
    pub fn new(config: &R2Config) -> anyhow::Result<Self> {
        let bucket = Bucket::new(
            config.endpoint.clone(),
            UrlStyle::Path,
            config.library_bucket.clone(),
            config.region.clone(),
        )?;
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(SILENCE)
            .build()?;
        Ok(Self {
            client,
            bucket,
            credentials: Credentials::new(
                config.access_key_id.clone(),
                config.secret_access_key.expose_secret(),
            ),
        })
    }

    /// Removes an object. One that is not there is removed.
    pub async fn remove(&self, key: &str) -> Result<(), FetchError> {
        let url = DeleteObject::new(&self.bucket, Some(&self.credentials), key).sign(SIGNED_FOR);
        let response = self.client.delete(url).send().await.map_err(without_url)?;
        match response.status() {
            status if status.is_success() || status == reqwest::StatusCode::NOT_FOUND => Ok(()),
            status => Err(FetchError::Status(status)),
        }
    }

    /// Streams an object into a temporary file that goes when the returned path is dropped.
    ///
    /// An object of another length or SHA-256 (lower-case hex) is a [`Rejection::Mismatch`]; never more
    /// than `size_bytes` are written.
    pub async fn fetch(
        &self,
        key: &str,
        size_bytes: u64,
        sha256: &str,
    ) -> Result<TempPath, FetchError> {
        let url = GetObject::new(&self.bucket, Some(&self.credentials), key).sign(SIGNED_FOR);
        let response = self.client.get(url).send().await.map_err(without_url)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status()));
        }
        if response
            .content_length()
            .is_some_and(|length| length != size_bytes)
        {
            return Err(Rejection::Mismatch.into());
        }
        let (file, path) = NamedTempFile::with_prefix("etude-ingest-")?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut body = response.bytes_stream();
        let mut hash = Sha256::new();
        let mut written = 0;
        while let Some(bytes) = body.try_next().await.map_err(without_url)? {
            written += bytes.len() as u64;
            if written > size_bytes {
                return Err(Rejection::Mismatch.into());
            }
            hash.update(&bytes);
            file.write_all(&bytes).await?;
        }
        file.flush().await?;
        if written < size_bytes {
            // The connection ended early without saying so.
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if hex::encode(hash.finalize()) != sha256 {
            return Err(Rejection::Mismatch.into());
        }
        Ok(path)
    }
}

/// A presigned URL is a secret for as long as it is valid: it must not reach the log.
fn without_url(error: reqwest::Error) -> reqwest::Error {
    error.without_url()
}
