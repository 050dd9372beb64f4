//! Pair sums of hot objects: for every object that shares subjects with a hot one, the sum over the subjects of the
//! products of both weights.
//!
//! Most objects are gathered when they are asked for, by way of their subjects' edges. Where that would be much work, the
//! object is *hot*: it has a row of sums which every change of its subjects' edges is added to. Which objects are hot
//! moves work between writing and reading; it never changes an answer.

use super::follow::Shift;
use super::hot::HotRows;
use super::layout::EdgeLayout;
use crate::slab::prefetch;
use crate::table::Table;

/// An object whose work falls below this part of the threshold is no longer hot.
const COLD_BELOW_ONE_IN: u64 = 4;

#[derive(Debug)]
pub(super) struct Pairs {
    /// An object that takes more work to gather is hot.
    hot_work: u64,
    /// By object how much work it is to gather it.
    objects: Table<u64>,
    /// One bit for each object, few enough to stay in the cache while edges are walked.
    hot: Vec<u64>,
    hot_count: u64,
    rows: HotRows,
    /// Objects that are to become hot.
    waiting: Vec<u32>,
    /// Sums are too large for rows: every object stays cold.
    is_wide: bool,
}

impl Pairs {
    pub(super) fn new(hot_work: u64) -> Self {
        Self {
            hot_work,
            objects: Table::default(),
            hot: Vec::new(),
            hot_count: 0,
            rows: HotRows::default(),
            waiting: Vec::new(),
            is_wide: false,
        }
    }

    /// What gathering an object costs for each edge of a subject that has so many: the number, rounded up so that it
    /// changes seldom.
    #[inline]
    pub(super) fn work_of(edges: usize) -> u64 {
        edges.next_power_of_two() as u64
    }

    #[inline]
    pub(super) fn is_hot(&self, object: u32) -> bool {
        is_set(&self.hot, object)
    }

    /// Gathering an object has become more work.
    #[inline]
    pub(super) fn add_work(&mut self, object: u32, work: u64) {
        if object as usize >= self.objects.len() {
            self.hot.resize(object as usize / 64 + 1, 0);
        }
        let total = self.objects.at(object as usize);
        *total += work;
        if *total > self.hot_work && *total - work <= self.hot_work && !self.is_wide && !self.is_hot(object) {
            self.waiting.push(object);
        }
    }

    /// Gathering an object has become less work.
    pub(super) fn take_work(&mut self, object: u32, work: u64) {
        let total = self.objects.at(object as usize);
        *total -= work;
        if *total < self.hot_work / COLD_BELOW_ONE_IN && self.is_hot(object) {
            self.cool(object);
        }
    }

    /// An object is no longer hot.
    #[cold]
    fn cool(&mut self, object: u32) {
        // It may become hot again, with a row of its own time.
        self.settle();
        // Sums may just have become too large for all.
        if self.is_hot(object) {
            self.hot[object as usize / 64] &= !(1 << (object % 64));
            self.hot_count -= 1;
            self.rows.take(object);
        }
    }

    /// Whether there are objects for [`Pairs::next_waiting`] to look at.
    #[inline]
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// An object that is to become hot, with [`Pairs::promote`].
    pub(super) fn next_waiting(&mut self) -> Option<u32> {
        while let Some(object) = self.waiting.pop() {
            if self.objects[object as usize] > self.hot_work && !self.is_hot(object) && !self.is_wide {
                return Some(object);
            }
        }
        None
    }

    /// Gives an object the row that was gathered for it.
    pub(super) fn promote(&mut self, object: u32, sums: &[(u32, i64)]) {
        if self.rows.put(object, sums, self.objects.len()) {
            self.hot[object as usize / 64] |= 1 << (object % 64);
            self.hot_count += 1;
        }
    }

    /// Weights between a subject and some objects have changed, one after the other, beside these shown edges of the subject:
    /// notes what is added to which sums. It is added when there is much, with [`Pairs::settle`] at the latest.
    #[inline]
    pub(super) fn shift(&mut self, shifts: &[&Shift], layout: EdgeLayout, heads: &[u32]) {
        if self.hot_count > 0 && !self.note(shifts, layout, heads) {
            self.widen();
        }
    }

    /// False where sums are too large.
    fn note(&mut self, shifts: &[&Shift], layout: EdgeLayout, heads: &[u32]) -> bool {
        let (hot, rows, mut fits) = (&self.hot[..], &mut self.rows, true);
        layout.each_of(
            heads,
            |object| is_set(hot, object),
            |row, weight| {
                for shift in shifts.iter().filter(|shift| shift.object != row) {
                    let value = shift.delta().checked_mul(weight);
                    fits = fits && value.is_some_and(|value| rows.note(row, shift.object, value));
                }
            },
        );
        for shift in shifts.iter().filter(|shift| is_set(hot, shift.object)) {
            fits = fits && rows.note_all(shift.object, shift.delta(), layout, heads);
        }
        fits && rows.settle_many()
    }

    /// Adds what was noted. Must come before anybody reads.
    pub(super) fn settle(&mut self) {
        if !self.rows.settle() {
            self.widen();
        }
    }

    /// The rows of those that are hot.
    pub(super) fn rows(&self) -> &HotRows {
        &self.rows
    }

    /// How many steps it takes to add up the sums of an object, from its row or by way of its subjects.
    pub(super) fn steps(&self, object: u32) -> usize {
        match self.is_hot(object) {
            true => self.rows.len(object).unwrap_or(self.objects.len()),
            false => self.objects.get(object as usize).map_or(0, |work| *work as usize),
        }
    }

    /// How many objects are hot.
    pub(super) fn hot_count(&self) -> u64 {
        self.hot_count
    }

    /// Asks the processor to load what is known of an object.
    #[inline]
    pub(super) fn prefetch(&self, object: u32) {
        self.objects.get(object as usize).into_iter().for_each(prefetch);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.objects.bytes() + self.hot.capacity() * size_of::<u64>()
    }

    #[cold]
    fn widen(&mut self) {
        self.is_wide = true;
        self.hot.fill(0);
        self.hot_count = 0;
        self.waiting.clear();
        self.rows = HotRows::default();
    }
}

/// Whether the bit of an object is set.
#[inline]
fn is_set(bits: &[u64], object: u32) -> bool {
    bits.get(object as usize / 64).is_some_and(|word| word >> (object % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_added_to_the_row_that_there_was() {
        for objects in [3, 200] {
            let mut pairs = Pairs::new(4);
            let heads = [1, 3];
            let row = |pairs: &Pairs| {
                let mut sum = 0;
                pairs.rows.each(1, |other, value| sum += if other == 2 { value } else { 0 });
                sum
            };
            pairs.add_work(objects, 1);
            pairs.add_work(1, 8);
            assert_eq!(pairs.next_waiting(), Some(1));
            pairs.promote(1, &[(2, 10)]);
            assert_eq!(pairs.rows.len(1).is_none(), objects == 3, "rows of both kinds");
            let come = Shift { object: 2, before: 0, after: 5 };
            pairs.shift(&[&come], EdgeLayout::PLAIN, &heads);
            pairs.settle();
            assert_eq!(row(&pairs), 25);
            pairs.shift(&[&come], EdgeLayout::PLAIN, &heads);
            pairs.take_work(1, 8);
            assert!(!pairs.is_hot(1) && row(&pairs) == 0);
            pairs.add_work(1, 8);
            assert_eq!(pairs.next_waiting(), Some(1));
            pairs.promote(1, &[(2, 7)]);
            pairs.settle();
            assert_eq!(row(&pairs), 7, "a row that was gathered holds what was noted before");
        }
    }

    /// It counted the row that it took away once more when sums had just become too large for all rows.
    #[test]
    fn an_object_may_turn_cold_with_sums_noted_that_are_too_large() {
        let mut pairs = Pairs::new(4);
        pairs.add_work(200, 1);
        pairs.add_work(1, 8);
        assert_eq!(pairs.next_waiting(), Some(1));
        pairs.promote(1, &[(2, 10)]);
        let come = Shift { object: 2, before: 0, after: 1 << 30 };
        pairs.shift(&[&come], EdgeLayout::PLAIN, &[1, 1]);
        pairs.take_work(1, 8);
        assert!(!pairs.is_hot(1) && pairs.is_wide);
        assert_eq!(pairs.hot_count(), 0);
    }
}
