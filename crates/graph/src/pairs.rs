//! Pair counts of all objects: hot ones have a row, cold ones are gathered when asked for.
//!
//! Most objects are in few logs. What they share with others is found quickly by walking those logs, so nothing is
//! kept for them but a list of their subjects, four bytes for each. Only an object that is in many logs has a row of
//! counts ([`PairRows`]), into which every event of its subjects is counted. From how many subjects on an object is
//! hot moves work between counting and reading; it never changes an answer.

use crate::logs::Logs;
use crate::rows::PairRows;
use crate::slab::{Array, Slab, prefetch};

/// The pair counts of all objects.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// An object that is in more logs than this is hot.
    hot_above: u32,
    objects: Vec<Object>,
    /// Subjects of cold objects.
    subjects: Slab,
    rows: PairRows,
    touched: Touched,
    gather: Gather,
    /// The hot ones of a history, while it is walked.
    hot: Vec<u32>,
    /// The row that was read last.
    row: Vec<(u32, i64)>,
}

/// What is known of one object, besides its row.
#[derive(Clone, Copy, Debug, Default)]
struct Object {
    /// The subjects whose logs it is in, while it is cold.
    subjects: Array,
    /// Whether it has a row. It keeps that for good.
    hot: bool,
}

impl Pairs {
    /// No pairs yet.
    pub(crate) fn new(hot_above: u32) -> Self {
        Self {
            hot_above,
            objects: Vec::new(),
            subjects: Slab::default(),
            rows: PairRows::default(),
            touched: Touched::default(),
            gather: Gather::default(),
            hot: Vec::new(),
            row: Vec::new(),
        }
    }

    /// An object came into a subject's log: a pair with every other object there.
    pub(crate) fn add(&mut self, subject: u32, object: u32, logs: &Logs) {
        self.admit(object);
        let (&newest, others) = logs.objects(subject).split_last().expect("the object is in the log");
        assert_eq!(newest, object, "what comes into a log comes to its end");
        self.count(object, others, 1);
        let entry = &mut self.objects[object as usize];
        if entry.hot {
            return;
        }
        let len = entry.subjects.len();
        self.subjects.grow(&mut entry.subjects, len + 1);
        self.subjects.push(&mut entry.subjects, subject);
        if len + 1 > self.hot_above as usize {
            self.promote(object, logs);
        }
    }

    /// An object left a subject's log; the others that are still there lose a pair each.
    pub(crate) fn remove(&mut self, subject: u32, object: u32, logs: &Logs) {
        self.count(object, logs.objects(subject), -1);
        let entry = &mut self.objects[object as usize];
        if entry.hot {
            return;
        }
        let known = self.subjects.words_mut(&entry.subjects);
        let place = known.iter().position(|&known| known == subject);
        let last = known.len() - 1;
        known.swap(place.expect("an object leaves a log only after it came"), last);
        match last {
            0 => self.subjects.free(&mut entry.subjects),
            left => self.subjects.truncate(&mut entry.subjects, left),
        }
    }

    /// The objects whose rows changed since the last call; each comes once until it is read.
    pub(crate) fn take_touched(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.touched.ids)
    }

    /// The counts of an object's row that are not zero, by id, and what it took to find them, in entries and places of
    /// logs. The row counts as untouched from here on.
    pub(crate) fn read(&mut self, object: u32, logs: &Logs) -> (&[(u32, i64)], usize) {
        self.touched.clear(object);
        let ids = self.objects.len();
        let entry = &self.objects[object as usize];
        let cost = if entry.hot {
            self.rows.read(object, &mut self.row);
            self.row.len()
        } else {
            let subjects = self.subjects.words(&entry.subjects);
            self.gather.run(object, subjects, ids, logs, &mut self.row)
        };
        (&self.row, cost)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let tables = self.objects.capacity() * size_of::<Object>() + self.gather.counts.capacity() * size_of::<u32>();
        self.subjects.bytes() + self.rows.bytes() + tables
    }

    /// Counts the pairs of an object with others in the rows of those that are hot.
    fn count(&mut self, object: u32, others: &[u32], sign: i32) {
        self.touched.set(object);
        self.hot.clear();
        for &other in others {
            self.touched.set(other);
            if self.objects[other as usize].hot {
                self.hot.push(other);
            }
        }
        self.rows.append_each(&self.hot, object, sign);
        if self.objects[object as usize].hot {
            self.rows.append_all(object, others, sign);
        }
    }

    /// Gives an object the row that its subjects' logs make.
    #[cold]
    fn promote(&mut self, object: u32, logs: &Logs) {
        let ids = self.objects.len();
        let entry = &mut self.objects[object as usize];
        let subjects = self.subjects.words(&entry.subjects);
        self.gather.run(object, subjects, ids, logs, &mut self.row);
        self.rows.write(object, &self.row);
        self.subjects.free(&mut entry.subjects);
        entry.hot = true;
    }

    fn admit(&mut self, object: u32) {
        if object as usize >= self.objects.len() {
            self.objects.resize(object as usize + 1, Object::default());
            self.touched.flags.resize(object as usize / 64 + 1, 0);
        }
        self.rows.admit(object);
    }
}

/// Objects whose rows changed.
#[derive(Debug, Default)]
struct Touched {
    /// One bit for each object, few enough to stay in the cache while a history is walked.
    flags: Vec<u64>,
    ids: Vec<u32>,
}

impl Touched {
    #[inline]
    fn set(&mut self, id: u32) {
        let (word, bit) = (&mut self.flags[id as usize / 64], 1 << (id % 64));
        if *word & bit == 0 {
            *word |= bit;
            self.ids.push(id);
        }
    }

    fn clear(&mut self, id: u32) {
        if let Some(word) = self.flags.get_mut(id as usize / 64) {
            *word &= !(1 << (id % 64));
        }
    }
}

/// Counts what a cold object shares with others, by way of its subjects' logs.
#[derive(Debug, Default)]
struct Gather {
    /// For each object the count so far; all zero between two runs.
    counts: Vec<u32>,
    found: Vec<u32>,
}

impl Gather {
    /// Fills `row`, by rising id, and gives how many places of logs it went through.
    fn run(&mut self, object: u32, subjects: &[u32], ids: usize, logs: &Logs, row: &mut Vec<(u32, i64)>) -> usize {
        const LOGS_AHEAD: usize = 4;
        let mut walked = 0;
        self.counts.resize(ids.max(self.counts.len()), 0);
        self.found.clear();
        for (index, &subject) in subjects.iter().enumerate() {
            if let Some(first) = subjects.get(index + LOGS_AHEAD).and_then(|&ahead| logs.objects(ahead).first()) {
                prefetch(first);
            }
            let log = logs.objects(subject);
            walked += log.len();
            for &other in log {
                let count = &mut self.counts[other as usize];
                if *count == 0 {
                    self.found.push(other);
                }
                *count += 1;
            }
        }
        self.sort_found();
        row.clear();
        for &other in &self.found {
            let count = std::mem::take(&mut self.counts[other as usize]);
            if other != object {
                row.push((other, i64::from(count)));
            }
        }
        walked
    }

    /// Puts what was found in order: by sorting, or where much was found by going through all counts.
    fn sort_found(&mut self) {
        const SORT_BELOW_ONE_IN: usize = 8;
        if self.found.len() < self.counts.len() / SORT_BELOW_ONE_IN {
            self.found.sort_unstable();
        } else {
            let counts = self.counts.iter().enumerate();
            self.found.clear();
            self.found.extend(counts.filter(|(_, count)| **count > 0).map(|(id, _)| id as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Effect;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::{BTreeMap, BTreeSet};

    /// Logs and pairs, changed together.
    struct Store {
        logs: Logs,
        pairs: Pairs,
    }

    impl Store {
        fn new(hot_above: u32) -> Self {
            Self { logs: Logs::default(), pairs: Pairs::new(hot_above) }
        }

        fn change(&mut self, subject: u32, object: u32, weight: i64) {
            match self.logs.add(subject, object, weight) {
                Effect::Added => self.pairs.add(subject, object, &self.logs),
                Effect::Removed => self.pairs.remove(subject, object, &self.logs),
                Effect::None => {}
            }
        }

        fn row(&mut self, object: u32) -> Vec<(u32, i64)> {
            self.pairs.read(object, &self.logs).0.to_vec()
        }
    }

    #[test]
    fn hot_and_cold_objects_count_alike() {
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut stores = [0, 1, 3, 10, u32::MAX].map(Store::new);
            let mut sets = BTreeMap::<u32, BTreeSet<u32>>::new();
            for step in 0..2_000 {
                let common = rng.random_range(2..60);
                let (subject, object) = (rng.random_range(0..30), rng.random_range(0..common));
                let set = sets.entry(subject).or_default();
                let weight = if set.remove(&object) { -1 } else { 1 };
                if weight > 0 {
                    set.insert(object);
                }
                stores.iter_mut().for_each(|store| store.change(subject, object, weight));
                if step % 50 == 0 {
                    let mut naive = BTreeMap::<u32, i64>::new();
                    let with = sets.values().filter(|set| set.contains(&object));
                    with.flatten()
                        .filter(|&&other| other != object)
                        .for_each(|&other| *naive.entry(other).or_default() += 1);
                    let naive: Vec<_> = naive.into_iter().collect();
                    for store in &mut stores {
                        assert_eq!(
                            store.row(object),
                            naive,
                            "seed {seed}, step {step}, above {}",
                            store.pairs.hot_above
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn touched_rows_are_named_once_until_read() {
        for hot_above in [0, 100] {
            let mut store = Store::new(hot_above);
            store.change(0, 2, 1);
            store.change(0, 1, 1);
            store.change(1, 2, 1);
            assert_eq!(store.pairs.take_touched(), [2, 1]);
            store.change(1, 1, 1);
            assert!(store.pairs.take_touched().is_empty());
            store.row(1);
            store.change(0, 1, -1);
            assert_eq!(store.pairs.take_touched(), [1]);
        }
    }

    #[test]
    fn a_cold_object_holds_only_its_subjects() {
        let mut store = Store::new(100);
        for subject in 0..100 {
            for object in 0..20 {
                store.change(subject, object, 1);
            }
        }
        assert!(store.pairs.objects.iter().all(|object| !object.hot));
        store.change(100, 3, 1);
        let entry = store.pairs.objects[3];
        assert!(entry.hot && entry.subjects == Array::default(), "its subjects are given back");
    }
}
