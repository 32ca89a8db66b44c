//! Uploading a PDF as a browser does, and waiting until it is searchable.

use super::{Client, answer};
use crate::StackError;
use reqwest::Method;
use sha2::{Digest, Sha256};
use shared_types::{
    documents::{CreateDocument, CreatedDocument, Document, DocumentList, Visibility},
    ids::DocumentId,
    problem::ProblemKind,
};
use std::time::Duration;
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

/// An upload that was announced.
pub type Upload = CreatedDocument;

impl Client {
    /// Announces a file, sends it to the presigned URL and confirms it. It is searchable later:
    /// [`Client::wait_for`].
    pub async fn upload(&self, file: NewDocument) -> Result<Document, StackError> {
        let announced = self.announce(&file).await?;
        self.send_file(&announced, file.bytes).await?;
        self.confirm(announced.document.id).await
    }

    /// Announces a file.
    pub async fn announce(&self, file: &NewDocument) -> Result<Upload, StackError> {
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

    /// Sends the file of an announced upload to its presigned URL.
    pub async fn send_file(&self, announced: &Upload, bytes: Vec<u8>) -> Result<(), StackError> {
        let upload = &announced.upload;
        let what = format!("sending {}", announced.document.file_name);
        let method = upload.method.parse().unwrap_or(Method::PUT);
        // The URL carries its own signature; a bearer token beside it would be one credential too many.
        let mut request = self.http.request(method, &upload.url).body(bytes);
        for (name, value) in &upload.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(StackError::http(&what))?;
        if response.status().is_success() {
            return Ok(());
        }
        let status = response.status().as_u16();
        let body = response.text().await.unwrap_or_default();
        Err(StackError::Unexpected { what, status, body })
    }

    /// Confirms that the file was sent.
    pub async fn confirm(&self, id: DocumentId) -> Result<Document, StackError> {
        let what = "confirming the upload";
        let request = self.request(Method::POST, &format!("/api/documents/{id}/confirm"));
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
                    if document.status.is_final() {
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
