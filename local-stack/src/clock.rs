//! The clock of this host.

use std::time::{Duration, Instant};

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "starting and timing processes is what this host is for"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since [`Stopwatch::start`].
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
