//! Whether the origin works.

pub mod get;
