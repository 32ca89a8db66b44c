//! The flows of the edge, told as stories, over a world in memory.

#![expect(
    clippy::unwrap_used,
    reason = "tests may, and the lint does not know helpers of integration tests as tests"
)]

mod access;
mod browser;
mod chat;
mod conversations;
mod curated;
mod degradation;
mod endpoints;
mod failures;
mod files;
mod freshness;
mod keys;
mod leaving;
mod limits;
mod privacy;
mod purging;
mod refusals;
mod resuming;
mod stream;
mod support;
mod tokens;
mod wrangler;
