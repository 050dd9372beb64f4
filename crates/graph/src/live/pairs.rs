//! Pair sums of hot objects: for every object that shares subjects with a hot one, the sum over the subjects of the
//! products of both weights.
//!
//! Most objects are gathered when they are asked for, by way of their subjects' edges. Where that would be much work, the
//! object is *hot*: it has a row of sums which every change of its subjects' edges is added to. Which objects are hot
//! moves work between writing and reading; it never changes an answer.

use super::dense::DenseRows;
use super::follow::Shift;
use super::layout::EdgeLayout;
use crate::rows::PairRows;
use crate::slab::prefetch;
use crate::table::Table;

/// An object whose work falls below this part of the threshold is no longer hot.
const COLD_BELOW_ONE_IN: u64 = 4;
/// So many sums are asked for before they are added to: by then the first ones are there.
const NOTED_MAX: usize = 128;

#[derive(Debug)]
pub(super) struct Pairs {
    /// An object that takes more work to gather is hot.
    hot_work: u64,
    /// By object how much work it is to gather it.
    objects: Table<u64>,
    /// One bit for each object, few enough to stay in the cache while edges are walked.
    hot: Vec<u64>,
    hot_count: u64,
    rows: PairRows,
    /// The rows of those that are paired with much of the catalogue.
    dense: DenseRows,
    /// Objects that are to become hot.
    waiting: Vec<u32>,
    /// The edges to hot objects beside those that change, while these are followed: object and weight. So many count.
    others: Vec<(u32, i64)>,
    kept: usize,
    /// What is to be added to sums.
    noted: Vec<Note>,
    /// Sums are too large for rows: every object stays cold.
    is_wide: bool,
}

/// A value that is to be added to the sum of an object in a row.
#[derive(Clone, Copy, Debug)]
struct Note {
    row: u32,
    object: u32,
    value: i64,
}

impl Pairs {
    pub(super) fn new(hot_work: u64) -> Self {
        Self {
            hot_work,
            objects: Table::default(),
            hot: Vec::new(),
            hot_count: 0,
            rows: PairRows::default(),
            dense: DenseRows::default(),
            waiting: Vec::new(),
            others: Vec::new(),
            kept: 0,
            noted: Vec::new(),
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
        self.hot.get(object as usize / 64).is_some_and(|word| word >> (object % 64) & 1 == 1)
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
            // It may become hot again, with a row of its own time.
            self.settle();
            self.hot[object as usize / 64] &= !(1 << (object % 64));
            self.hot_count -= 1;
            self.rows.clear(object);
            self.dense.take(object);
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
        if self.dense.put(object, sums, self.objects.len()) || self.put_sparse(object, sums) {
            self.hot[object as usize / 64] |= 1 << (object % 64);
            self.hot_count += 1;
        }
    }

    /// Weights between a subject and some objects have changed, one after the other, beside these shown edges of the subject:
    /// notes what is added to which sums. They lie all over memory; the processor is asked for them now, and they are
    /// added to when there are many such, with [`Pairs::settle`] at the latest.
    #[inline]
    pub(super) fn shift(&mut self, shifts: &[&Shift], layout: EdgeLayout, heads: &[u32]) {
        if self.hot_count > 0 {
            self.keep_hot(layout, heads);
            let noted = shifts.iter().all(|shift| self.note_each(shift) && self.note_all(shift, layout, heads));
            if !noted {
                self.widen();
            } else if self.noted.len() >= NOTED_MAX {
                self.settle();
            }
        }
    }

    /// Adds what was noted. Must come before anybody reads.
    pub(super) fn settle(&mut self) {
        let mut noted = std::mem::take(&mut self.noted);
        if !noted.iter().all(|note| self.add(note)) {
            self.widen();
        }
        noted.clear();
        self.noted = noted;
    }

    /// Notes what the edges to hot objects have to do with one that has changed. False where that does not fit.
    fn note_each(&mut self, shift: &Shift) -> bool {
        let (object, delta) = (shift.object, shift.after.wrapping_sub(shift.before));
        for &(row, weight) in self.others[..self.kept].iter().filter(|(other, _)| *other != object) {
            let Some(value) = delta.checked_mul(weight) else { return false };
            match self.dense.number(row) {
                Some(number) => self.dense.prefetch(number, object),
                None => self.rows.prefetch(row),
            }
            self.noted.push(Note { row, object, value });
        }
        true
    }

    /// Notes what an edge that has changed, if it is to a hot object, has to do with these. False where that does not fit.
    fn note_all(&mut self, shift: &Shift, layout: EdgeLayout, heads: &[u32]) -> bool {
        let (row, delta, mut fits) = (shift.object, shift.after.wrapping_sub(shift.before), true);
        if self.is_hot(row) {
            let number = self.dense.number(row);
            layout.each(heads, |object, weight| {
                if object != row {
                    let value = delta.checked_mul(weight);
                    fits &= value.is_some();
                    number.inspect(|&number| self.dense.prefetch(number, object));
                    self.noted.push(Note { row, object, value: value.unwrap_or(0) });
                }
            });
        }
        fits
    }

    /// Adds to a sum in a row. False, with the row in disorder, where it does not fit.
    #[inline]
    fn add(&mut self, &Note { row, object, value }: &Note) -> bool {
        match self.dense.number(row) {
            Some(number) => self.dense.add(number, object, value) || self.thin(row, object, value),
            None => {
                self.rows.admit(object);
                self.rows.add(row, object, value)
            }
        }
    }

    /// Adds to a row whose sums have become too large for a dense one.
    #[cold]
    fn thin(&mut self, row: u32, object: u32, value: i64) -> bool {
        let sums = self.dense.take(row);
        self.put_sparse(row, &sums) && self.add(&Note { row, object, value })
    }

    /// Gives an object a row that names others one by one. False where that is not worth it.
    fn put_sparse(&mut self, object: u32, sums: &[(u32, i64)]) -> bool {
        // Where all rows are dense, or none are kept, there is no table of the others.
        self.rows.admit(sums.iter().map(|(other, _)| *other).fold(object, u32::max));
        let fits = self.rows.fits(sums);
        if fits {
            self.rows.write(object, sums);
        }
        fits
    }

    /// Notes the edges to hot objects. Most are none, and which ones cannot be guessed: so there is no branch for it.
    fn keep_hot(&mut self, layout: EdgeLayout, heads: &[u32]) {
        let count = layout.count(heads.len());
        if self.others.len() < count {
            self.others.resize(count.next_power_of_two(), (0, 0));
        }
        let (others, hot, mut kept) = (&mut self.others[..], &self.hot[..], 0);
        layout.each(heads, |object, weight| {
            others[kept] = (object, weight);
            kept += (hot[object as usize / 64] >> (object % 64) & 1) as usize;
        });
        self.kept = kept;
    }

    /// Gives the entries of a hot object's row; of one other object there may be several.
    #[inline]
    pub(super) fn each(&self, object: u32, mut give: impl FnMut(u32, i64)) {
        match self.dense.number(object) {
            Some(number) => self.dense.each(number, give),
            None => self.rows.entries(object).for_each(|(other, sum)| give(other, sum)),
        }
    }

    /// Gives the sums of an object's row, each once. False, with none given, where it has no row that holds them so.
    #[inline]
    pub(super) fn each_once(&self, object: u32, give: impl FnMut(u32, i64)) -> bool {
        let number = self.dense.number(object);
        number.inspect(|number| self.dense.each(*number, give)).is_some()
    }

    /// How many steps it takes to add up the sums of an object, from its row or by way of its subjects.
    pub(super) fn steps(&self, object: u32) -> usize {
        match (self.is_hot(object), self.dense.number(object)) {
            (true, Some(_)) => self.objects.len(),
            (true, None) => self.rows.len(object),
            (false, _) => self.objects.get(object as usize).map_or(0, |work| *work as usize),
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
        self.rows.bytes() + self.dense.bytes() + self.objects.bytes() + self.hot.capacity() * size_of::<u64>()
    }

    #[cold]
    fn widen(&mut self) {
        self.is_wide = true;
        self.hot.fill(0);
        self.hot_count = 0;
        self.waiting.clear();
        self.noted.clear();
        self.rows = PairRows::default();
        self.dense = DenseRows::default();
    }
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
                pairs.each(1, |other, value| sum += if other == 2 { value } else { 0 });
                sum
            };
            pairs.add_work(objects, 1);
            pairs.add_work(1, 8);
            assert_eq!(pairs.next_waiting(), Some(1));
            pairs.promote(1, &[(2, 10)]);
            assert_eq!(pairs.dense.number(1).is_some(), objects == 3, "rows of both kinds");
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
}
