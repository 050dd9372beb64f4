//! The pairs of an object that may be among those with the highest cosines: of a popular object, which is paired with
//! most of the catalogue, nearly all are passed over at the price of two products.

use crate::graph::{ObjectId, Pair};

/// How far a cosine may be off that is computed otherwise, or rounded: twice the unit in which scores are whole numbers.
const SLACK: f64 = 2.0 / (1_u64 << 40) as f64;
/// And by which part of it.
const SLACK_PART: f64 = 1e-9;
/// Pairs that are held before those are dropped that cannot be meant.
const HELD_MIN: usize = 512;
/// Sums that are looked at together.
const AT_ONCE: usize = 16;

/// Takes in pairs and keeps those that may be among the first `n` by cosine.
pub(super) struct Best<'a> {
    n: usize,
    /// The square of the norm of the object whose pairs these are.
    own: f64,
    held: &'a mut Vec<Pair>,
    first: usize,
    /// How many are held before the next cut.
    cut_at: usize,
    /// The least that the sum's square over the other's square of the norm must be, both with their signs.
    floor: f64,
}

impl<'a> Best<'a> {
    /// Keeps pairs of an object with this square of the norm behind what is `held`.
    pub(super) fn new(n: usize, own: i64, held: &'a mut Vec<Pair>) -> Self {
        let (first, cut_at) = (held.len(), HELD_MIN.max(n.saturating_mul(4)));
        Self { n: n.max(1), own: own.max(1) as f64, held, first, cut_at, floor: f64::NEG_INFINITY }
    }

    #[inline]
    pub(super) fn offer(&mut self, object: u32, sum: i64, norm2: i64) {
        let squared = sum as f64 * (sum as f64).abs();
        // Nothing is left of an object that goes while it is looked at.
        if squared >= self.floor * norm2 as f64 && norm2 > 0 {
            self.held.push(Pair { object: ObjectId(object), sum, norm2 });
            if self.held.len() - self.first >= self.cut_at {
                self.cut();
            }
        }
    }

    /// Takes in the pairs with objects one after the other, from `first` on: their sums and the squares of their norms, both
    /// whole numbers. Nearly all are passed over, sixteen at a time.
    #[inline]
    pub(super) fn offer_run<T: Copy>(&mut self, first: u32, sums: &[T], norms2: &[f64], value: impl Fn(T) -> f64) {
        let (runs, norm_runs) = (sums.as_chunks::<AT_ONCE>().0, norms2.as_chunks::<AT_ONCE>().0);
        let count = runs.len().min(norm_runs.len());
        for ((first, sums), norms2) in (first..).step_by(AT_ONCE).zip(&runs[..count]).zip(norm_runs) {
            let sums = sums.map(&value);
            if self.may_hold(&sums, norms2) {
                self.offer_each(first, &sums, norms2);
            }
        }
        let done = count * AT_ONCE;
        for ((other, sum), norm2) in (first + done as u32..).zip(&sums[done..]).zip(norms2.iter().skip(done)) {
            self.offer_each(other, &[value(*sum)], &[*norm2]);
        }
    }

    /// Whether any of these pairs can be meant. There is no branch for each: several are compared by one instruction.
    #[inline]
    fn may_hold(&self, sums: &[f64; AT_ONCE], norms2: &[f64; AT_ONCE]) -> bool {
        let pairs = sums.iter().zip(norms2);
        pairs.fold(false, |any, (sum, norm2)| any | (*sum != 0.0) & (sum * sum.abs() >= self.floor * norm2))
    }

    fn offer_each(&mut self, first: u32, sums: &[f64], norms2: &[f64]) {
        for ((other, sum), norm2) in (first..).zip(sums).zip(norms2) {
            if *sum != 0.0 {
                self.offer(other, *sum as i64, *norm2 as i64);
            }
        }
    }

    #[cold]
    fn cut(&mut self) {
        let held = &mut self.held[self.first..];
        let (_, last, _) = held.select_nth_unstable_by(self.n - 1, |a, b| key(b).total_cmp(&key(a)));
        let cosine = signed_root(key(last) / self.own);
        let least = cosine - SLACK - cosine.abs() * SLACK_PART;
        let floor = least * least.abs() * self.own;
        let mut place = 0;
        self.held.retain(|pair| {
            place += 1;
            place <= self.first || key(pair) >= floor
        });
        self.floor = floor;
        // Of many with the same cosine none can be dropped.
        self.cut_at = self.cut_at.max(2 * (self.held.len() - self.first));
    }
}

/// The square of the cosine, but for the factor that all pairs of an object share; with the sign of the sum.
fn key(pair: &Pair) -> f64 {
    let sum = pair.sum as f64;
    sum * sum.abs() / pair.norm2 as f64
}

fn signed_root(square: f64) -> f64 {
    square.abs().sqrt().copysign(square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// As paths have it.
    fn cosine(pair: &Pair, own: i64) -> f64 {
        let exact = pair.sum as f64 / (own as f64 * pair.norm2 as f64).sqrt();
        (exact * (1_u64 << 40) as f64).round()
    }

    #[test]
    fn whoever_has_one_of_the_best_cosines_is_kept() {
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (own, n) =
                (rng.random_range(1..1 << [2, 20, 40][seed as usize % 3]), [1, 3, 100, 700][seed as usize % 4]);
            let signs = [1, 1, -1, rng.random_range(-1..=1)];
            let pairs: Vec<Pair> = (0..rng.random_range(0..5_000))
                .map(|id| {
                    // Many are equal, and many nearly so.
                    let norm2 = rng.random_range(1..[3, 1 << 40][seed as usize % 2]);
                    let bound = (((own as f64) * (norm2 as f64)).sqrt() as i64).max(1);
                    let sum = rng.random_range(bound - (bound / 1_000_000).min(bound - 1)..=bound);
                    Pair { object: ObjectId(id), sum: sum * signs[rng.random_range(0..4)], norm2 }
                })
                .collect();
            let mut held = vec![Pair { object: ObjectId(u32::MAX), sum: 0, norm2: 0 }];
            let mut best = Best::new(n, own, &mut held);
            pairs.iter().for_each(|pair| best.offer(pair.object.0, pair.sum, pair.norm2));
            let mut cosines: Vec<f64> = pairs.iter().map(|pair| cosine(pair, own)).collect();
            cosines.sort_by(|a, b| b.total_cmp(a));
            let least = cosines.get(n - 1).copied().unwrap_or(f64::NEG_INFINITY);
            let expected = pairs.iter().filter(|pair| cosine(pair, own) >= least);
            for pair in expected {
                assert!(held[1..].contains(pair), "seed {seed}: {pair:?} is missing");
            }
            assert_eq!(held[0].norm2, 0, "what was there stays");

            let mut at_once = vec![held[0]];
            let (sums, mut norms2): (Vec<i64>, Vec<f64>) =
                pairs.iter().map(|pair| (pair.sum, pair.norm2 as f64)).unzip();
            // Norms may be of more objects, or of fewer: nothing is left of the others.
            let known = rng.random_range(0..=norms2.len() + 40);
            norms2.resize(known, 0.0);
            Best::new(n, own, &mut at_once).offer_run(0, &sums, &norms2, |sum| sum as f64);
            let mut held = vec![at_once[0]];
            let mut best = Best::new(n, own, &mut held);
            let there = pairs.iter().take(known).filter(|pair| pair.sum != 0);
            there.for_each(|pair| best.offer(pair.object.0, pair.sum, pair.norm2));
            assert_eq!(at_once, held, "seed {seed}: together and one by one");
        }
    }
}
