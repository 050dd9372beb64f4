//! Rows of pair sums with a place for every object: for those that are paired with much of the catalogue. A sum is found
//! without searching, nothing has ever to be compacted, and a reader goes through memory in order.

use crate::slab::{Array, Slab, prefetch};

/// A row that names one in so many of all objects takes a place for each: four bytes, as an entry of a sparse row does.
const FROM_ONE_IN: usize = 16;

#[derive(Debug, Default)]
pub(super) struct DenseRows {
    /// By object the number of its row, from 1.
    numbers: Vec<u32>,
    /// The sums by object, in words.
    rows: Vec<Array>,
    free: Vec<u32>,
    /// In huge pages: a row is touched here and there, and there are many of them.
    slab: Slab,
}

impl DenseRows {
    /// Gives an object, which has none, this row. False where it is not worth it, or a sum does not fit.
    pub(super) fn put(&mut self, object: u32, sums: &[(u32, i64)], objects: usize) -> bool {
        if sums.len() < objects / FROM_ONE_IN || sums.iter().any(|&(_, sum)| i32::try_from(sum).is_err()) {
            return false;
        }
        if object as usize >= self.numbers.len() {
            self.numbers.resize(objects.max(object as usize + 1), 0);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Array::default());
            self.rows.len() as u32
        });
        self.numbers[object as usize] = number;
        let row = &mut self.rows[number as usize - 1];
        lengthen(&mut self.slab, row, objects);
        let places = self.slab.words_mut(row);
        sums.iter().for_each(|&(other, sum)| places[other as usize] = sum as u32);
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
        if other as usize >= row.len() {
            lengthen(&mut self.slab, row, other as usize + 1);
        }
        let place = &mut self.slab.words_mut(row)[other as usize];
        let sum = i32::try_from(value).ok().and_then(|value| (*place as i32).checked_add(value));
        sum.inspect(|sum| *place = *sum as u32).is_some()
    }

    /// Asks the processor to load a place.
    #[inline]
    pub(super) fn prefetch(&self, object: u32, other: u32) {
        if let Some(number) = self.number(object)
            && let Some(place) = self.slab.words(&self.rows[number as usize - 1]).get(other as usize)
        {
            prefetch(place);
        }
    }

    /// Gives the sums of a row that are not zero.
    pub(super) fn each(&self, number: u32, mut give: impl FnMut(u32, i64)) {
        for (other, &sum) in (0..).zip(self.slab.words(&self.rows[number as usize - 1])) {
            if sum != 0 {
                give(other, i64::from(sum as i32));
            }
        }
    }

    /// Takes an object's row away and gives its sums.
    pub(super) fn take(&mut self, object: u32) -> Vec<(u32, i64)> {
        let mut sums = Vec::new();
        if let Some(number) = self.number(object) {
            self.each(number, |other, sum| sums.push((other, sum)));
            self.numbers[object as usize] = 0;
            self.slab.free(&mut self.rows[number as usize - 1]);
            self.free.push(number);
        }
        sums
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.slab.bytes() + self.numbers.capacity() * size_of::<u32>()
    }
}

/// Makes a row longer, with sums of zero behind what it has, by more than is needed now.
#[cold]
fn lengthen(slab: &mut Slab, row: &mut Array, objects: usize) {
    let old = row.len();
    slab.extend(row, objects.next_multiple_of(1 << 10).max(old + old / 4) - old);
    slab.words_mut(row)[old..].fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_what_fits_and_gives_it_back() {
        let mut rows = DenseRows::default();
        assert!(!rows.put(3, &[(1, 5)], 100), "one of a hundred is not worth it");
        assert!(!rows.put(3, &[(1, 1 << 31)], 10), "a sum does not fit");
        assert!(rows.put(3, &[(1, 5), (7, -2)], 10) && rows.put(90, &[(0, 1)], 10));
        let number = rows.number(3).unwrap();
        assert!(rows.add(number, 1, -5) && rows.add(number, 2_000, 9) && rows.add(number, 7, 1));
        assert!(!rows.add(number, 7, i64::from(i32::MIN)) && !rows.add(number, 7, 1 << 40));
        assert_eq!(rows.take(3), [(7, -1), (2_000, 9)]);
        assert_eq!((rows.number(3), rows.take(3), rows.take(90)), (None, vec![], vec![(0, 1)]));
        assert!(rows.put(5, &[(1, 1)], 10) && rows.rows.len() == 2, "a free number is used again");
    }
}
