//! What only a host may reach for: the wall clock, and random identifiers.
//!
//! Everything below takes the time and the identifiers from here as arguments. Durations are measured
//! with [`tokio::time::Instant`], which tests can pause.

use chrono::{DateTime, Utc};
use ring::rand::SecureRandom as _;
use uuid::Uuid;

/// The time of day.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the origin is a host: it is where the clock is read"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A new random identifier.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the origin is a host: it is where identifiers are drawn"
)]
pub fn new_id() -> Uuid {
    Uuid::new_v4()
}

/// Bytes that nobody can guess.
///
/// # Panics
///
/// Where the operating system has no randomness: there is nothing safe to go on with.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system has no randomness");
    bytes
}
