//! Sums that find accidents. They keep nobody out who means to deceive.

use std::hash::Hasher;
use twox_hash::XxHash64;

/// A sum over bytes, however they are cut.
#[derive(Clone, Debug)]
pub(crate) struct Sum(XxHash64);

impl Sum {
    pub(crate) fn new() -> Self {
        Self(XxHash64::with_seed(0))
    }

    /// Not inlined: its loops are a kilobyte of the Worker at each place where it is called.
    #[inline(never)]
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The sum over all bytes so far.
    #[inline(never)]
    pub(crate) fn total(&self) -> u64 {
        self.0.finish()
    }
}
