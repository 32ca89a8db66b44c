//! Uploads and the state of documents.

pub mod change;
pub mod confirm;
pub mod create;
pub mod delete;
pub mod events;
pub mod file;
pub mod get;
pub mod list;
pub mod reprocess;
