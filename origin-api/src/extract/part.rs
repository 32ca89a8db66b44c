//! Which part of a list is asked for.

use super::query::Query;
use crate::error::ApiError;
use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Deserialize;
use shared_types::problem::ProblemKind;
use storage::Cursor;

/// Things in one part of a list at most, and where nobody says how many.
pub const LIST_LIMIT: u32 = 200;

/// The parameters of a list: `?limit=…&cursor=…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the part lies behind; none at the beginning.
    pub behind: Option<Cursor>,
    /// From 1 to [`LIST_LIMIT`].
    pub limit: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(Parameters { limit, cursor }) = Query::from_request_parts(parts, state).await?;
        let refused = |detail: String| ApiError::refused(ProblemKind::ParametersInvalid, detail);
        let limit = limit.unwrap_or(LIST_LIMIT);
        if !(1..=LIST_LIMIT).contains(&limit) {
            return Err(refused(format!("A limit is from 1 to {LIST_LIMIT}.")));
        }
        let behind = cursor.map(|text| text.parse()).transpose();
        let behind = behind
            .map_err(|_| refused("A cursor is what `next_cursor` said, unchanged.".to_owned()))?;
        Ok(Self { behind, limit })
    }
}
