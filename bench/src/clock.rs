//! The host's clock.

use std::time::{Duration, SystemTime};

/// The time since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "what others have dated by the host's clock is compared with it"
)]
pub fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Seconds since 1970.
pub fn now_s() -> i64 {
    since_1970().as_secs().cast_signed()
}
