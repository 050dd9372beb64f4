//! For each object to how many subjects it is related, and the sum of the squares of the weights between them.

use crate::slab::prefetch;
use crate::table::Table;
use hashbrown::HashMap;

#[derive(Debug, Default)]
pub(super) struct Norms {
    /// The sums of squares, whole numbers; [`WIDE`] where they are elsewhere. Half of what sums of 128 bits would take, no sum
    /// of so many bits for each change, and nothing to convert for who compares cosines.
    squares: Table<f64>,
    subjects: Table<u32>,
    /// The sums of squares that did not fit at some time.
    wide: HashMap<u32, i128>,
    /// The largest sum of squares that any object ever had.
    widest: f64,
}

const WIDE: f64 = -1.0;
/// Up to here every whole number is one of 64 bits with a point in it.
const EXACT_MAX: i64 = 1 << 53;

/// What is known of one object, over the subjects of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Norm {
    /// Subjects whose weight is not zero.
    pub(super) subjects: u32,
    /// The sum of the squares of the weights.
    pub(super) squares: i128,
}

impl Norms {
    /// The weight between an object and some subject has changed.
    #[inline]
    pub(super) fn shift(&mut self, object: u32, before: i64, after: i64) {
        let subjects = self.subjects.at(object as usize);
        *subjects = *subjects + u32::from(after != 0) - u32::from(before != 0);
        let squares = self.squares.at(object as usize);
        let (known, more) = (*squares, squared(after).zip(squared(before)).map(|(after, before)| after - before));
        match more.and_then(|more| (known as i64).checked_add(more)) {
            Some(sum) if known != WIDE && sum <= EXACT_MAX => {
                *squares = sum as f64;
                self.widest = self.widest.max(*squares);
            }
            _ => self.shift_wide(object, before, after),
        }
    }

    #[cold]
    fn shift_wide(&mut self, object: u32, before: i64, after: i64) {
        let narrow = std::mem::replace(self.squares.at(object as usize), WIDE);
        let sum = self.wide.entry(object).or_insert(narrow as i128);
        let square = |weight: i64| i128::from(weight) * i128::from(weight);
        *sum += square(after) - square(before);
        self.widest = self.widest.max(*sum as f64);
    }

    /// Whether every pair sum fits into 64 bits, also when those of all shards are added up: none is larger than the
    /// larger of its objects' norms (Cauchy–Schwarz), and there are fewer than 2^16 shards.
    pub(super) fn is_narrow(&self) -> bool {
        self.widest <= (i64::MAX >> 16) as f64
    }

    /// Whether every pair sum fits into 32 bits, also when those of so many shards are added up.
    pub(super) fn is_small(&self, shards: usize) -> bool {
        self.widest <= f64::from(i32::MAX) / shards as f64
    }

    #[inline]
    pub(super) fn get(&self, object: u32) -> Norm {
        let (subjects, squares) = (self.subjects(object), self.squares.get(object as usize).copied().unwrap_or(0.0));
        Norm { subjects, squares: if squares == WIDE { self.wide_of(object) } else { squares as i128 } }
    }

    #[cold]
    fn wide_of(&self, object: u32) -> i128 {
        *self.wide.get(&object).expect("a sum that is not here is among the wide ones")
    }

    /// How many subjects an object is related to.
    #[inline]
    pub(super) fn subjects(&self, object: u32) -> u32 {
        self.subjects.get(object as usize).copied().unwrap_or(0)
    }

    /// The sum of an object's squares, of norms that are narrow.
    #[inline]
    pub(super) fn squares(&self, object: u32) -> i64 {
        self.squares.get(object as usize).map_or(0, |squares| *squares as i64)
    }

    /// The sums of the squares of objects one after the other, from this one on, of norms that are narrow.
    #[inline]
    pub(super) fn squares_from(&self, first: u32) -> &[f64] {
        self.squares.values().get(first as usize..).unwrap_or_default()
    }

    /// Asks the processor to load what is known of an object.
    #[inline]
    pub(super) fn prefetch(&self, object: u32) {
        self.squares.get(object as usize).into_iter().for_each(prefetch);
        self.subjects.get(object as usize).into_iter().for_each(prefetch);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.squares.bytes() + self.subjects.bytes() + self.wide.allocation_size()
    }
}

/// The square of a weight, where it is small.
#[inline]
fn squared(weight: i64) -> Option<i64> {
    weight.checked_mul(weight).filter(|square| *square <= EXACT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_do_not_fit_stay_exact() {
        let mut norms = Norms::default();
        let square = |weight: i64| i128::from(weight) * i128::from(weight);
        norms.shift(3, 0, 5);
        assert_eq!(norms.get(3), Norm { subjects: 1, squares: 25 });
        norms.shift(3, 0, i64::MIN);
        norms.shift(3, 0, i64::MAX);
        norms.shift(3, 5, 4);
        assert_eq!(norms.get(3), Norm { subjects: 3, squares: square(i64::MIN) + square(i64::MAX) + 16 });
        assert!(!norms.is_narrow());
        norms.shift(3, i64::MIN, 0);
        norms.shift(3, i64::MAX, 0);
        assert_eq!((norms.get(3), norms.get(9)), (Norm { subjects: 1, squares: 16 }, Norm::default()));
        assert!(norms.squares[3] == WIDE && !norms.is_narrow(), "what was wide stays so");
    }
}
