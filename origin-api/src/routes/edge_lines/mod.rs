//! `/v1/edge-lines`

pub mod post;
