//! `/v1/students…`

pub mod list;
pub mod part;
