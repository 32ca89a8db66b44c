//! The clock and the random numbers of this process. Nothing else here reaches for either.

use chrono::{DateTime, Utc};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::SystemTime;
use uuid::Uuid;

/// The time.
#[expect(
    clippy::disallowed_methods,
    reason = "this process is a host, and this is its clock"
)]
pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A fresh identifier.
#[expect(
    clippy::disallowed_methods,
    reason = "this process is a host, and this is its randomness"
)]
pub(crate) fn new_id() -> Uuid {
    Uuid::new_v4()
}

/// `N` random bytes as lower-case hex; fails where the operating system has none to give.
pub(crate) fn random_hex<const N: usize>() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
