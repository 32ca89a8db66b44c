//! Chance that can be repeated.

use std::{
    env,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// A sequence that its seed decides (`SplitMix64`).
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// From `ETUDE_SEED`, or any other seed.
    pub fn from_environment() -> Self {
        let seed = number("ETUDE_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
        Self { seed, state: seed }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.next() % of.len() as u64) as usize]
    }

    pub fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64((self.next() % 1_000) as f64 / 1_000.0)
    }
}
