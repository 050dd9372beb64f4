//! Pair sums of hot objects: for every object that shares subjects with a hot one, the sum over the subjects of the
//! products of both weights.
//!
//! Most objects are gathered when they are asked for, by way of their subjects' edges. Where that would be much work, the
//! object is *hot*: it has a row of sums which every change of its subjects' edges is added to. Which objects are hot
//! moves work between writing and reading; it never changes an answer.

use super::dense::DenseRows;
use super::edges::EdgeLayout;
use super::follow::Shift;
use crate::rows::PairRows;
use crate::slab::prefetch;

/// An object whose work falls below this part of the threshold is no longer hot.
const COLD_BELOW_ONE_IN: u64 = 4;

#[derive(Debug)]
pub(super) struct Pairs {
    /// An object that takes more work to gather is hot.
    hot_work: u64,
    objects: Vec<u64>,
    /// One bit for each object, few enough to stay in the cache while edges are walked.
    hot: Vec<u64>,
    hot_count: u64,
    rows: PairRows,
    /// The rows of those that are paired with much of the catalogue.
    dense: DenseRows,
    /// Objects that are to become hot.
    waiting: Vec<u32>,
    /// The shown edges beside one that changes, while it is followed: object and weight.
    others: Vec<(u32, i64)>,
    /// Sums are too large for rows: every object stays cold.
    is_wide: bool,
}

impl Pairs {
    pub(super) fn new(hot_work: u64) -> Self {
        Self {
            hot_work,
            objects: Vec::new(),
            hot: Vec::new(),
            hot_count: 0,
            rows: PairRows::default(),
            dense: DenseRows::default(),
            waiting: Vec::new(),
            others: Vec::new(),
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
            self.objects.resize(object as usize + 1, 0);
            self.hot.resize(object as usize / 64 + 1, 0);
            self.rows.admit(object);
        }
        let total = &mut self.objects[object as usize];
        *total += work;
        if *total > self.hot_work && *total - work <= self.hot_work && !self.is_wide && !self.is_hot(object) {
            self.waiting.push(object);
        }
    }

    /// Gathering an object has become less work.
    pub(super) fn take_work(&mut self, object: u32, work: u64) {
        let total = &mut self.objects[object as usize];
        *total -= work;
        if *total < self.hot_work / COLD_BELOW_ONE_IN && self.is_hot(object) {
            self.hot[object as usize / 64] &= !(1 << (object % 64));
            self.hot_count -= 1;
            self.rows.write(object, &[]);
            self.dense.take(object);
        }
    }

    /// How much work gathering an object is.
    pub(super) fn work(&self, object: u32) -> u64 {
        self.objects.get(object as usize).copied().unwrap_or_default()
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

    /// Weights between a subject and some objects have changed, one after the other, beside these shown edges of the
    /// subject.
    #[inline]
    pub(super) fn shift(&mut self, shifts: &[&Shift], layout: EdgeLayout, edges: &[u32]) {
        if self.hot_count > 0 {
            self.shift_hot(shifts, layout, edges);
        }
    }

    fn shift_hot(&mut self, shifts: &[&Shift], layout: EdgeLayout, edges: &[u32]) {
        let mut others = std::mem::take(&mut self.others);
        let kept = self.keep_hot(layout, edges, &mut others);
        for shift in shifts {
            let delta = shift.after.wrapping_sub(shift.before);
            if !self.add_each(&others[..kept], shift.object, delta) || !self.add_all(shift.object, layout, edges, delta)
            {
                self.widen();
                break;
            }
        }
        self.others = others;
    }

    /// Adds to the rows of hot objects what their edges have to do with that to `object`, changed by `delta`. The rows lie
    /// all over memory and are asked for some ahead.
    fn add_each(&mut self, others: &[(u32, i64)], object: u32, delta: i64) -> bool {
        const AHEAD: usize = 8;
        others.iter().enumerate().all(|(index, &(other, weight))| {
            if let Some(&(ahead, _)) = others.get(index + AHEAD) {
                self.dense.prefetch(ahead, object);
                self.rows.prefetch(ahead);
            }
            other == object || self.add(other, object, delta, weight)
        })
    }

    /// Adds to the row of `object`, if it has one, what its edge, changed by `delta`, has to do with these.
    fn add_all(&mut self, object: u32, layout: EdgeLayout, edges: &[u32], delta: i64) -> bool {
        let mut fits = true;
        if self.is_hot(object) {
            layout.each(edges, |other, weight| fits &= other == object || self.add(object, other, delta, weight));
        }
        fits
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

    /// Puts the edges to hot objects first among `others` and says how many there are. Most are none, and which ones cannot
    /// be guessed: so there is no branch for it.
    fn keep_hot(&self, layout: EdgeLayout, edges: &[u32], others: &mut Vec<(u32, i64)>) -> usize {
        let count = layout.count(edges.len());
        if others.len() < count {
            others.resize(count.next_power_of_two(), (0, 0));
        }
        let mut kept = 0;
        layout.each(edges, |object, weight| {
            others[kept] = (object, weight);
            kept += (self.hot[object as usize / 64] >> (object % 64) & 1) as usize;
        });
        kept
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

    /// How many other objects a hot object's row may name.
    pub(super) fn row_len(&self, object: u32) -> usize {
        if self.dense.number(object).is_some() { self.objects.len() } else { self.rows.len(object) }
    }

    /// How many objects are hot.
    pub(super) fn hot_count(&self) -> u64 {
        self.hot_count
    }

    /// Asks the processor to load what is known of an object.
    #[inline]
    pub(super) fn prefetch(&self, object: u32) {
        if let Some(work) = self.objects.get(object as usize) {
            prefetch(work);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.dense.bytes() + (self.objects.capacity() + self.hot.capacity()) * size_of::<u64>()
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
