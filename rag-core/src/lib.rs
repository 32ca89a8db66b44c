//! The rules of Etude, free of I/O, async, clock and randomness: they run the same in the
//! edge's WebAssembly and in the native services, and are tested without either.

pub mod access;
pub mod answer;
pub mod bm25;
pub mod chunking;
pub mod citation;
pub mod confidence;
pub mod conversation;
pub mod distinct;
pub mod excerpt;
pub mod flat;
pub mod fusion;
pub mod invitation;
pub mod jwks;
pub mod lines;
pub mod plain;
pub mod postings;
pub mod prompt;
pub mod query;
pub mod resuming;
pub mod scope;
pub mod sse;
pub mod token;
mod unicode;
