//! For each object the subjects that have edges to it: what a hop in reverse begins with.
//!
//! A list is not searched when a subject leaves it. The pair is noted as gone instead, and a list of which more than a
//! quarter is gone is swept. A subject that comes back in the meantime is only taken off the note.

use crate::slab::{Array, Slab, prefetch};
use crate::table::Table;
use hashbrown::HashSet;

/// Sweeping costs a constant for each subject that leaves, and what is gone is at most a quarter of a list.
const GONE_MAX_ONE_IN: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Inverted {
    lists: Table<List>,
    slab: Slab,
    gone: HashSet<(u32, u32)>,
    /// A bit for each subject that ever left a list: of most nothing can be noted.
    leavers: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    subjects: Array,
    gone: u32,
}

impl Inverted {
    /// A subject has its first edge to an object.
    pub(super) fn add(&mut self, object: u32, subject: u32) {
        let list = self.lists.at(object as usize);
        if list.gone > 0 && has_left(&self.leavers, subject) && self.gone.remove(&(object, subject)) {
            list.gone -= 1;
            return;
        }
        let count = list.subjects.len();
        self.slab.grow(&mut list.subjects, count + 1);
        self.slab.push(&mut list.subjects, subject);
    }

    /// A subject has lost its last edge to an object.
    pub(super) fn remove(&mut self, object: u32, subject: u32) {
        if subject as usize / 64 >= self.leavers.len() {
            self.leavers.resize(subject as usize / 64 + 1, 0);
        }
        self.leavers[subject as usize / 64] |= 1 << (subject % 64);
        let list = self.lists.at(object as usize);
        let is_new = self.gone.insert((object, subject));
        debug_assert!(is_new, "a subject leaves a list once");
        list.gone += 1;
        if list.gone as usize * GONE_MAX_ONE_IN > list.subjects.len() {
            self.sweep(object);
        }
    }

    /// Subjects that have edges to an object, and some that had.
    pub(super) fn candidates(&self, object: u32) -> &[u32] {
        self.lists.get(object as usize).map_or(&[], |list| self.slab.words(&list.subjects))
    }

    /// How many subjects have edges to an object.
    pub(super) fn len(&self, object: u32) -> usize {
        self.lists.get(object as usize).map_or(0, |list| list.subjects.len() - list.gone as usize)
    }

    /// All ids of objects that ever had a list are below this.
    pub(super) fn ids(&self) -> usize {
        self.lists.len()
    }

    /// The objects that some subject has edges to, ascending.
    pub(super) fn objects(&self) -> impl Iterator<Item = u32> {
        (0..self.lists.len() as u32).filter(|&object| self.len(object) > 0)
    }

    /// Asks the processor to load what leads to the end of an object's list.
    #[inline]
    pub(super) fn prefetch_head(&self, object: u32) {
        if let Some(list) = self.lists.get(object as usize) {
            prefetch(list);
        }
    }

    /// Asks the processor to load the end of an object's list; best some time after [`Inverted::prefetch_head`].
    #[inline]
    pub(super) fn prefetch_end(&self, object: u32) {
        if let Some(list) = self.lists.get(object as usize) {
            self.slab.prefetch_end(&list.subjects);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let leavers = self.leavers.capacity() * size_of::<u64>();
        self.slab.bytes() + self.lists.bytes() + self.gone.allocation_size() + leavers
    }

    #[cold]
    fn sweep(&mut self, object: u32) {
        let list = self.lists.at(object as usize);
        let subjects = self.slab.words_mut(&list.subjects);
        let mut kept = 0;
        for index in 0..subjects.len() {
            let subject = subjects[index];
            if !has_left(&self.leavers, subject) || !self.gone.remove(&(object, subject)) {
                subjects[kept] = subject;
                kept += 1;
            }
        }
        list.gone = 0;
        match kept {
            0 => self.slab.free(&mut list.subjects),
            kept => self.slab.truncate(&mut list.subjects, kept),
        }
    }
}

/// Whether a subject ever left a list.
#[inline]
fn has_left(leavers: &[u64], subject: u32) -> bool {
    leavers.get(subject as usize / 64).is_some_and(|word| word >> (subject % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    #[test]
    fn lists_hold_who_is_there_and_few_more() {
        for seed in 0..8 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut inverted, mut sets) = (Inverted::default(), vec![BTreeSet::new(); 5]);
            for _ in 0..5_000 {
                let (object, subject) = (rng.random_range(0..5), rng.random_range(0..100_u32));
                let set: &mut BTreeSet<u32> = &mut sets[object as usize];
                if set.remove(&subject) {
                    inverted.remove(object, subject);
                } else {
                    set.insert(subject);
                    inverted.add(object, subject);
                }
                let candidates: BTreeSet<u32> = inverted.candidates(object).iter().copied().collect();
                assert_eq!(candidates.len(), inverted.candidates(object).len(), "nobody stands there twice");
                assert!(candidates.is_superset(&sets[object as usize]), "seed {seed}");
                assert_eq!(inverted.len(object), sets[object as usize].len());
                assert!(candidates.len() * 3 <= sets[object as usize].len() * 4, "a quarter is gone at the most");
            }
            for (object, set) in (0..).zip(sets) {
                set.into_iter().for_each(|subject| inverted.remove(object, subject));
            }
            assert_eq!((inverted.objects().count(), inverted.gone.len()), (0, 0));
        }
    }
}
