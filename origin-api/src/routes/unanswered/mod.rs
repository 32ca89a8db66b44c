//! `/v1/unanswered`

pub mod list;
