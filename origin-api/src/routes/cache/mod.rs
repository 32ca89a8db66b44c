//! What the edge's caches hold.

pub mod purge;
