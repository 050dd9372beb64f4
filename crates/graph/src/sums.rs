//! Sums by id, for one question at a time.

use crate::table::Table;
use std::cell::RefCell;

/// Values that are looked at before any of them is added.
const PIECE: usize = 64;

/// Adds up values by id. Ids are dense, so that a sum is found without searching.
#[derive(Debug, Default)]
pub(crate) struct Sums<T = i64> {
    /// For each id the sum so far; all zero between two questions.
    sums: Table<T>,
    /// The ids that have a sum, so many; one whose sum was zero in between may stand here twice.
    found: Vec<u32>,
    count: usize,
    /// All ids of the question are below this.
    ids: usize,
    /// Most ids will have a sum: they are looked through one after the other and need not be noted.
    is_dense: bool,
}

/// A sum. It wraps on the way: whoever asks has made sure that the result fits.
pub(crate) trait Sum: Copy + Default + PartialEq + Into<i64> + 'static {
    /// The sum with a value added.
    fn plus(self, value: i64) -> Self;

    /// The sum, as near as can be.
    fn to_f64(self) -> f64;

    /// Hands the thread's own sums of this kind over.
    fn with_own<R>(call: impl FnOnce(&mut Sums<Self>) -> R) -> R;
}

impl Sum for i64 {
    #[inline]
    fn plus(self, value: i64) -> Self {
        self.wrapping_add(value)
    }

    #[inline]
    fn to_f64(self) -> f64 {
        self as f64
    }

    fn with_own<R>(call: impl FnOnce(&mut Sums<Self>) -> R) -> R {
        thread_local! { static SUMS: RefCell<Sums<i64>> = RefCell::default(); }
        SUMS.with_borrow_mut(call)
    }
}

/// For sums that are known to be small: more of them are near.
impl Sum for i32 {
    #[inline]
    fn plus(self, value: i64) -> Self {
        self.wrapping_add(value as i32)
    }

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn with_own<R>(call: impl FnOnce(&mut Sums<Self>) -> R) -> R {
        thread_local! { static SUMS: RefCell<Sums<i32>> = RefCell::default(); }
        SUMS.with_borrow_mut(call)
    }
}

impl<T: Sum> Sums<T> {
    /// Makes room for ids below a number, of which most may get a sum.
    pub(crate) fn reserve(&mut self, ids: usize, is_dense: bool) {
        self.ids = self.ids.max(ids);
        self.is_dense |= is_dense;
        if ids > self.sums.len() {
            self.sums.at(ids.next_power_of_two() - 1);
        }
    }

    /// Adds to the sum of an id there is room for.
    #[inline]
    pub(crate) fn add(&mut self, id: u32, value: i64) {
        self.extend(std::iter::once((id, value)));
    }

    /// Adds to the sums of ids there is room for.
    #[inline]
    pub(crate) fn extend(&mut self, values: impl ExactSizeIterator<Item = (u32, i64)>) {
        let most = self.count + values.len();
        if most >= self.found.len() {
            self.found.resize(2 * most, 0);
        }
        // What is changed for each value stays in registers, so that none waits for the one before.
        let (sums, found, mut count) = (self.sums.values_mut(), &mut self.found[..], self.count);
        if self.is_dense {
            for (id, value) in values {
                let sum = &mut sums[id as usize];
                *sum = sum.plus(value);
            }
            return;
        }
        for (id, value) in values {
            let sum = &mut sums[id as usize];
            // Whether an id is new cannot be guessed: so there is no branch for it.
            found[count] = id;
            count += usize::from(*sum == T::default());
            *sum = sum.plus(value);
        }
        self.count = count;
    }

    /// An id has no sum.
    pub(crate) fn clear(&mut self, id: u32) {
        self.sums.values_mut().get_mut(id as usize).into_iter().for_each(|sum| *sum = T::default());
    }

    /// Adds to the sums of ids, whichever they are.
    #[inline]
    pub(crate) fn add_all(&mut self, values: impl Iterator<Item = (u32, i64)>) {
        let (mut values, mut piece) = (values, [(0, 0); PIECE]);
        loop {
            let (mut taken, mut greatest) = (0, 0);
            for (place, value) in piece.iter_mut().zip(&mut values) {
                *place = value;
                greatest = greatest.max(value.0);
                taken += 1;
            }
            if taken > 0 && greatest as usize >= self.sums.len() {
                self.reserve(greatest as usize + 1, false);
            }
            self.extend(piece[..taken].iter().copied());
            if taken < PIECE {
                return;
            }
        }
    }

    /// Hands all sums over by id, zeros included, where most ids were to have one, and is empty again. Else gives false.
    pub(crate) fn take_all(&mut self, take: impl FnOnce(&[T])) -> bool {
        if !std::mem::take(&mut self.is_dense) {
            return false;
        }
        self.count = 0;
        let sums = &mut self.sums.values_mut()[..std::mem::take(&mut self.ids)];
        take(sums);
        sums.fill(T::default());
        true
    }

    /// Gives the sums that are not zero, in no particular order, and is empty again.
    pub(crate) fn drain(&mut self, mut give: impl FnMut(u32, i64)) {
        if std::mem::take(&mut self.is_dense) {
            self.find_all();
        }
        self.ids = 0;
        for &id in &self.found[..std::mem::take(&mut self.count)] {
            let sum = std::mem::take(&mut self.sums[id as usize]);
            if sum != T::default() {
                give(id, sum.into());
            }
        }
    }

    /// Notes all ids that have a sum, by rising id. Again there is no branch for it.
    fn find_all(&mut self) {
        self.found.resize(self.found.len().max(self.ids + 1), 0);
        self.count = 0;
        for id in 0..self.ids {
            self.found[self.count] = id as u32;
            self.count += usize::from(self.sums[id] != T::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_given_once_however_they_were_added() {
        given_once::<i64>();
        given_once::<i32>();
    }

    fn given_once<T: Sum + Default>() {
        for is_dense in [false, true] {
            let mut sums = Sums::<T>::default();
            for _ in 0..2 {
                sums.reserve(300, is_dense);
                sums.add_all((0..300).flat_map(|id| [(id, i64::from(id % 3)), (7, 1), (7, -1)]));
                sums.add_all(std::iter::empty());
                sums.add(9, 5);
                sums.add(11, 8);
                sums.clear(11);
                sums.clear(1 << 20);
                sums.add(11, 2);
                let mut found = Vec::new();
                sums.drain(|id, sum| found.push((id, sum)));
                found.sort_unstable();
                let expected = (0..300).map(|id| (id, i64::from(id % 3) + 5 * i64::from(id == 9)));
                assert_eq!(found, expected.filter(|(_, sum)| *sum != 0).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn all_sums_are_handed_over_where_most_ids_have_one() {
        let mut sums = Sums::<i32>::default();
        sums.reserve(4, false);
        sums.add(3, 4);
        assert!(!sums.take_all(|_| panic!("few were expected")));
        sums.reserve(5, true);
        sums.add(1, -2);
        assert!(sums.take_all(|all| assert_eq!(all, [0, -2, 0, 4, 0])));
        sums.drain(|_, _| panic!("nothing is left"));
        sums.reserve(5, true);
        assert!(sums.take_all(|all| assert_eq!(all, [0; 5])));
    }

    #[test]
    fn what_was_noted_before_most_were_expected_is_given_too() {
        let mut sums = Sums::<i64>::default();
        sums.reserve(8, false);
        sums.add(3, 4);
        sums.reserve(100, true);
        sums.add(90, 1);
        let mut found = Vec::new();
        sums.drain(|id, sum| found.push((id, sum)));
        sums.drain(|_, _| panic!("nothing is left"));
        assert_eq!(found, [(3, 4), (90, 1)]);
    }
}
