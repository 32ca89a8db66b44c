//! Uploading a PDF as a browser does, and waiting until it is searchable.

use super::{Client, answer};
use crate::StackError;
use reqwest::{Method, header::ETAG};
use sha2::{Digest, Sha256};
use shared_types::{
    documents::{
        ConfirmDocument, CreateDocument, CreatedDocument, Document, DocumentList, Upload,
        Visibility,
    },
    ids::DocumentId,
    problem::ProblemKind,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;

/// A document in the making is looked at this soon, and then less and less often: the edge lets a person
/// ask once a second on average.
const FIRST_POLL: Duration = Duration::from_millis(150);
const LAST_POLL: Duration = Duration::from_secs(2);

/// A file to upload.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// 1 to 300 characters.
    pub title: String,
    /// The name on the uploader's disk.
    pub file_name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Who may read it.
    pub visibility: Visibility,
}

impl Client {
    /// Announces a file, sends it to the presigned URL and confirms it. It is searchable later:
    /// [`Client::wait_for`].
    pub async fn upload(&self, file: NewDocument) -> Result<Document, StackError> {
        let announced = self.announce(&file).await?;
        let etags = self.send_file(&announced, file.bytes).await?;
        self.confirm(announced.document.id, etags).await
    }

    /// Announces a file.
    pub async fn announce(&self, file: &NewDocument) -> Result<CreatedDocument, StackError> {
        let body = CreateDocument {
            title: file.title.clone(),
            file_name: file.file_name.clone(),
            size_bytes: file.bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&file.bytes)),
            visibility: file.visibility,
        };
        let what = format!("announcing {}", file.file_name);
        let request = self.request(Method::POST, "/api/documents").json(&body);
        answer(
            &what,
            request.send().await.map_err(StackError::http(&what))?,
        )
        .await
    }

    /// Sends the file of an announced upload to its presigned URL, or its parts to theirs; the parts' `ETag`s.
    pub async fn send_file(
        &self,
        announced: &CreatedDocument,
        bytes: Vec<u8>,
    ) -> Result<Vec<String>, StackError> {
        let what = format!("sending {}", announced.document.file_name);
        match &announced.upload {
            Upload::Whole(upload) => {
                self.put(&what, &upload.url, &upload.headers, bytes).await?;
                Ok(Vec::new())
            }
            Upload::Parts(upload) => {
                let (mut etags, mut rest) = (Vec::new(), bytes.as_slice());
                for part in &upload.parts {
                    let (bytes, after) = rest.split_at(rest.len().min(part.size_bytes as usize));
                    let none = BTreeMap::new();
                    let sending = self.put(&what, &part.url, &none, bytes.to_vec());
                    etags.push(sending.await?);
                    rest = after;
                }
                Ok(etags)
            }
        }
    }

    /// Puts bytes to a presigned URL; the `ETag` of what is there now. The URL carries its own signature: a bearer token
    /// beside it would be one credential too many.
    async fn put(
        &self,
        what: &str,
        url: &str,
        headers: &BTreeMap<String, String>,
        bytes: Vec<u8>,
    ) -> Result<String, StackError> {
        let mut request = self.http.put(url).body(bytes);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(StackError::http(what))?;
        let status = response.status();
        if status.is_success() {
            let etag = response.headers().get(ETAG);
            let etag = etag.and_then(|etag| etag.to_str().ok());
            return Ok(etag.unwrap_or_default().to_owned());
        }
        let body = response.text().await.unwrap_or_default();
        Err(StackError::Unexpected {
            what: what.to_owned(),
            status: status.as_u16(),
            body,
        })
    }

    /// Confirms that the file was sent, or its parts, by their `ETag`s.
    pub async fn confirm(
        &self,
        id: DocumentId,
        etags: Vec<String>,
    ) -> Result<Document, StackError> {
        let what = "confirming the upload";
        let confirmed = ConfirmDocument { etags };
        let request = self
            .request(Method::POST, &format!("/api/documents/{id}/confirm"))
            .json(&confirmed);
        answer(what, request.send().await.map_err(StackError::http(what))?).await
    }

    /// One's own documents.
    pub async fn documents(&self) -> Result<Vec<Document>, StackError> {
        let what = "listing documents";
        let request = self.request(Method::GET, "/api/documents");
        let response = request.send().await.map_err(StackError::http(what))?;
        let list: DocumentList = answer(what, response).await?;
        Ok(list.documents)
    }

    /// One document.
    pub async fn document(&self, id: DocumentId) -> Result<Document, StackError> {
        let what = "looking at a document";
        let request = self.request(Method::GET, &format!("/api/documents/{id}"));
        answer(what, request.send().await.map_err(StackError::http(what))?).await
    }

    /// Waits until a document is searchable or has failed; `watch` sees every look at it.
    pub async fn wait_for(
        &self,
        id: DocumentId,
        mut watch: impl FnMut(&Document),
    ) -> Result<Document, StackError> {
        let mut pause = FIRST_POLL;
        loop {
            match self.document(id).await {
                Ok(document) => {
                    watch(&document);
                    if document.is_settled() {
                        return Ok(document);
                    }
                }
                Err(error) if error.is(ProblemKind::RateLimited) => pause = LAST_POLL,
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_POLL);
        }
    }
}
