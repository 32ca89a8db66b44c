//! `/v1/account…`

pub mod delete;
pub mod export;
pub mod usage;
