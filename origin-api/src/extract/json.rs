//! JSON bodies, bounded and explained.

use crate::error::ApiError;
use axum::{extract::FromRequest, response::IntoResponse};
use serde::{Serialize, de::DeserializeOwned};

/// The largest body that any endpoint takes: an embedding as text needs some 16 KiB, a question 12 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A JSON body; a bad one is answered with what is wrong with it. Replies go out the same way.
#[derive(Clone, Copy, Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Json<T> {
    /// The same of a body that was read already.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ApiError> {
        Ok(axum::Json::from_bytes(bytes).map(|axum::Json(value)| Self(value))?)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self.0).into_response()
    }
}
