//! Uploads and the state of documents.

pub mod confirm;
pub mod create;
pub mod file;
pub mod get;
pub mod list;
