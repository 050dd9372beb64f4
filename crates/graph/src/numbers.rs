//! Numbers by the hash of what they stand for: a table that is asked in steps, so that nobody has to wait for memory.
//!
//! A slot holds a number and half of its hash, eight of them a cache line. Who looks up many things asks the processor for
//! the slots of all of them first, then for what their numbers lead to. Slots are probed one after the other; at most three
//! quarters of them are taken.

use crate::slab::prefetch;

/// No slots are fewer than this.
const SLOTS_MIN: usize = 8;

/// Numbers by hash. Different things may share a hash.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// None, or a power of two, of which one at least is free.
    slots: Vec<Slot>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Those bits of the hash that do not say where it stands.
    tag: u32,
    number: u32,
}

impl Slot {
    const FREE: Self = Self { tag: 0, number: u32::MAX };

    fn is_free(self) -> bool {
        self.number == u32::MAX
    }
}

impl Numbers {
    /// The number that stands for something, which `is_it` tells.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (mut at, tag) = (self.home(hash), tag(hash));
        loop {
            let slot = *self.slots.get(at)?;
            if slot.is_free() {
                return None;
            }
            if slot.tag == tag && is_it(slot.number) {
                return Some(slot.number);
            }
            at = self.after(at);
        }
    }

    /// Takes in a number that is not there. `hash_of` gives the hash of one that is.
    ///
    /// # Panics
    /// When the number is the largest of all.
    pub(crate) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        assert!(number < u32::MAX, "a number below 2^32 - 1");
        if (self.count + 1) * 4 > self.slots.len() * 3 {
            self.grow(hash_of);
        }
        self.put(hash, number);
        self.count += 1;
    }

    /// Takes a number out, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let mut at = self.home(hash);
        while self.slots.get(at).is_some_and(|slot| slot.number != number) {
            if self.slots[at].is_free() {
                return;
            }
            at = self.after(at);
        }
        if self.slots.is_empty() {
            return;
        }
        // Those behind move up as far as they may, so that each is found without passing a free slot.
        let mask = self.slots.len() - 1;
        let (mut hole, mut next) = (at, self.after(at));
        while !self.slots[next].is_free() {
            let home = self.home(hash_of(self.slots[next].number));
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = self.after(next);
        }
        self.slots[hole] = Slot::FREE;
        self.count -= 1;
    }

    /// Asks the processor to load the slot of a hash.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.slots.get(self.home(hash)).into_iter().for_each(prefetch);
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn put(&mut self, hash: u64, number: u32) {
        let mut at = self.home(hash);
        while !self.slots[at].is_free() {
            at = self.after(at);
        }
        self.slots[at] = Slot { tag: tag(hash), number };
    }

    #[cold]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let slots = vec![Slot::FREE; SLOTS_MIN.max(2 * self.slots.len())];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if !slot.is_free() {
                self.put(hash_of(slot.number), slot.number);
            }
        }
    }
}

/// The middle of the hash: the lower bits say where it stands, and the keys of one key group share the upper ones.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 24) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    #[test]
    fn random_changes_equal_a_map() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // Few hashes crowd the table, many fill it; the last slots lead on to the first ones.
            let hashes = [3, 20, 1 << 40][seed as usize % 3];
            let (mut numbers, mut map) = (Numbers::default(), BTreeMap::<u32, u64>::new());
            for number in 0..600 {
                let hash = rng.random_range(0..hashes) + 5;
                let known = map.clone();
                numbers.insert(hash, number, |number| known[&number]);
                map.insert(number, hash);
                if rng.random_range(0..3) > 0 {
                    let gone = rng.random_range(0..=number);
                    let known = map.clone();
                    let hash = known.get(&gone).copied().unwrap_or(hash);
                    numbers.remove(hash, gone, |number| known[&number]);
                    map.remove(&gone);
                }
                assert_eq!(numbers.count, map.len());
                for (&number, &hash) in &map {
                    assert_eq!(numbers.find(hash, |found| found == number), Some(number), "seed {seed}");
                }
            }
            let mut found = 0;
            assert_eq!(
                numbers.find(5, |number| {
                    found += usize::from(map[&number] == 5);
                    false
                }),
                None
            );
            assert_eq!(found, map.values().filter(|hash| **hash == 5).count(), "seed {seed}");
        }
    }

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        let mut numbers = Numbers::default();
        numbers.prefetch(7);
        numbers.remove(7, 0, |_| 7);
        assert_eq!(numbers.find(7, |_| true), None);
    }
}
