//! Popularity: few are chosen often, many rarely. In integers, so that no machine rounds differently.

use rand_chacha::rand_core::Rng;

/// Weights are fractions of this: far above the number of ranks, so that the rarest still has many digits.
const ONE: u64 = 1 << 40;

/// Draws ranks from 0 with probabilities that fall as `1 / (rank + 1 + flat)`: the law of Zipf and Mandelbrot.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// The sums of the weights up to and with each rank.
    sums: Vec<u64>,
}

impl Zipf {
    /// Ranks below `ranks`. The larger `flat`, the more alike are the first ones.
    #[must_use]
    pub fn new(ranks: u64, flat: u64) -> Self {
        let weights = (1..=ranks).map(|rank| ONE / (rank + flat));
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// The next rank.
    ///
    /// # Panics
    /// When there are no ranks.
    pub fn draw(&self, random: &mut impl Rng) -> u32 {
        let total = *self.sums.last().expect("there is at least one rank");
        let point = below(random, total);
        self.sums.partition_point(|&sum| sum <= point) as u32
    }
}

/// A number below `bound`, each as likely as the others (up to `bound` in 2^64).
pub fn below(random: &mut impl Rng, bound: u64) -> u64 {
    ((u128::from(random.next_u64()) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn ranks_come_as_often_as_the_law_says() {
        let (zipf, mut random) = (Zipf::new(4, 0), ChaCha8Rng::from_seed([7; 32]));
        let mut counts = [0_i64; 4];
        for _ in 0..25_000 {
            counts[zipf.draw(&mut random) as usize] += 1;
        }
        // 1 : 1/2 : 1/3 : 1/4 of 25 twelfths.
        for (count, expected) in counts.into_iter().zip([12_000, 6_000, 4_000, 3_000]) {
            assert!((count - expected).abs() < 400, "{counts:?}");
        }
    }
}
