//! Pair sums of hot objects: for every object that shares subjects with a hot one, the sum over the subjects of the
//! products of both weights.
//!
//! Most objects are gathered when they are asked for, by way of their subjects' edges. Where that would be much work, the
//! object is *hot*: it has a row of sums which every change of its subjects' edges is added to. Which objects are hot
//! moves work between writing and reading; it never changes an answer.

use crate::rows::PairRows;

/// An object whose work falls below this part of the threshold is no longer hot.
const COLD_BELOW_ONE_IN: u64 = 4;

#[derive(Debug)]
pub(super) struct Pairs {
    /// An object that takes more work to gather is hot.
    hot_work: u64,
    objects: Vec<u64>,
    /// One bit for each object, few enough to stay in the cache while edges are walked.
    hot: Vec<u64>,
    rows: PairRows,
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
            rows: PairRows::default(),
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
            self.rows.write(object, &[]);
        }
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
        if self.rows.fits(sums) {
            self.rows.write(object, sums);
            self.hot[object as usize / 64] |= 1 << (object % 64);
        }
    }

    /// The weight between a subject and an object has changed by `delta`, beside these shown edges of the subject to
    /// other objects.
    pub(super) fn shift(&mut self, object: u32, delta: i64, edges: impl Iterator<Item = (u32, i64)>) {
        if self.is_wide {
            return;
        }
        let mut others = std::mem::take(&mut self.others);
        others.clear();
        if self.is_hot(object) {
            others.extend(edges);
            if !self.rows.add_all(object, &others, delta) {
                self.widen();
            }
            others.retain(|&(other, _)| self.is_hot(other));
        } else {
            others.extend(edges.filter(|&(other, _)| self.is_hot(other)));
        }
        if !self.rows.add_each(&others, object, delta) {
            self.widen();
        }
        self.others = others;
    }

    /// The entries of a hot object's row; of one other object there may be several.
    pub(super) fn row(&self, object: u32) -> impl Iterator<Item = (u32, i64)> {
        self.rows.entries(object)
    }

    /// How many objects are hot.
    pub(super) fn hot_count(&self) -> u64 {
        self.hot.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + (self.objects.capacity() + self.hot.capacity()) * size_of::<u64>()
    }

    #[cold]
    fn widen(&mut self) {
        self.is_wide = true;
        self.hot.fill(0);
        self.waiting.clear();
        self.rows = PairRows::default();
    }
}
