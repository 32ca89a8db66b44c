//! `/v1/curated-answers…`

pub mod create;
pub mod delete;
pub mod list;
