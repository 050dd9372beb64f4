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
/// Sums that are asked for before the first of them is added to.
const AHEAD: usize = 32;

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
            rows: PairRows::default(),
            dense: DenseRows::default(),
            waiting: Vec::new(),
            others: Vec::new(),
            kept: 0,
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
    pub(super) fn add_work(&mut self, object: u32, work: u64) {
        if object as usize >= self.objects.len() {
            self.hot.resize(object as usize / 64 + 1, 0);
            self.rows.admit(object);
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
            self.hot[object as usize / 64] &= !(1 << (object % 64));
            self.hot_count -= 1;
            self.rows.write(object, &[]);
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

    /// Weights between a subject and some objects are about to change, beside these shown edges of the subject: asks the
    /// processor for the sums that follow. They lie all over memory.
    #[inline]
    pub(super) fn prepare(&mut self, shifts: &[&Shift], layout: EdgeLayout, heads: &[u32]) {
        if self.hot_count > 0 {
            self.keep_hot(layout, heads);
            for shift in shifts {
                let others = &self.others[..self.kept.min(AHEAD)];
                others.iter().for_each(|&(other, _)| self.prefetch_sum(other, shift.object));
                if let Some(number) = self.dense.number(shift.object) {
                    layout.each(heads, |other, _| self.dense.prefetch(number, other));
                }
            }
        }
    }

    /// They have changed, one after the other.
    #[inline]
    pub(super) fn shift(&mut self, shifts: &[&Shift], layout: EdgeLayout, heads: &[u32]) {
        if self.hot_count > 0 {
            self.shift_hot(shifts, layout, heads);
        }
    }

    fn shift_hot(&mut self, shifts: &[&Shift], layout: EdgeLayout, heads: &[u32]) {
        let others = std::mem::take(&mut self.others);
        for shift in shifts {
            let delta = shift.after.wrapping_sub(shift.before);
            let others = &others[..self.kept];
            if !self.add_each(others, shift.object, delta) || !self.add_all(shift.object, layout, heads, delta) {
                self.widen();
                break;
            }
        }
        self.others = others;
    }

    /// Adds to the rows of hot objects what their edges have to do with that to `object`, changed by `delta`.
    fn add_each(&mut self, others: &[(u32, i64)], object: u32, delta: i64) -> bool {
        others.iter().enumerate().all(|(index, &(other, weight))| {
            if let Some(&(ahead, _)) = others.get(index + AHEAD) {
                self.prefetch_sum(ahead, object);
            }
            other == object || self.add(other, object, delta, weight)
        })
    }

    /// Adds to the row of `object`, if it has one, what its edge, changed by `delta`, has to do with these.
    fn add_all(&mut self, object: u32, layout: EdgeLayout, heads: &[u32], delta: i64) -> bool {
        let mut fits = true;
        if self.is_hot(object) {
            layout.each(heads, |other, weight| fits &= other == object || self.add(object, other, delta, weight));
        }
        fits
    }

    /// Asks the processor to load what holds the sum of `object` in a row.
    #[inline]
    fn prefetch_sum(&self, row: u32, object: u32) {
        match self.dense.number(row) {
            Some(number) => self.dense.prefetch(number, object),
            None => self.rows.prefetch(row),
        }
    }

    /// Adds to the sum of `object` in a row. False, with the row in disorder, where it does not fit.
    #[inline]
    fn add(&mut self, row: u32, object: u32, delta: i64, weight: i64) -> bool {
        let Some(value) = delta.checked_mul(weight) else { return false };
        match self.dense.number(row) {
            Some(number) => self.dense.add(number, object, value) || self.thin(row, object, value),
            None => self.rows.add(row, object, value),
        }
    }

    /// Adds to a row whose sums have become too large for a dense one.
    #[cold]
    fn thin(&mut self, row: u32, object: u32, value: i64) -> bool {
        let sums = self.dense.take(row);
        self.put_sparse(row, &sums) && self.rows.add(row, object, value)
    }

    /// Gives an object a row that names others one by one. False where that is not worth it.
    fn put_sparse(&mut self, object: u32, sums: &[(u32, i64)]) -> bool {
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
        self.rows = PairRows::default();
        self.dense = DenseRows::default();
    }
}
