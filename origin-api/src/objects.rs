//! The two R2 buckets, over the S3 protocol: where browsers put files, and the library that workers read.

use crate::config::ObjectsConfig;
use backon::{ExponentialBuilder, Retryable};
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::{Method, Response};
use rusty_s3::{
    Bucket, BucketError, Credentials, S3Action, UrlStyle, actions::CreateMultipartUpload,
};
use secrecy::ExposeSecret;
use shared_types::{
    documents::{LibraryFile, PresignedPart, PresignedParts, PresignedUpload, SourceFormat},
    ids::DocumentId,
};
use std::{collections::BTreeMap, time::Duration};
use thiserror::Error;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

/// How long a browser may begin its upload.
const UPLOAD_EXPIRY: Duration = Duration::from_mins(10);
/// How long a URL of our own calls is good.
const CALL_EXPIRY: Duration = Duration::from_mins(1);
/// For the head of a reply, at one try: a copy moves up to 50 MiB inside the store before it answers.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the next bytes of a body.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const RETRIES: usize = 2;
const MAX_REPLY_BYTES: usize = 64 * 1024;
const CHECKSUM: &str = "x-amz-checksum-sha256";
const CHECKSUM_MODE: &str = "x-amz-checksum-mode";
const COPY_SOURCE: &str = "x-amz-copy-source";
const COPY_IF_MATCH: &str = "x-amz-copy-source-if-match";

/// Why object storage did not do what it was asked.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// The request failed on its way. Without its URL, which holds a signature.
    #[error("object storage could not be reached ({call})")]
    Connection {
        /// What was asked.
        call: &'static str,
        /// Why.
        source: reqwest::Error,
    },
    /// Object storage refused or failed.
    #[error("object storage answered {status} ({call})")]
    Status {
        /// What was asked.
        call: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// Object storage said nothing for too long.
    #[error("object storage went silent ({call})")]
    Silent {
        /// What was asked.
        call: &'static str,
    },
    /// The reply names an error, although its status does not.
    #[error("object storage gave up ({call})")]
    GaveUp {
        /// What was asked.
        call: &'static str,
    },
}

/// What the store says of an uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256 in hex, where the store kept the checksum.
    pub sha256: Option<String>,
    pub(crate) etag: Option<String>,
}

/// A file on its way.
#[derive(Debug)]
pub struct File(Response);

impl File {
    /// The next bytes; `None` behind the last.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ObjectsError> {
        let call = "read";
        match timeout(SILENCE, self.0.chunk()).await {
            Ok(piece) => connected(call, piece),
            Err(_) => Err(ObjectsError::Silent { call }),
        }
    }
}

/// The upload bucket and the library bucket.
pub struct Objects {
    http: reqwest::Client,
    credentials: Credentials,
    uploads: Bucket,
    library: Bucket,
}

impl Objects {
    /// The buckets of `config`, reached through `http`.
    pub fn new(http: reqwest::Client, config: &ObjectsConfig) -> Result<Self, BucketError> {
        let bucket = |name: &str| {
            Bucket::new(
                config.endpoint.clone(),
                UrlStyle::Path,
                name.to_owned(),
                config.region.clone(),
            )
        };
        Ok(Self {
            http,
            credentials: Credentials::new(
                config.access_key_id.clone(),
                config.secret_access_key.expose_secret().to_owned(),
            ),
            uploads: bucket(&config.upload_bucket)?,
            library: bucket(&config.library_bucket)?,
        })
    }

    /// Where a browser puts the file of a document. Length, media type and checksum are signed: the store
    /// takes that file and no other. Browsers send the length by themselves, so it is not listed.
    #[must_use]
    pub fn presign_upload(
        &self,
        document_id: DocumentId,
        format: SourceFormat,
        size_bytes: u64,
        sha256: &[u8; 32],
        now: DateTime<Utc>,
    ) -> PresignedUpload {
        let headers = BTreeMap::from([
            ("content-type".to_owned(), format.media_type().to_owned()),
            (CHECKSUM.to_owned(), Base64::encode_string(sha256)),
        ]);
        let key = upload_key(document_id);
        let mut put = self.uploads.put_object(Some(&self.credentials), &key);
        let signed = put.headers_mut();
        signed.insert("content-length", size_bytes.to_string());
        for (name, value) in &headers {
            signed.insert(name.as_str(), value.as_str());
        }
        PresignedUpload {
            method: "PUT".to_owned(),
            url: put.sign(UPLOAD_EXPIRY).into(),
            headers,
            expires_at: now + UPLOAD_EXPIRY,
        }
    }

    /// Begins an upload in parts; its id.
    pub async fn begin_parts(
        &self,
        document_id: DocumentId,
        format: SourceFormat,
    ) -> Result<String, ObjectsError> {
        let key = upload_key(document_id);
        let media_type = format.media_type();
        let mut create = self
            .uploads
            .create_multipart_upload(Some(&self.credentials), &key);
        create.headers_mut().insert("content-type", media_type);
        let headers = [("content-type", media_type.to_owned())];
        let url = || create.sign(CALL_EXPIRY);
        let reply = self.call("begin", Method::POST, url, &headers).await?;
        let reply = text(File(reply)).await?;
        CreateMultipartUpload::parse_response(&reply)
            .map(|begun| begun.upload_id().to_owned())
            .map_err(|_| ObjectsError::GaveUp { call: "begin" })
    }

    /// Where a browser puts the parts of a document's file.
    #[must_use]
    pub fn presign_parts(
        &self,
        document_id: DocumentId,
        upload_id: &str,
        sizes_bytes: &[u64],
        now: DateTime<Utc>,
    ) -> PresignedParts {
        let key = upload_key(document_id);
        let presigned = (1..).zip(sizes_bytes).map(|(number, &size_bytes)| {
            let mut put =
                self.uploads
                    .upload_part(Some(&self.credentials), &key, number, upload_id);
            put.headers_mut()
                .insert("content-length", size_bytes.to_string());
            PresignedPart {
                url: put.sign(UPLOAD_EXPIRY).into(),
                size_bytes,
            }
        });
        PresignedParts {
            method: "PUT".to_owned(),
            parts: presigned.collect(),
            expires_at: now + UPLOAD_EXPIRY,
        }
    }

    /// Makes one file of the parts, in this order. `false`: there is no such upload, or not any more, or a part is not
    /// the one that was sent.
    pub async fn join_parts(
        &self,
        document_id: DocumentId,
        upload_id: &str,
        etags: &[String],
    ) -> Result<bool, ObjectsError> {
        let key = upload_key(document_id);
        let etags = || etags.iter().map(String::as_str);
        let join = || {
            let credentials = Some(&self.credentials);
            self.uploads
                .complete_multipart_upload(credentials, &key, upload_id, etags())
        };
        let url = || join().sign(CALL_EXPIRY);
        let attempt = || async {
            let request = self.http.post(url()).body(join().body());
            let sent = timeout(CALL_TIMEOUT, request.send()).await;
            let sent = sent.map_err(|_| ObjectsError::Silent { call: "join" })?;
            succeeded("join", connected("join", sent)?)
        };
        let reply = attempt.retry(backoff()).when(ObjectsError::may_pass).await;
        match reply {
            // A join that fails on the way is told in the body of a 200.
            Ok(reply) => match text(File(reply)).await? {
                reply if reply.contains("<Error") => Err(ObjectsError::GaveUp { call: "join" }),
                _ => Ok(true),
            },
            Err(ObjectsError::Status {
                status: 400 | 404, ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The uploaded file of a document; `None` where there is none.
    pub async fn uploaded(
        &self,
        document_id: DocumentId,
    ) -> Result<Option<Uploaded>, ObjectsError> {
        let key = upload_key(document_id);
        let mut head = self.uploads.head_object(Some(&self.credentials), &key);
        head.headers_mut().insert(CHECKSUM_MODE, "ENABLED");
        let headers = [(CHECKSUM_MODE, "ENABLED".to_owned())];
        let url = || head.sign(CALL_EXPIRY);
        match self.call("head", Method::HEAD, url, &headers).await {
            Ok(response) => Ok(Some(Uploaded::from(&response))),
            Err(ObjectsError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether object storage answers, and takes our credentials.
    pub async fn answers(&self) -> Result<(), ObjectsError> {
        // No document has this id: that there is none is answer enough.
        self.uploaded(DocumentId(Uuid::nil())).await.map(drop)
    }

    /// Copies the uploaded file into the library, unless it is no longer the one that was looked at.
    pub async fn copy_to_library(
        &self,
        file: &LibraryFile,
        uploaded: &Uploaded,
    ) -> Result<(), ObjectsError> {
        let source = upload_key(file.document_id);
        let source = format!("/{}/{source}", self.uploads.name());
        let mut headers = vec![(COPY_SOURCE, source), ("content-length", "0".to_owned())];
        if let Some(etag) = &uploaded.etag {
            headers.push((COPY_IF_MATCH, etag.clone()));
        }
        let key = file.key();
        let mut copy = self.library.put_object(Some(&self.credentials), &key);
        for (name, value) in &headers {
            copy.headers_mut().insert(*name, value.clone());
        }
        let url = || copy.sign(CALL_EXPIRY);
        let reply = File(self.call("copy", Method::PUT, url, &headers).await?);
        // A copy that fails on the way is told in the body of a 200.
        if text(reply).await?.contains("<Error") {
            return Err(ObjectsError::GaveUp { call: "copy" });
        }
        Ok(())
    }

    /// Opens the file of a document in the library; `None` where there is none.
    pub async fn read(&self, file: &LibraryFile) -> Result<Option<File>, ObjectsError> {
        let key = file.key();
        let get = self.library.get_object(Some(&self.credentials), &key);
        let url = || get.sign(CALL_EXPIRY);
        match self.call("read", Method::GET, url, &[]).await {
            Ok(response) => Ok(Some(File(response))),
            Err(ObjectsError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the uploaded file of a document, if it is there.
    pub async fn delete_upload(&self, document_id: DocumentId) -> Result<(), ObjectsError> {
        let key = upload_key(document_id);
        let delete = self.uploads.delete_object(Some(&self.credentials), &key);
        let url = || delete.sign(CALL_EXPIRY);
        match self.call("delete", Method::DELETE, url, &[]).await {
            Ok(_) | Err(ObjectsError::Status { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One call, with two more tries where it may pass by itself. Every call here may be repeated.
    async fn call(
        &self,
        call: &'static str,
        method: Method,
        url: impl Fn() -> Url,
        headers: &[(&'static str, String)],
    ) -> Result<Response, ObjectsError> {
        let attempt = || async {
            let mut request = self.http.request(method.clone(), url());
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let sent = timeout(CALL_TIMEOUT, request.send()).await;
            let sent = sent.map_err(|_| ObjectsError::Silent { call })?;
            succeeded(call, connected(call, sent)?)
        };
        attempt.retry(backoff()).when(ObjectsError::may_pass).await
    }
}

impl ObjectsError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Silent { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::GaveUp { .. } => false,
        }
    }
}

impl From<&Response> for Uploaded {
    fn from(response: &Response) -> Self {
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let checksum = header(CHECKSUM).and_then(|text| Base64::decode_vec(text).ok());
        Self {
            // `Response::content_length` counts the body, and the reply to a HEAD has none.
            size_bytes: header("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
            sha256: checksum.map(hex::encode),
            etag: header("etag").map(ToOwned::to_owned),
        }
    }
}

fn connected<T>(call: &'static str, result: Result<T, reqwest::Error>) -> Result<T, ObjectsError> {
    result.map_err(|error| ObjectsError::Connection {
        call,
        source: error.without_url(),
    })
}

fn succeeded(call: &'static str, response: Response) -> Result<Response, ObjectsError> {
    if response.status().is_success() {
        Ok(response)
    } else {
        let status = response.status().as_u16();
        Err(ObjectsError::Status { call, status })
    }
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_times(RETRIES)
        .with_jitter()
}

/// What a reply says, as far as anything of ours goes.
async fn text(mut reply: File) -> Result<String, ObjectsError> {
    let mut body = Vec::new();
    while let Some(piece) = reply.piece().await? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_REPLY_BYTES {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `temp-uploads/{document}/original.pdf` in the upload bucket, whatever the file is: an upload goes on under the key that
/// it began with.
fn upload_key(document_id: DocumentId) -> String {
    format!("temp-uploads/{document_id}/original.pdf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone};
    use uuid::Uuid;

    fn objects() -> Objects {
        let config = ObjectsConfig {
            endpoint: "https://account.r2.cloudflarestorage.com".parse().unwrap(),
            region: "auto".into(),
            access_key_id: "id".into(),
            secret_access_key: "secret".into(),
            upload_bucket: "piano-pdfs".into(),
            library_bucket: "piano-knowledge".into(),
        };
        Objects::new(reqwest::Client::new(), &config).unwrap()
    }

    #[test]
    fn an_upload_url_takes_this_file_and_no_other_for_ten_minutes() {
        let now = Utc.timestamp_opt(1_800_000_000, 0).unwrap();
        let id = DocumentId(Uuid::from_u128(7));
        let upload = objects().presign_upload(id, SourceFormat::Pdf, 1_234, &[0; 32], now);
        let url: Url = upload.url.parse().unwrap();
        assert_eq!(
            url.path(),
            format!("/piano-pdfs/temp-uploads/{id}/original.pdf")
        );
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(query["X-Amz-Expires"], "600");
        assert_eq!(
            query["X-Amz-SignedHeaders"],
            "content-length;content-type;host;x-amz-checksum-sha256"
        );
        assert_eq!(upload.expires_at - now, TimeDelta::minutes(10));
        insta::assert_json_snapshot!(upload.headers, @r#"
        {
          "content-type": "application/pdf",
          "x-amz-checksum-sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        }
        "#);
    }
}
