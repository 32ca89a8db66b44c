//! `/v1/teachers…`

pub mod list;
pub mod part;
