//! The search.

pub mod post;
