//! What is left to chance in a history: the same for the same seed.

use proptest::{
    prelude::Rng,
    test_runner::{RngAlgorithm, TestRng},
};

/// A source of chance.
pub struct Chance(TestRng);

impl Chance {
    /// The source that a seed stands for.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0x5a; 16];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::XorShift, &bytes))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound
    }

    /// Whether the one case in `cases` has come.
    pub fn one_in(&mut self, cases: u32) -> bool {
        self.below(cases) == 0
    }
}
