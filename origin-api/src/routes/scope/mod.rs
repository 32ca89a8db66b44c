//! What a caller may read.

pub mod get;
