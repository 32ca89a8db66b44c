//! `/v1/chat…`

pub mod answered;
pub mod ask;
pub mod create;
pub mod delete;
pub mod feedback;
pub mod get;
pub mod list;
pub mod messages;
