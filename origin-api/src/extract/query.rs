//! Parameters behind the path.

use crate::error::ApiError;
use axum::extract::FromRequestParts;

/// The query of a URL; one that can't be read is refused with what is wrong with it.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);
