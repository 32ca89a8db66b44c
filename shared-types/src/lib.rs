//! The wire vocabulary of Etude: everything that crosses a process boundary, and nothing else.
//!
//! No I/O, no clock, no randomness: the crate compiles for `wasm32-unknown-unknown` and natively.

pub mod cache;
pub mod chat;
pub mod claims;
pub mod conversation;
pub mod documents;
pub mod edge_lines;
pub mod embedding;
pub mod event;
pub mod feedback;
pub mod google;
pub mod headers;
pub mod ids;
pub mod origin;
pub mod people;
pub mod problem;
pub mod purge;
pub mod session;
pub mod trace;
pub mod usage;
pub mod workers_ai;
