//! Rows of pair sums with a place for every object: for those that are paired with much of the catalogue. A sum is found
//! without searching, nothing has ever to be compacted, and a reader goes through memory in order.
//!
//! A place is 16 bits, for most sums are small and rows are touched all over: what they take decides how much of them is
//! near. What does not fit into the places stands in a short list beside each row.

use crate::slab::{Array, Slab, prefetch};

/// A row that names one in so many of all objects takes a place for each.
const FROM_ONE_IN: usize = 16;
/// Bits of a place.
const PLACE: u32 = 16;

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

    /// Adds to a sum in a row. False, with nothing changed, where that does not fit.
    #[inline]
    pub(super) fn add(&mut self, number: u32, other: u32, value: i64) -> bool {
        let row = &mut self.rows[number as usize - 1];
        if other as usize >= 2 * row.places.len() {
            lengthen(&mut self.slab, &mut row.places, other as usize + 1);
        }
        let word = &mut self.slab.words_mut(&row.places)[other as usize / 2];
        let shift = other % 2 * PLACE;
        let Some(sum) = i64::from((*word >> shift) as i16).checked_add(value) else { return false };
        if i64::from(sum as i16) != sum && !row.carry(other, (sum - i64::from(sum as i16)) >> PLACE) {
            return false;
        }
        *word = *word & !(0xFFFF << shift) | u32::from(sum as u16) << shift;
        true
    }

    /// Asks the processor to load a place of a row.
    #[inline]
    pub(super) fn prefetch(&self, number: u32, other: u32) {
        let places = self.slab.words(&self.rows[number as usize - 1].places);
        places.get(other as usize / 2).into_iter().for_each(prefetch);
    }

    /// Gives the sums of a row that are not zero.
    #[inline]
    pub(super) fn each(&self, number: u32, mut give: impl FnMut(u32, i64)) {
        /// Words that are looked through at once. Which of their sums are zero cannot be guessed, so there is no branch for it.
        const WORDS: usize = 32;
        let row = &self.rows[number as usize - 1];
        let (mut carried, mut found) = (&row.carried[..], [0_u8; 2 * WORDS]);
        for (first, words) in (0..).step_by(2 * WORDS).zip(self.slab.words(&row.places).chunks(WORDS)) {
            let place = |index: u8| (words[usize::from(index / 2)] >> (u32::from(index % 2) * PLACE)) as i16;
            let count = carried.iter().take_while(|(other, _)| *other < first + 2 * WORDS as u32).count();
            if count > 0 {
                let (here, rest) = carried.split_at(count);
                carried = rest;
                let all = (0..2 * words.len() as u8).map(|index| (first + u32::from(index), i64::from(place(index))));
                let sums = all.map(|(other, low)| (other, low + carried_of(here, other)));
                sums.filter(|(_, sum)| *sum != 0).for_each(|(other, sum)| give(other, sum));
                continue;
            }
            let mut count = 0;
            for index in 0..2 * words.len() as u8 {
                found[count] = index;
                count += usize::from(place(index) != 0);
            }
            found[..count].iter().for_each(|&index| give(first + u32::from(index), i64::from(place(index))));
        }
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

/// What is to be added to a sum, among some that are carried.
fn carried_of(carried: &[(u32, i32)], other: u32) -> i64 {
    let found = carried.iter().find(|(object, _)| *object == other);
    found.map_or(0, |(_, carried)| i64::from(*carried) << PLACE)
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
