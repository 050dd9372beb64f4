//! Rows of pair counts: for each hot object, with which others it shares how many subjects.
//!
//! A row is an unordered multiset of 32-bit entries, an object's id in the upper bits and a signed count in the lower
//! ones. Counting only ever *appends* an entry of +1 or −1, so there is no search and one random access for each
//! update. A row that is full is compacted in place: entries of one object are summed with the help of one sparse set
//! that all rows share. What no longer fits into the count bits stays in a second entry; readers sum.
//!
//! How many bits count follows from the highest id: small catalogues have large counts and large ones small, so that
//! entries stay at four bytes up to 2^28 ids. When an id outgrows its bits, every row is written anew, once.

use crate::entries::{EntryLayout, compact, rewrite, sum_entries};
use crate::slab::{Array, Slab, prefetch};

/// The rows of all objects; those that are not hot are empty and hold no memory.
#[derive(Debug)]
pub(crate) struct PairRows {
    rows: Vec<Array>,
    slab: Slab,
    entry: EntryLayout,
    /// The sparse set for compaction: where an object's entry stands in the row at hand. Never cleared: a place counts
    /// only if it is below the number of entries kept and that entry is of the object.
    places: Vec<u32>,
}

impl Default for PairRows {
    fn default() -> Self {
        Self::with_layout(EntryLayout::for_id(0))
    }
}

impl PairRows {
    fn with_layout(entry: EntryLayout) -> Self {
        Self { rows: Vec::new(), slab: Slab::default(), entry, places: Vec::new() }
    }

    /// Makes room for an id in the tables and in the entries. Must come before anything else is done with an id.
    ///
    /// # Panics
    /// When the id is 2^28 or more.
    pub(crate) fn admit(&mut self, id: u32) {
        if id as usize >= self.rows.len() {
            self.rows.resize(id as usize + 1, Array::default());
            self.places.resize(id as usize + 1, 0);
        }
        if !self.entry.holds(id) {
            self.widen(id);
        }
    }

    /// Counts `object` once more (`sign` +1) or once less (−1) in the row of each of `others`. The rows lie all over
    /// memory: their heads and then their ends are asked for some rows ahead.
    pub(crate) fn append_each(&mut self, others: &[u32], object: u32, sign: i32) {
        const HEADS_AHEAD: usize = 16;
        const ENDS_AHEAD: usize = 8;
        let entry = self.entry.pack(object, sign);
        for (index, &other) in others.iter().enumerate() {
            if let Some(row) = others.get(index + HEADS_AHEAD).and_then(|&ahead| self.rows.get(ahead as usize)) {
                prefetch(row);
            }
            if let Some(row) = others.get(index + ENDS_AHEAD).and_then(|&ahead| self.rows.get(ahead as usize)) {
                self.slab.prefetch_end(row);
            }
            self.reserve(other, 1);
            self.slab.push(&mut self.rows[other as usize], entry);
        }
    }

    /// Counts each of `others` once more or once less in the row of `object`.
    pub(crate) fn append_all(&mut self, object: u32, others: &[u32], sign: i32) {
        self.reserve(object, others.len());
        let row = &mut self.rows[object as usize];
        for &other in others {
            self.slab.push(row, self.entry.pack(other, sign));
        }
    }

    /// Asks the processor to load the end of a row.
    #[inline]
    pub(crate) fn prefetch(&self, object: u32) {
        if let Some(row) = self.rows.get(object as usize) {
            self.slab.prefetch_end(row);
        }
    }

    /// Adds to the count of `object` in a row. False, with the row in disorder, where that takes too many entries.
    #[inline]
    pub(crate) fn add(&mut self, row: u32, object: u32, value: i64) -> bool {
        match i32::try_from(value) {
            Ok(count) if self.entry.fits(count) => {
                self.reserve(row, 1);
                self.slab.push(&mut self.rows[row as usize], self.entry.pack(object, count));
                true
            }
            _ => self.add_parts(row, object, value),
        }
    }

    #[cold]
    fn add_parts(&mut self, row: u32, object: u32, value: i64) -> bool {
        /// More would make rows longer than the edges they stand for.
        const PARTS_MAX: usize = 16;
        let (entry, parts) = (self.entry, self.entry.parts(value).take(PARTS_MAX + 1).count());
        if parts > PARTS_MAX {
            return false;
        }
        self.reserve(row, parts);
        for part in entry.parts(value) {
            self.slab.push(&mut self.rows[row as usize], entry.pack(object, part));
        }
        true
    }

    /// Whether a row of these sums is worth its entries.
    pub(crate) fn fits(&self, sums: &[(u32, i64)]) -> bool {
        /// Sums of which most take more entries than this are better gathered.
        const ENTRIES_MAX: usize = 8;
        let entries = sums.iter().map(|&(_, sum)| self.entry.parts(sum).take(1 << 16).count());
        entries.sum::<usize>() <= sums.len() * ENTRIES_MAX
    }

    /// The entries of a row; of one object there may be several.
    pub(crate) fn entries(&self, object: u32) -> impl Iterator<Item = (u32, i64)> {
        let (row, layout) = (self.rows.get(object as usize).map_or(&[][..], |row| self.slab.words(row)), self.entry);
        row.iter().map(move |&entry| (layout.id(entry), i64::from(layout.count(entry))))
    }

    /// How many entries a row has.
    pub(crate) fn len(&self, object: u32) -> usize {
        self.rows.get(object as usize).map_or(0, Array::len)
    }

    /// Gives an object this row, by rising id, in place of what it has.
    pub(crate) fn write(&mut self, object: u32, row: &[(u32, i64)]) {
        rewrite(&mut self.slab, &mut self.rows[object as usize], self.entry, row);
    }

    /// Takes away an object's row, if it has one.
    pub(crate) fn clear(&mut self, object: u32) {
        if let Some(row) = self.rows.get_mut(object as usize) {
            self.slab.free(row);
        }
    }

    /// The counts of a row that are not zero, by id. Leaves the row as short as it can be.
    pub(crate) fn read(&mut self, object: u32, sums: &mut Vec<(u32, i64)>) {
        let row = &mut self.rows[object as usize];
        compact(&mut self.slab, row, self.entry, &mut self.places);
        sum_entries(self.slab.words_mut(row), self.entry, sums);
        if sums.is_empty() || sums.len() < row.len() {
            rewrite(&mut self.slab, row, self.entry, sums);
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slab.bytes() + self.rows.capacity() * size_of::<Array>() + self.places.capacity() * size_of::<u32>()
    }

    /// Makes sure that `more` entries fit into a row.
    #[inline]
    fn reserve(&mut self, object: u32, more: usize) {
        let row = &self.rows[object as usize];
        if row.capacity() - row.len() < more {
            self.make_room(object, more);
        }
    }

    /// Compacts a full row; one that is still two thirds full moves to the next size, so that the next compaction is
    /// far enough away to pay.
    #[cold]
    fn make_room(&mut self, object: u32, more: usize) {
        let row = &mut self.rows[object as usize];
        compact(&mut self.slab, row, self.entry, &mut self.places);
        let kept = row.len();
        let wanted = (kept + more).max(kept + kept / 2);
        self.slab.grow(row, wanted);
    }

    fn widen(&mut self, id: u32) {
        let old = self.entry;
        let new = EntryLayout::for_id(id);
        let mut sums = Vec::new();
        for row in &mut self.rows {
            sum_entries(self.slab.words_mut(row), old, &mut sums);
            rewrite(&mut self.slab, row, new, &sums);
        }
        self.entry = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    fn row(rows: &mut PairRows, item: u32) -> Vec<(u32, i64)> {
        let mut row = Vec::new();
        rows.read(item, &mut row);
        row
    }

    impl PairRows {
        /// Counts in the rows of both.
        fn couple(&mut self, item: u32, others: &[u32], sign: i32) {
            self.admit(item);
            self.append_each(others, item, sign);
            self.append_all(item, others, sign);
        }
    }

    #[test]
    fn a_pair_stands_in_both_rows_and_vanishes_at_zero() {
        let mut rows = PairRows::default();
        rows.admit(9);
        rows.couple(3, &[5, 9], 1);
        rows.couple(3, &[5], 1);
        assert_eq!(row(&mut rows, 3), [(5, 2), (9, 1)]);
        assert_eq!(row(&mut rows, 9), [(3, 1)]);
        rows.couple(9, &[3], -1);
        assert_eq!(row(&mut rows, 3), [(5, 2)]);
        assert_eq!(row(&mut rows, 9), []);
        assert_eq!(rows.rows[9].capacity(), 0, "nothing is left behind");
    }

    #[test]
    fn a_removal_may_come_before_what_it_removes() {
        let mut rows = PairRows::default();
        rows.admit(2);
        rows.couple(1, &[2], -1);
        assert_eq!(row(&mut rows, 2), [(1, -1)]);
        rows.couple(1, &[2], 1);
        assert_eq!(row(&mut rows, 2), []);
    }

    #[test]
    fn counts_past_the_bits_of_an_entry_stay_exact() {
        for (count_bits, times) in [(16, 100_000_i64), (8, 3_000), (4, 100)] {
            let mut rows = PairRows::with_layout(EntryLayout { count_bits });
            rows.admit(9);
            for _ in 0..times {
                rows.couple(0, &[9], 1);
            }
            assert_eq!(row(&mut rows, 0), [(9, times)]);
            for _ in 0..times - 1 {
                rows.couple(0, &[9], -1);
            }
            assert_eq!(row(&mut rows, 9), [(0, 1)]);
            assert_eq!(rows.rows[9].len(), 1);
        }
    }

    #[test]
    fn rows_survive_ids_that_outgrow_their_bits() {
        let mut rows = PairRows::default();
        rows.admit(7);
        for _ in 0..40_000 {
            rows.couple(7, &[3], 1);
        }
        for id in [70_000, 1 << 20] {
            rows.couple(id, &[3, 7], 1);
            assert_eq!(row(&mut rows, 7)[0], (3, 40_000));
        }
        assert_eq!(row(&mut rows, 3), [(7, 40_000), (70_000, 1), (1 << 20, 1)]);
    }

    #[test]
    fn random_updates_equal_a_map() {
        for seed in 0..8 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut rows, mut map) = (PairRows::default(), BTreeMap::<(u32, u32), i64>::new());
            rows.admit(299);
            for _ in 0..3_000 {
                let item = rng.random_range(0..300);
                let others: Vec<u32> = (0..rng.random_range(0..40)).map(|_| rng.random_range(0..300)).collect();
                let sign = if rng.next_u32() % 3 == 0 { -1 } else { 1 };
                rows.couple(item, &others, sign);
                for &other in &others {
                    *map.entry((item, other)).or_default() += i64::from(sign);
                    *map.entry((other, item)).or_default() += i64::from(sign);
                }
            }
            for item in 0..300 {
                let expected = map.range((item, 0)..=(item, u32::MAX)).filter(|(_, count)| **count != 0);
                assert!(
                    row(&mut rows, item).into_iter().eq(expected.map(|(&(_, other), &count)| (other, count))),
                    "seed {seed}, row {item}"
                );
            }
        }
    }
}
