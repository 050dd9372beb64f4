//! Rows of pair sums with a place for every object: for those that are paired with much of the catalogue. A sum is found
//! without searching, nothing has ever to be compacted, and a reader goes through memory in order.
//!
//! A place is 16 bits, for most sums are small and rows are touched all over: what they take decides how much of them is
//! near. What does not fit into the places stands in a short list beside each row.

use crate::slab::{Array, Slab};

/// A row that names one in so many of all objects takes a place for each.
const FROM_ONE_IN: usize = 16;
/// Bits of a place, and what is carried counts by.
const PLACE: u32 = 16;
const PLACE_UNIT: f64 = (1 << PLACE) as f64;
/// Sums that are looked through at once.
const RUN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct DenseRows {
    /// By object the number of its row, from 1.
    numbers: Vec<u32>,
    rows: Vec<Row>,
    free: Vec<u32>,
    /// In huge pages: a row is touched here and there, and there are many of them.
    slab: Slab,
}

#[derive(Debug, Default)]
struct Row {
    /// The signed lower halves of the sums by object, two in a word.
    places: Array,
    /// By rising object what is to be added to some sums, in units of 2^16.
    carried: Vec<(u32, i32)>,
}

impl DenseRows {
    /// Gives an object, which has none, this row. False where it is not worth it, or a sum does not fit.
    pub(super) fn put(&mut self, object: u32, sums: &[(u32, i64)], objects: usize) -> bool {
        let fits = |&(_, sum): &(u32, i64)| i32::try_from(sum >> PLACE).is_ok_and(|carried| carried < i32::MAX);
        if sums.len() < objects / FROM_ONE_IN || !sums.iter().all(fits) {
            return false;
        }
        if object as usize >= self.numbers.len() {
            self.numbers.resize(objects.max(object as usize + 1), 0);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Row::default());
            self.rows.len() as u32
        });
        self.numbers[object as usize] = number;
        lengthen(&mut self.slab, &mut self.rows[number as usize - 1].places, objects);
        for &(other, sum) in sums {
            let fits = self.add(number, other, sum);
            debug_assert!(fits, "it was looked at before");
        }
        true
    }

    /// The number of an object's row, if it has one here.
    #[inline]
    pub(super) fn number(&self, object: u32) -> Option<u32> {
        self.numbers.get(object as usize).copied().filter(|&number| number > 0)
    }

    /// Where the places of an object's row begin, and the places, if it has one here.
    #[inline]
    pub(super) fn places(&self, object: u32) -> Option<(u32, &[u32])> {
        let places = &self.rows[self.number(object)? as usize - 1].places;
        Some((places.start(), self.slab.words(places)))
    }

    /// Adds to the sum of an object in a row whose places begin here. False, with nothing changed, where the place does not
    /// hold it.
    #[inline]
    pub(super) fn add_at(&mut self, start: u32, other: u32, value: i32) -> bool {
        let (word, shift) = (self.slab.word_mut(start, other as usize / 2), other % 2 * PLACE);
        let old = (*word >> shift) as i16;
        let sum = i32::from(old).saturating_add(value);
        let fits = i32::from(sum as i16) == sum;
        if fits {
            *word ^= u32::from((old ^ sum as i16) as u16) << shift;
        }
        fits
    }

    /// Adds to a sum in a row. False, with nothing changed, where that does not fit.
    pub(super) fn add(&mut self, number: u32, other: u32, value: i64) -> bool {
        let row = &mut self.rows[number as usize - 1];
        if other as usize / 2 >= row.places.len() {
            lengthen(&mut self.slab, &mut row.places, other as usize + 1);
        }
        let (word, shift) = (self.slab.word_mut(row.places.start(), other as usize / 2), other % 2 * PLACE);
        let Some(sum) = i64::from((*word >> shift) as i16).checked_add(value) else { return false };
        if i64::from(sum as i16) != sum && !row.carry(other, (sum - i64::from(sum as i16)) >> PLACE) {
            return false;
        }
        *word = *word & !(0xFFFF << shift) | u32::from(sum as u16) << shift;
        true
    }

    /// Gives the sums of a row, zeros included, in runs of objects one after the other: the first object of each run and its
    /// sums, which are whole numbers.
    #[inline]
    pub(super) fn runs(&self, number: u32, mut give: impl FnMut(u32, &[f64])) {
        let row = &self.rows[number as usize - 1];
        let (mut carried, mut sums) = (&row.carried[..], [[0.0; 2]; RUN / 2]);
        for (first, words) in (0..).step_by(RUN).zip(self.slab.words(&row.places).chunks(RUN / 2)) {
            let halves = |word: u32| [word as i16, (word >> PLACE) as i16].map(f64::from);
            sums.iter_mut().zip(words).for_each(|(sums, word)| *sums = halves(*word));
            let count = carried.iter().take_while(|(other, _)| *other < first + RUN as u32).count();
            let (here, rest) = carried.split_at(count);
            carried = rest;
            let sums = sums.as_flattened_mut();
            here.iter().for_each(|(other, more)| sums[(other - first) as usize] += f64::from(*more) * PLACE_UNIT);
            give(first, &sums[..2 * words.len()]);
        }
    }

    /// Gives the sums of a row that are not zero.
    #[inline]
    pub(super) fn each(&self, number: u32, mut give: impl FnMut(u32, i64)) {
        self.runs(number, |first, sums| {
            // Which of them are zero cannot be guessed, so there is no branch for it.
            let (mut found, mut count) = ([0_u8; RUN], 0);
            for (index, sum) in (0..).zip(sums) {
                found[count] = index;
                count += usize::from(*sum != 0.0);
            }
            found[..count].iter().for_each(|&index| give(first + u32::from(index), sums[usize::from(index)] as i64));
        });
    }

    /// Takes an object's row away and gives its sums.
    pub(super) fn take(&mut self, object: u32) -> Vec<(u32, i64)> {
        let mut sums = Vec::new();
        if let Some(number) = self.number(object) {
            self.each(number, |other, sum| sums.push((other, sum)));
            self.numbers[object as usize] = 0;
            let mut row = std::mem::take(&mut self.rows[number as usize - 1]);
            self.slab.free(&mut row.places);
            self.free.push(number);
        }
        sums
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let carried: usize = self.rows.iter().map(|row| row.carried.capacity() * size_of::<(u32, i32)>()).sum();
        self.slab.bytes() + self.numbers.capacity() * size_of::<u32>() + carried
    }
}

impl Row {
    /// Notes what a place does not hold. False, with nothing changed, where that is too much.
    #[cold]
    fn carry(&mut self, other: u32, more: i64) -> bool {
        let found = self.carried.binary_search_by_key(&other, |(object, _)| *object);
        let before = found.map_or(0, |place| i64::from(self.carried[place].1));
        let Ok(after) = i32::try_from(before.saturating_add(more)) else { return false };
        match (found, after) {
            (Ok(place), 0) => _ = self.carried.remove(place),
            (Ok(place), after) => self.carried[place].1 = after,
            (Err(place), after) => self.carried.insert(place, (other, after)),
        }
        true
    }
}

/// Makes a row longer, with sums of zero behind what it has, by more than is needed now.
#[cold]
fn lengthen(slab: &mut Slab, places: &mut Array, objects: usize) {
    let old = places.len();
    slab.extend(places, objects.div_ceil(2).next_multiple_of(1 << 6).max(old + old / 4) - old);
    slab.words_mut(places)[old..].fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    #[test]
    fn a_row_takes_what_fits_and_gives_it_back() {
        let mut rows = DenseRows::default();
        assert!(!rows.put(3, &[(1, 5)], 100), "one of a hundred is not worth it");
        assert!(!rows.put(3, &[(1, 1 << 50)], 10), "a sum does not fit");
        assert!(rows.put(3, &[(1, 5), (7, -2)], 10) && rows.put(90, &[(0, 1)], 10));
        let number = rows.number(3).unwrap();
        assert!(rows.add(number, 1, -5) && rows.add(number, 2_000, 9) && rows.add(number, 7, 1));
        assert!(!rows.add(number, 7, i64::MIN) && !rows.add(number, 7, 1 << 50));
        assert_eq!(rows.take(3), [(7, -1), (2_000, 9)]);
        assert_eq!((rows.number(3), rows.take(3), rows.take(90)), (None, vec![], vec![(0, 1)]));
        assert!(rows.put(5, &[(1, 1)], 10) && rows.rows.len() == 2, "a free number is used again");
    }

    #[test]
    fn sums_that_places_do_not_hold_are_exact() {
        for seed in 0..8 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut rows, mut sums) = (DenseRows::default(), BTreeMap::from([(0, 1_i64)]));
            assert!(rows.put(3, &[(0, 1)], 10));
            let number = rows.number(3).unwrap();
            for _ in 0..5_000 {
                let (other, most) = (rng.random_range(0..50), [9, 1 << 16, 1 << 33][rng.random_range(0..3)]);
                let value = rng.random_range(-most..=most);
                assert!(rows.add(number, other, value));
                *sums.entry(other).or_default() += value;
            }
            let expected: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum != 0).collect();
            assert_eq!(rows.take(3), expected, "seed {seed}");
            assert!(rows.put(5, &expected, 10));
            assert_eq!(rows.take(5), expected);
        }
    }
}
