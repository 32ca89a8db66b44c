//! Path parameters.

use crate::error::ApiError;
use axum::extract::FromRequestParts;

/// A path parameter; one that can't be read names nothing and is answered with 404.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);
