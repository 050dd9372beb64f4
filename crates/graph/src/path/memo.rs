//! Lists of named paths, kept for later questions: what many questions lead over is not evaluated for each of them.
//!
//! A list is given again as long as the graph has not changed. Who can wait for a change may be given a list that is a
//! little older, but never one from before an object was forgotten. Where lists that change all the time would take too
//! much of the time to make, they are made anew one after the other, and given up to a bound meanwhile.

use super::kept::KeptList;
use super::scratch::Reached;
use super::spec::{Path, Step};
use crate::graph::{ObjectId, Version};
use hashbrown::HashTable;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Parts, each with a lock: so many threads that ask hardly meet.
const PARTS: usize = 16;

/// How many objects the lists of a part hold at the most: over all parts some 50 MiB.
const REACHED: usize = 256 << 10;

/// A list that takes less time than this is not kept: to find it would take a part of that. In microseconds, as all
/// times here.
const WORTH_US: u64 = 4;

/// Of the time that passes, making lists anew that could be given takes one in so many parts …
const SHARE: u64 = 4;
/// … unless they would be older than this …
const OLDEST_US: u64 = 800_000;
/// … or take less time than this: what leads from who asks is such a list, and those are many.
const CHEAP_US: u64 = 50;

/// Tells the time in microseconds, from any beginning; it does not go back.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A clock that begins now.
#[must_use]
pub fn clock() -> Clock {
    let begin = Instant::now();
    Arc::new(move || u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// The lists of named paths. Shared by all that ask paths of one job over one graph.
pub struct Memo {
    parts: [RwLock<Part>; PARTS],
    clock: Clock,
    /// When the next list is made anew that could be given.
    next_us: AtomicU64,
    /// A version of the graph, and when somebody met it first.
    met: RwLock<Option<(Version, u64)>>,
}

/// A memo, for somebody who can wait for changes.
#[derive(Clone)]
pub struct Keeping {
    memo: Arc<Memo>,
    patience_us: u64,
}

/// What a list is kept by: the path's number, where it begins, and how many objects it was cut to.
pub(super) type Key = (u32, ObjectId, usize);

/// Lists in two halves: when the young half is full it becomes the old one, whose lists are forgotten unless they were
/// asked for since.
#[derive(Debug, Default)]
struct Part {
    young: Lists,
    old: Lists,
}

#[derive(Debug, Default)]
struct Lists {
    /// By path, beginning and number.
    kept: HashTable<(Key, Kept)>,
    reached: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    list: KeptList,
    /// Of the graph before the list was made, and when it was so.
    version: Version,
    since_us: u64,
    took_us: u64,
}

impl Keeping {
    /// With lists as the graph is, at every moment.
    #[must_use]
    pub fn exact(memo: Arc<Memo>) -> Self {
        Self { memo, patience_us: 0 }
    }

    /// With lists that may be as old as this, in microseconds; and up to 0.8 s while making such lists anew takes a
    /// quarter of the time that passes.
    #[must_use]
    pub fn patient(memo: Arc<Memo>, patience_us: u64) -> Self {
        Self { memo, patience_us }
    }

    /// Whether the graph has had this version, which it has now, for so long that no list is older.
    #[must_use]
    pub fn is_at_rest(&self, version: Version) -> bool {
        let met = *self.memo.met.read();
        match met.filter(|(met, _)| *met == version) {
            Some((_, since_us)) => self.now_us().saturating_sub(since_us) > OLDEST_US.max(self.patience_us),
            None => {
                *self.memo.met.write() = Some((version, self.now_us()));
                false
            }
        }
    }

    /// The time, by which a list is begun to be made.
    pub(super) fn now_us(&self) -> u64 {
        (self.memo.clock)()
    }

    /// The list of a path, if there is one that is good enough while the graph has this version.
    pub(super) fn get(&self, key: Key, version: Version) -> Option<KeptList> {
        let (hash, part) = (hash(key), self.memo.part(key));
        let lists = part.read();
        let (kept, is_old) = lists.find(hash, key)?;
        if kept.version != version && !self.accepts(kept, version) {
            return None;
        }
        let list = kept.list.clone();
        if is_old {
            let kept = kept.clone();
            drop(lists);
            part.write().keep(hash, key, kept);
        }
        Some(list)
    }

    fn accepts(&self, kept: &Kept, version: Version) -> bool {
        if self.patience_us == 0 || kept.version.forgotten != version.forgotten {
            return false;
        }
        let now_us = self.now_us();
        match now_us.saturating_sub(kept.since_us) {
            age_us if age_us <= self.patience_us => true,
            age_us if age_us > OLDEST_US => {
                self.memo.spend(now_us, kept.took_us);
                false
            }
            _ if kept.took_us < CHEAP_US => false,
            _ => !self.memo.takes_turn(now_us, kept.took_us),
        }
    }

    /// Keeps the list of a path that was begun to be made at a time, in an evaluation that began when the graph had this
    /// version, if that is worth it.
    pub(super) fn put(&self, key: Key, (version, since_us): (Version, u64), begin_us: u64, list: &[Reached]) {
        let took_us = self.now_us().saturating_sub(begin_us);
        if took_us >= WORTH_US {
            let kept = Kept { list: KeptList::of(list), version, since_us, took_us };
            self.memo.part(key).write().keep(hash(key), key, kept);
        }
    }
}

impl Memo {
    /// Without any list, with a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { parts: Default::default(), clock, next_us: AtomicU64::new(0), met: RwLock::default() }
    }

    /// Whether a list that takes so long can be made anew now. If so, the next one has to wait.
    fn takes_turn(&self, now_us: u64, took_us: u64) -> bool {
        let next_us = self.next_us.load(Relaxed);
        let after_us = now_us + took_us * SHARE;
        next_us <= now_us && self.next_us.compare_exchange(next_us, after_us, Relaxed, Relaxed).is_ok()
    }

    /// Counts a list that is made anew whether it is its turn or not: where these take all the time there is, only what has
    /// become too old is made anew.
    fn spend(&self, now_us: u64, took_us: u64) {
        let after_us = self.next_us.load(Relaxed).max(now_us) + took_us * SHARE;
        // Of two that are counted at the same moment one may be left out.
        self.next_us.store(after_us.min(now_us + OLDEST_US), Relaxed);
    }

    fn part(&self, (path, start, _): Key) -> &RwLock<Part> {
        // Ids end with their key groups, which hashes chose; what begins at the same object differs by its path.
        &self.parts[(start.0 as usize + path as usize) % PARTS]
    }
}

impl Part {
    /// A list, and whether it is in the old half.
    fn find(&self, hash: u64, key: Key) -> Option<(&Kept, bool)> {
        let young = self.young.get(hash, key).map(|kept| (kept, false));
        young.or_else(|| Some((self.old.get(hash, key)?, true)))
    }

    fn keep(&mut self, hash: u64, key: Key, kept: Kept) {
        if self.young.reached + kept.list.entries().len() > REACHED / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.keep(hash, key, kept);
    }
}

impl Lists {
    fn get(&self, hash: u64, key: Key) -> Option<&Kept> {
        self.kept.find(hash, |(known, _)| *known == key).map(|(_, kept)| kept)
    }

    fn keep(&mut self, hash_of: u64, key: Key, kept: Kept) {
        // An empty list is not for nothing either.
        self.reached += kept.list.entries().len() + 1;
        match self.kept.find_mut(hash_of, |(known, _)| *known == key) {
            Some((_, before)) => {
                self.reached -= before.list.entries().len() + 1;
                *before = kept;
            }
            None => _ = self.kept.insert_unique(hash_of, (key, kept), |(known, _)| hash(*known)),
        }
    }
}

fn hash((path, start, n): Key) -> u64 {
    let mixed = (u64::from(path) << 32 ^ u64::from(start.0) ^ (n as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

impl Path {
    /// What the list of the first `n` is kept by. Of a jump it must be the whole list: what it leads to from one who asks
    /// is hardly asked for again before it changes.
    pub(super) fn kept_by(&self, start: ObjectId, n: usize) -> Option<Key> {
        let path = self.number?;
        let is_whole = n == usize::MAX || self.shape.top.is_some_and(|top| top <= n);
        match self.step {
            _ if is_whole => Some((path, start, usize::MAX)),
            Step::Hop(_) => Some((path, start, n)),
            Step::Jump(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NO_TIME;

    const V: Version = Version { changes: 3, forgotten: 1 };

    fn list(objects: u32) -> Vec<Reached> {
        let reached = |object| Reached { object: ObjectId(object), time_us: NO_TIME, score: 1.0 };
        (0..objects).map(reached).collect()
    }

    /// A memo at a time that is set.
    fn memo() -> (Arc<Memo>, Arc<AtomicU64>) {
        let time_us = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&time_us);
        (Arc::new(Memo::new(Arc::new(move || clock.load(Relaxed)))), time_us)
    }

    #[test]
    fn a_list_is_there_until_the_graph_changes() {
        let keeping = Keeping::exact(memo().0);
        let key = (7, ObjectId(7), 10);
        keeping.put(key, (V, 0), 0, &list(5));
        let mut found = Vec::new();
        keeping.get(key, V).unwrap().entries().each(|reached| found.push(reached));
        assert_eq!(found, list(5));
        for other in [(8, ObjectId(7), 10), (7, ObjectId(8), 10), (7, ObjectId(7), 11)] {
            assert!(keeping.get(other, V).is_none());
        }
        assert!(keeping.get(key, Version { changes: 4, ..V }).is_none(), "the graph has changed");
    }

    #[test]
    fn who_can_wait_is_given_what_was_but_nothing_of_who_is_forgotten() {
        let (memo, time_us) = memo();
        let patient = Keeping::patient(Arc::clone(&memo), 5_000);
        let (key, later) = ((7, ObjectId(7), 10), Version { changes: 4, ..V });
        patient.put(key, (V, 1_000), 900, &list(5));
        time_us.store(6_000, Relaxed);
        assert!(patient.get(key, later).is_some());
        assert!(patient.get(key, Version { forgotten: 2, ..V }).is_none());
        assert!(Keeping::exact(memo).get(key, later).is_none());
        time_us.store(6_001, Relaxed);
        assert!(patient.get(key, later).is_none());
        assert!(patient.get(key, V).is_some(), "nothing has changed");
    }

    #[test]
    fn lists_that_take_long_are_made_anew_by_turns() {
        let (memo, time_us) = memo();
        let patient = Keeping::patient(memo, 5_000);
        let lists = [1, 2, 3].map(|path| (path, ObjectId(7), 10));
        let later = Version { changes: 4, ..V };
        time_us.store(1_000_000, Relaxed);
        for (key, took_us) in lists.into_iter().zip([1_000, 1_000, CHEAP_US - 1]) {
            patient.put(key, (V, 1_000_000), 1_000_000 - took_us, &list(5));
        }
        for (age_us, there) in [
            (5_000, [true, true, true]),
            // The first that is asked for is made anew, and the next one when that has taken a quarter of the time.
            (5_001, [false, true, false]),
            (9_000, [true, true, false]),
            (9_001, [false, true, false]),
            (OLDEST_US + 1, [false, false, false]),
        ] {
            time_us.store(1_000_000 + age_us, Relaxed);
            assert_eq!(lists.map(|key| patient.get(key, later).is_some()), there, "{age_us}");
        }
    }

    #[test]
    fn what_has_become_too_old_takes_the_turns_of_others() {
        let (memo, time_us) = memo();
        let patient = Keeping::patient(memo, 5_000);
        let (old, young, later) = ((1, ObjectId(7), 10), (2, ObjectId(7), 10), Version { changes: 4, ..V });
        for (key, since_us) in [(old, 0), (young, OLDEST_US)] {
            time_us.store(since_us + 1_000, Relaxed);
            patient.put(key, (V, since_us), since_us, &list(5));
        }
        time_us.store(OLDEST_US + 5_000, Relaxed);
        assert!(patient.get(young, later).is_some(), "it is not even stale");
        time_us.store(OLDEST_US + 5_001, Relaxed);
        assert!(patient.get(old, later).is_none() && patient.get(young, later).is_some(), "its turn is taken");
        time_us.store(OLDEST_US + 9_001, Relaxed);
        assert!(patient.get(young, later).is_none(), "and comes");
    }

    #[test]
    fn a_graph_is_at_rest_when_no_list_may_be_older() {
        let (memo, time_us) = memo();
        let patient = Keeping::patient(memo, 5_000);
        let later = Version { changes: 4, ..V };
        for (at_us, version, is_at_rest) in [
            (1_000, V, false),
            (1_000 + OLDEST_US, V, false),
            (1_001 + OLDEST_US, V, true),
            (1_002 + OLDEST_US, later, false),
            (1_002 + 2 * OLDEST_US, later, false),
            (1_003 + 2 * OLDEST_US, later, true),
        ] {
            time_us.store(at_us, Relaxed);
            assert_eq!(patient.is_at_rest(version), is_at_rest, "{at_us}");
        }
    }

    #[test]
    fn a_list_that_is_made_at_once_is_not_kept() {
        let keeping = Keeping::exact(memo().0);
        let key = (7, ObjectId(7), 10);
        keeping.put(key, (V, 0), 1_001 - WORTH_US, &list(5));
        assert!(keeping.get(key, V).is_none());
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_makes_room() {
        let keeping = Keeping::exact(memo().0);
        let key = |start| (7, ObjectId(start), 10);
        keeping.put(key(0), (V, 0), 0, &list(100));
        for start in 1..400_000 {
            keeping.put(key(start), (V, 0), 0, &list(20));
            assert!(start % 100 > 0 || keeping.get(key(0), V).is_some(), "it was forgotten before {start}");
        }
        assert!(keeping.get(key(1), V).is_none());
        for part in &keeping.memo.parts {
            let held = part.read();
            assert!(held.young.reached + held.old.reached <= REACHED + 200, "it takes too much");
        }
    }
}
