//! Chance: the same draws on every machine, since all of them are in integers.

use crate::clock::Millis;
use crate::zipf::below;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The draws of a seed for one purpose: other purposes of the same seed get other draws.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&purpose.to_le_bytes());
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// A number below `bound`, which is above zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        below(&mut self.0, bound)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: Millis, high: Millis) -> Millis {
        low + self.below((high - low + 1) as u64) as Millis
    }

    /// True in so many of 1,000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// The number of one of these, by weight.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut point = self.below(weights.clone().sum());
        for (number, weight) in weights.enumerate() {
            if point < weight {
                return number;
            }
            point -= weight;
        }
        unreachable!("the point is below the sum of the weights")
    }

    /// The generator itself, for what draws by its own law.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.0
    }
}
