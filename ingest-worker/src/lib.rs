//! Makes uploaded documents searchable: extract, chunk, embed, store.
//!
//! A [`worker::Worker`] claims jobs from the queue in Postgres; each runs through [`job::run`]. The file is
//! read by a child process ([`extract`]), and by a second one where it is scanned ([`recognize`]), since
//! uploads are hostile until proven otherwise. Every job may be done twice: its passages are replaced in one
//! transaction at its end, and nothing is written before.

pub mod config;
pub mod curated;
pub mod discard;
pub mod document;
pub mod edge;
pub mod embedder;
pub mod extract;
pub mod failure;
pub mod host;
pub mod job;
pub mod layout;
pub mod metrics;
pub mod nightly;
pub mod object_store;
pub mod passages;
pub mod receive;
pub mod recognize;
pub mod reembed;
pub mod sources;
pub mod spool;
pub mod tokens;
pub mod worker;
