//! Pair counts, row by row: for each item, with which items it shares how many subjects.
//!
//! A row is an unordered multiset of 32-bit entries, an item's id in the upper bits and a signed count in the lower
//! ones. Counting only ever *appends* an entry of +1 or −1, so there is no search and one random access for each
//! update. A row that is full is compacted in place: entries of one item are summed with the help of one sparse set
//! that all rows share. What no longer fits into the count bits stays in a second entry; readers sum.
//!
//! How many bits count follows from the highest id: small catalogues have large counts and large ones small, so that
//! entries stay at four bytes up to 2^28 ids. When an id outgrows its bits, every row is written anew, once.

use crate::entries::{EntryLayout, compact, rewrite, sum_entries};
use crate::slab::{Array, Slab, prefetch};

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    entries: Array,
    /// Whether it changed since it was read last.
    touched: bool,
}

/// The pair counts of all items.
#[derive(Debug)]
pub(crate) struct PairRows {
    rows: Vec<Row>,
    slab: Slab,
    entry: EntryLayout,
    /// The sparse set for compaction: where an item's entry stands in the row at hand. Never cleared: a place counts
    /// only if it is below the number of entries kept and that entry is of the item.
    places: Vec<u32>,
    /// Rows touched since the last [`PairRows::take_touched`].
    touched: Vec<u32>,
    sums: Vec<(u32, i64)>,
}

impl Default for PairRows {
    fn default() -> Self {
        Self::with_layout(EntryLayout::for_id(0))
    }
}

impl PairRows {
    fn with_layout(entry: EntryLayout) -> Self {
        let (rows, slab, places) = (Vec::new(), Slab::default(), Vec::new());
        Self { rows, slab, entry, places, touched: Vec::new(), sums: Vec::new() }
    }

    /// Counts `item` together with each of `others` once more (`sign` +1) or once less (−1), in the rows of both.
    ///
    /// # Panics
    /// When an id is 2^28 or more.
    pub(crate) fn couple(&mut self, item: u32, others: &[u32], sign: i32) {
        self.admit(item);
        self.touch(item);
        self.append_each(others, item, sign);
        self.append_all(item, others, sign);
    }

    /// The ids of rows touched since the last call; each row appears once until it is read.
    pub(crate) fn take_touched(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.touched)
    }

    /// The counts of a row that are not zero, by id. The row counts as untouched from here on.
    pub(crate) fn read(&mut self, item: u32) -> &[(u32, i64)] {
        self.sums.clear();
        if let Some(row) = self.rows.get_mut(item as usize) {
            row.touched = false;
            compact(&mut self.slab, &mut row.entries, self.entry, &mut self.places);
            sum_entries(self.slab.words_mut(&row.entries), self.entry, &mut self.sums);
            if self.sums.len() < row.entries.len() {
                rewrite(&mut self.slab, &mut row.entries, self.entry, &self.sums);
            }
        }
        &self.sums
    }

    /// How many entries a row has, which is what reading it costs.
    pub(crate) fn entries(&self, item: u32) -> usize {
        self.rows.get(item as usize).map_or(0, |row| row.entries.len())
    }

    /// How many items have a row.
    pub(crate) fn len(&self) -> usize {
        self.rows.iter().filter(|row| row.entries.len() > 0).count()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slab.bytes() + self.rows.capacity() * size_of::<Row>() + self.places.capacity() * size_of::<u32>()
    }

    /// Appends one entry, of `item`, to the row of each of `others`. The rows lie all over memory: their heads and
    /// then their ends are asked for some rows ahead.
    fn append_each(&mut self, others: &[u32], item: u32, sign: i32) {
        const HEADS_AHEAD: usize = 16;
        const ENDS_AHEAD: usize = 8;
        let entry = self.entry.pack(item, sign);
        for (index, &other) in others.iter().enumerate() {
            if let Some(row) = others.get(index + HEADS_AHEAD).and_then(|&ahead| self.rows.get(ahead as usize)) {
                prefetch(row);
            }
            if let Some(row) = others.get(index + ENDS_AHEAD).and_then(|&ahead| self.rows.get(ahead as usize)) {
                self.slab.prefetch_end(&row.entries);
            }
            self.touch(other);
            self.reserve(other, 1);
            self.slab.push(&mut self.rows[other as usize].entries, entry);
        }
    }

    fn append_all(&mut self, item: u32, others: &[u32], sign: i32) {
        self.reserve(item, others.len());
        let row = &mut self.rows[item as usize];
        for &other in others {
            self.slab.push(&mut row.entries, self.entry.pack(other, sign));
        }
    }

    /// Makes sure that `more` entries fit into a row.
    #[inline]
    fn reserve(&mut self, item: u32, more: usize) {
        let row = &self.rows[item as usize].entries;
        if row.capacity() - row.len() < more {
            self.make_room(item, more);
        }
    }

    /// Compacts a full row; one that is still two thirds full moves to the next size, so that the next compaction is
    /// far enough away to pay.
    #[cold]
    fn make_room(&mut self, item: u32, more: usize) {
        let row = &mut self.rows[item as usize].entries;
        compact(&mut self.slab, row, self.entry, &mut self.places);
        let kept = row.len();
        let wanted = (kept + more).max(kept + kept / 2);
        self.slab.grow(row, wanted);
    }

    #[inline]
    fn touch(&mut self, item: u32) {
        let row = &mut self.rows[item as usize];
        if !row.touched {
            row.touched = true;
            self.touched.push(item);
        }
    }

    /// Makes room for an id in the tables and in the entries.
    fn admit(&mut self, item: u32) {
        let id = item as usize;
        if id >= self.rows.len() {
            self.rows.resize(id + 1, Row::default());
            self.places.resize(id + 1, 0);
        }
        if !self.entry.holds(item) {
            self.widen(item);
        }
    }

    fn widen(&mut self, item: u32) {
        let old = self.entry;
        let new = EntryLayout::for_id(item);
        let mut sums = Vec::new();
        for row in &mut self.rows {
            sum_entries(self.slab.words_mut(&row.entries), old, &mut sums);
            rewrite(&mut self.slab, &mut row.entries, new, &sums);
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
        rows.read(item).to_vec()
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
        assert_eq!(rows.entries(9), 0, "nothing is left behind");
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
            assert_eq!(rows.entries(9), 1);
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
    fn touched_rows_are_named_once_until_read() {
        let mut rows = PairRows::default();
        rows.admit(2);
        rows.couple(1, &[2], 1);
        rows.couple(1, &[2], 1);
        assert_eq!(rows.take_touched(), [1, 2]);
        rows.couple(1, &[2], 1);
        assert!(rows.take_touched().is_empty());
        rows.read(1);
        rows.couple(1, &[2], 1);
        assert_eq!(rows.take_touched(), [1]);
    }

    #[test]
    fn random_updates_equal_a_map() {
        for seed in 0..20 {
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
