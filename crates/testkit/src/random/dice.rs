//! Seeded chance.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded generator with the few throws that the cases need.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number in `low..high`.
    pub(super) fn range(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..high)
    }

    /// A number in `0..sides`.
    pub(super) fn below(&mut self, sides: usize) -> usize {
        self.0.random_range(0..sides)
    }

    /// Whether something of this chance, in percent, happens.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Some of them in their order: each with even chance, at least one.
    pub(super) fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let mut some: Vec<T> = of.iter().filter(|_| self.chance(50)).cloned().collect();
        if some.is_empty() {
            some.push(self.pick(of).clone());
        }
        some
    }
}
