//! The rows of hot objects, of both kinds, and what is still to be added to them.
//!
//! A change of an edge adds to sums that lie all over memory. Each is noted when it is known, and the processor is asked for
//! it; it is added when many are noted, by when the first ones have come.

use super::dense::DenseRows;
use super::layout::EdgeLayout;
use crate::rows::PairRows;
use crate::slab::prefetch;

/// So many sums are asked for before they are added to.
const NOTED_MAX: usize = 128;

#[derive(Debug, Default)]
pub(super) struct HotRows {
    /// Rows that name others one by one.
    sparse: PairRows,
    /// The rows of those that are paired with much of the catalogue.
    dense: DenseRows,
    noted: Vec<Note>,
}

/// A value that is to be added to the sum of an object in a row.
#[derive(Clone, Copy, Debug)]
struct Note {
    row: u32,
    object: u32,
    /// Where the places of the row begin, if it is dense, and else [`SPARSE`]. Rows stay there while anything is noted.
    start: u32,
    value: i32,
}

const SPARSE: u32 = u32::MAX;

impl HotRows {
    /// Gives an object, which has none, this row. False where that is not worth it.
    pub(super) fn put(&mut self, object: u32, sums: &[(u32, i64)], objects: usize) -> bool {
        self.dense.put(object, sums, objects) || self.put_sparse(object, sums)
    }

    /// Takes an object's row away, for which nothing is noted.
    pub(super) fn take(&mut self, object: u32) {
        self.sparse.clear(object);
        self.dense.take(object);
    }

    /// Notes what is to be added to a sum. False, with the rows in disorder, where some sum does not fit.
    #[inline]
    pub(super) fn note(&mut self, row: u32, object: u32, value: i64) -> bool {
        let Ok(small) = i32::try_from(value) else { return self.add_now(row, object, value) };
        let start = match self.dense.places(row) {
            None => {
                self.sparse.prefetch(row);
                SPARSE
            }
            Some((start, places)) => match places.get(object as usize / 2) {
                None => return self.add_now(row, object, value),
                Some(word) => {
                    prefetch(word);
                    start
                }
            },
        };
        self.noted.push(Note { row, object, start, value: small });
        true
    }

    /// Notes what these edges have to do with a hot object whose weight has changed by `delta`. False, with the rows in
    /// disorder, where some sum does not fit.
    pub(super) fn note_all(&mut self, row: u32, delta: i64, layout: EdgeLayout, heads: &[u32]) -> bool {
        let Some((start, places)) = self.dense.places(row) else {
            let mut fits = true;
            layout.each(heads, |object, weight| {
                let value = delta.checked_mul(weight);
                fits &= object == row || value.is_some_and(|value| self.note(row, object, value));
            });
            return fits;
        };
        let mut left = false;
        layout.each(heads, |object, weight| {
            let value = delta.checked_mul(weight).and_then(|value| i32::try_from(value).ok());
            match (value, places.get(object as usize / 2)) {
                _ if object == row => {}
                (Some(value), Some(word)) => {
                    prefetch(word);
                    self.noted.push(Note { row, object, start, value });
                }
                _ => left = true,
            }
        });
        !left || self.add_left(row, delta, (layout, heads), 2 * places.len())
    }

    /// Adds what was noted, if it is much. False, with the rows in disorder, where some sum does not fit.
    #[inline]
    pub(super) fn settle_many(&mut self) -> bool {
        self.noted.len() < NOTED_MAX || self.settle()
    }

    /// Adds what was noted. Must come before anybody reads. False, with the rows in disorder, where some sum does not fit.
    pub(super) fn settle(&mut self) -> bool {
        let (mut noted, mut stay, mut fits) = (std::mem::take(&mut self.noted), true, true);
        for &Note { row, object, start, value } in &noted {
            if start == SPARSE || !stay || !self.dense.add_at(start, object, value) {
                fits &= self.add(row, object, i64::from(value));
                // What was dense may be so no longer.
                stay &= start == SPARSE || self.dense.places(row).is_some();
            }
        }
        noted.clear();
        self.noted = noted;
        fits
    }

    /// Gives the entries of a row; of one other object there may be several.
    #[inline]
    pub(super) fn each(&self, object: u32, mut give: impl FnMut(u32, i64)) {
        match self.dense.number(object) {
            Some(number) => self.dense.each(number, give),
            None => self.sparse.entries(object).for_each(|(other, sum)| give(other, sum)),
        }
    }

    /// Gives the sums of a row in runs; see [`DenseRows::runs`]. False, with none given, where it does not hold them so.
    #[inline]
    pub(super) fn runs(&self, object: u32, give: impl FnMut(u32, &[f64])) -> bool {
        let number = self.dense.number(object);
        number.inspect(|number| self.dense.runs(*number, give)).is_some()
    }

    /// How many entries a row has. None where it has a place for every object.
    pub(super) fn len(&self, object: u32) -> Option<usize> {
        self.dense.number(object).is_none().then(|| self.sparse.len(object))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.sparse.bytes() + self.dense.bytes()
    }

    /// Adds to a sum at once: one that makes its row longer, which moves, or a value that is too large for a note.
    #[cold]
    fn add_now(&mut self, row: u32, object: u32, value: i64) -> bool {
        self.settle() && self.add(row, object, value)
    }

    /// Adds what could not be noted for a row that had room for so many objects.
    #[cold]
    fn add_left(&mut self, row: u32, delta: i64, (layout, heads): (EdgeLayout, &[u32]), objects: usize) -> bool {
        let mut fits = self.settle();
        layout.each(heads, |object, weight| {
            let value = delta.checked_mul(weight);
            let is_noted = (object as usize) < objects && value.is_some_and(|value| i32::try_from(value).is_ok());
            if object != row && !is_noted {
                fits = fits && value.is_some_and(|value| self.add(row, object, value));
            }
        });
        fits
    }

    /// Adds to a sum in a row. False, with the row in disorder, where it does not fit.
    fn add(&mut self, row: u32, object: u32, value: i64) -> bool {
        match self.dense.number(row) {
            Some(number) => self.dense.add(number, object, value) || self.thin(row, object, value),
            None => {
                self.sparse.admit(object.max(row));
                self.sparse.add(row, object, value)
            }
        }
    }

    /// Adds to a row whose sums have become too large for a dense one.
    #[cold]
    fn thin(&mut self, row: u32, object: u32, value: i64) -> bool {
        let sums = self.dense.take(row);
        self.put_sparse(row, &sums) && self.add(row, object, value)
    }

    /// Gives an object a row that names others one by one. False where that is not worth it.
    fn put_sparse(&mut self, object: u32, sums: &[(u32, i64)]) -> bool {
        // Where all rows are dense, or none are kept, there is no table of the others.
        self.sparse.admit(sums.iter().map(|(other, _)| *other).fold(object, u32::max));
        let fits = self.sparse.fits(sums);
        if fits {
            self.sparse.write(object, sums);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    fn row(rows: &HotRows, object: u32) -> BTreeMap<u32, i64> {
        let mut sums = BTreeMap::<u32, i64>::new();
        rows.each(object, |other, sum| *sums.entry(other).or_default() += sum);
        sums.into_iter().filter(|(_, sum)| *sum != 0).collect()
    }

    /// Rows of both kinds, which grow longer than they were with additions noted, and values that no note holds.
    #[test]
    fn what_is_noted_one_by_one_or_together_is_added() {
        for seed in 0..12 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut rows, mut sums) = (HotRows::default(), [BTreeMap::new(), BTreeMap::new()]);
            // Of 20 objects one is worth a dense row, of 200 it is not.
            for (object, objects) in [(0, 20), (1, 200)] {
                assert!(rows.put(object, &[(7, 3)], objects));
                sums[object as usize].insert(7, 3);
                assert_eq!(rows.len(object).is_none(), object == 0);
            }
            for step in 0..400 {
                let (object, ids) = (rng.random_range(0..2), 10 + 3 * step);
                let most = if object == 0 && seed % 2 == 0 { 1 << 17 } else { 40 };
                let others: Vec<(u32, i64)> = (0..rng.random_range(0..20))
                    .map(|_| (rng.random_range(0..ids), rng.random_range(-most..=most)))
                    .collect();
                let delta = rng.random_range(-most..=most);
                let heads: Vec<u32> = others.iter().flat_map(|&(other, weight)| [other, weight as u32]).collect();
                let fits = match rng.random_range(0..2) {
                    0 => rows.note_all(object, delta, EdgeLayout::PLAIN, &heads),
                    _ => others
                        .iter()
                        .all(|&(other, weight)| other == object || rows.note(object, other, delta * weight)),
                };
                assert!(fits && rows.settle_many() && rows.noted.len() < NOTED_MAX);
                for (other, weight) in others.into_iter().filter(|(other, _)| *other != object) {
                    *sums[object as usize].entry(other).or_default() += delta * weight;
                }
                if step % 40 == 0 {
                    assert!(rows.settle());
                    for (object, sums) in (0..).zip(&mut sums) {
                        sums.retain(|_, sum| *sum != 0);
                        assert_eq!(row(&rows, object), *sums, "seed {seed}, step {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sum_that_no_row_holds_is_told() {
        let mut rows = HotRows::default();
        let most = (i64::from(i32::MAX) - 2) << 16;
        assert!(rows.put(0, &[(1, most), (2, 1)], 3) && rows.len(0).is_none());
        let is_whole = rows.note(0, 1, 1 << 30) && rows.note(0, 2, 5) && rows.settle();
        assert!(!is_whole, "that many entries are not worth it");
    }
}
