//! Figures that need many values at once: distinct values and percentiles. Exact while there are few, then in bounded
//! memory with a bounded error.

use hashbrown::{HashMap, HashSet};

/// Up to here distinct values are counted one by one.
const DISTINCT_MAX: usize = 40_000;

/// Registers beyond that: 2^14 give a standard error of 0.8 %.
const REGISTER_BITS: u32 = 14;

/// Up to here all values are kept for percentiles.
const VALUES_MAX: usize = 65_536;

/// Beyond that, values of one sign within this factor share a cell: half of it is the error.
const CELL_FACTOR: f64 = 1.01;

/// How many different values there are, by their hashes.
#[derive(Clone, Debug)]
pub(crate) enum Distinct {
    /// Every one of them.
    Exact(HashSet<u64>),
    /// HyperLogLog: for each register the longest run of zeros seen.
    Sketch(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::new())
    }
}

impl Distinct {
    /// Adds a value, by a hash that is spread well. Tells whether it takes more memory now.
    pub(crate) fn add(&mut self, hash: u64) -> bool {
        match self {
            Self::Exact(seen) => {
                let new = seen.insert(hash);
                if seen.len() > DISTINCT_MAX {
                    let mut registers = vec![0; 1 << REGISTER_BITS];
                    seen.iter().for_each(|&hash| register(&mut registers, hash));
                    *self = Self::Sketch(registers);
                }
                new
            }
            Self::Sketch(registers) => {
                register(registers, hash);
                false
            }
        }
    }

    /// Adds what another part has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        match other {
            Self::Exact(seen) => seen.into_iter().for_each(|hash| {
                self.add(hash);
            }),
            Self::Sketch(theirs) => match self {
                Self::Sketch(ours) => {
                    ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours = theirs.max(*ours));
                }
                Self::Exact(_) => {
                    let Self::Exact(seen) = std::mem::replace(self, Self::Sketch(theirs)) else { return };
                    seen.into_iter().for_each(|hash| {
                        self.add(hash);
                    });
                }
            },
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Exact(seen) => seen.len() as u64,
            Self::Sketch(registers) => estimate(registers),
        }
    }
}

fn register(registers: &mut [u8], hash: u64) {
    let at = (hash >> (64 - REGISTER_BITS)) as usize;
    let zeros = (hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1)).leading_zeros() as u8 + 1;
    registers[at] = registers[at].max(zeros);
}

/// Flajolet, Fusy, Gandouet, Meunier: HyperLogLog (2007). With 64-bit hashes no correction for great counts is needed,
/// and below 2.5 registers' worth the empty ones tell more.
fn estimate(registers: &[u8]) -> u64 {
    let count = registers.len() as f64;
    let sum: f64 = registers.iter().map(|&zeros| (-f64::from(zeros)).exp2()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
    let empty = registers.iter().filter(|&&zeros| zeros == 0).count() as f64;
    let linear = raw <= 2.5 * count && empty > 0.0;
    (if linear { count * (count / empty).ln() } else { raw }).round() as u64
}

/// The distribution of values.
#[derive(Clone, Debug)]
pub(crate) enum Spread {
    /// Every one of them.
    Exact(Vec<f64>),
    /// How many there are in each cell, a cell by the logarithm of its values.
    Cells {
        /// Below zero.
        below: HashMap<i32, u64>,
        /// Zero.
        zeros: u64,
        /// Above zero.
        above: HashMap<i32, u64>,
    },
}

impl Default for Spread {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Spread {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        match self {
            Self::Exact(values) if values.len() < VALUES_MAX => values.push(value),
            Self::Exact(values) => {
                let values = std::mem::take(values);
                *self = Self::Cells { below: HashMap::new(), zeros: 0, above: HashMap::new() };
                values.into_iter().chain([value]).for_each(|value| self.add(value));
            }
            Self::Cells { below, zeros, above } => {
                let cells = if value == 0.0 {
                    *zeros += 1;
                    return;
                } else if value < 0.0 {
                    below
                } else {
                    above
                };
                *cells.entry(value.abs().log(CELL_FACTOR).floor() as i32).or_default() += 1;
            }
        }
    }

    /// Adds what another part has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        if let (Self::Exact(_), Self::Cells { .. }) = (&self, &other) {
            let ours = std::mem::replace(self, other);
            return self.merge(ours);
        }
        match (self, other) {
            (spread, Self::Exact(values)) => values.into_iter().for_each(|value| spread.add(value)),
            (Self::Cells { below, zeros, above }, Self::Cells { below: b, zeros: z, above: a }) => {
                *zeros += z;
                b.into_iter().for_each(|(cell, count)| *below.entry(cell).or_default() += count);
                a.into_iter().for_each(|(cell, count)| *above.entry(cell).or_default() += count);
            }
            (Self::Exact(_), Self::Cells { .. }) => unreachable!("the two were changed round above"),
        }
    }

    /// The values below which these shares (0 to 100) of all lie; `None` when there are none.
    pub(crate) fn percentiles(&self, percents: &[f64]) -> Vec<Option<f64>> {
        match self {
            Self::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                percents.iter().map(|&percent| between(&sorted, percent)).collect()
            }
            Self::Cells { below, zeros, above } => {
                let middle = |cell: i32| CELL_FACTOR.powf(f64::from(cell) + 0.5);
                let mut cells: Vec<(f64, u64)> = below.iter().map(|(&cell, &count)| (-middle(cell), count)).collect();
                cells.push((0.0, *zeros));
                cells.extend(above.iter().map(|(&cell, &count)| (middle(cell), count)));
                cells.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                percents.iter().map(|&percent| nearest(&cells, percent)).collect()
            }
        }
    }
}

/// Between two values in proportion.
fn between(sorted: &[f64], percent: f64) -> Option<f64> {
    let at = percent / 100.0 * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

fn nearest(cells: &[(f64, u64)], percent: f64) -> Option<f64> {
    let total: u64 = cells.iter().map(|cell| cell.1).sum();
    let rank = percent / 100.0 * total.checked_sub(1)? as f64;
    let mut seen = 0;
    let cell = cells.iter().find(|cell| {
        seen += cell.1;
        seen as f64 > rank
    });
    cell.or(cells.last()).map(|cell| cell.0)
}

/// Spreads a value's bits over all of a hash (the finaliser of SplitMix64).
pub(crate) fn spread_bits(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_exact_while_few_and_near_when_many() {
        for count in [0, 1, 1_000, 40_000, 50_000, 1_000_000_u64] {
            let (mut even, mut odd) = (Distinct::default(), Distinct::default());
            (0..count).for_each(|value| {
                let part = if value % 2 == 0 { &mut even } else { &mut odd };
                part.add(spread_bits(value));
                part.add(spread_bits(value));
            });
            even.merge(odd);
            let found = even.count();
            let allowed = if count <= 40_000 { 0.0 } else { 0.025 * count as f64 };
            assert!((found as f64 - count as f64).abs() <= allowed, "{found} for {count}");
        }
    }

    #[test]
    fn few_values_have_exact_percentiles() {
        let mut spread = Spread::default();
        [5.0, 1.0, 4.0, 2.0, 3.0].into_iter().for_each(|value| spread.add(value));
        let expected = [Some(1.0), Some(1.4), Some(3.0), Some(5.0)];
        assert_eq!(spread.percentiles(&[0.0, 10.0, 50.0, 100.0]), expected);
        assert_eq!(Spread::default().percentiles(&[50.0]), [None]);
    }

    #[test]
    fn many_values_have_percentiles_within_half_a_percent() {
        let mut parts = [Spread::default(), Spread::default()];
        (0..200_001).for_each(|value| parts[usize::from(value % 10 == 0)].add(f64::from(value - 100_000)));
        let [mut spread, small] = parts;
        assert!(matches!((&spread, &small), (Spread::Cells { .. }, Spread::Exact(_))));
        spread.merge(small);
        for (percent, expected) in [(1.0, -98_000.0_f64), (25.0, -50_000.0), (50.0, 0.0), (99.9, 99_800.0)] {
            let found = spread.percentiles(&[percent])[0].unwrap();
            assert!((found - expected).abs() <= expected.abs() * 0.0051 + 1e-9, "{found} for {expected}");
        }
    }
}
