//! What only a host may reach for: the wall clock.

use chrono::{DateTime, Utc};

/// The time of day.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the worker is a host: it is where the clock is read"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
