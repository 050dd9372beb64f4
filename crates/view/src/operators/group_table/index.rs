//! The hash index of a [`GroupTable`](super::GroupTable): open addressing over slots of eight bytes.
//!
//! A slot holds the lower half of the key's hash (its *tag*) and the group's number. The place of a key follows from
//! its tag alone, so growing and deleting need neither the keys nor their whole hashes. At most half of the slots are
//! used; deletion closes the gap, so there are no tombstones and lookups do not slow down with age.

use super::prefetch::prefetch;
use super::words::Words;

/// What a lookup ends at.
pub(super) enum Found {
    /// The key's group.
    Group(u32),
    /// The empty slot where it belongs.
    Vacant(usize),
}

/// Maps tags to group numbers.
pub(super) struct Index {
    /// Tag in the upper half, number + 1 in the lower; 0 is an empty slot. The length is a power of two.
    slots: Words,
    len: usize,
}

const SLOTS_MIN: usize = 16;

impl Default for Index {
    fn default() -> Self {
        Self { slots: Words::zeroed(SLOTS_MIN), len: 0 }
    }
}

#[inline(always)]
fn tag_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

#[inline(always)]
fn group_of(slot: u64) -> u32 {
    (slot as u32).wrapping_sub(1)
}

impl Index {
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// Makes room for more groups, so that at most half of the slots are in use after adding them.
    pub(super) fn reserve(&mut self, additional: usize) {
        let slots = ((self.len + additional) * 2).next_power_of_two();
        if slots > self.slots.len() {
            self.grow(slots);
        }
    }

    fn grow(&mut self, slots: usize) {
        assert!(slots <= 1 << 32, "a table holds at most 2^31 groups");
        let old = std::mem::replace(&mut self.slots, Words::present(slots));
        for slot in old.iter().copied().filter(|&slot| slot != 0) {
            let mut place = self.home(tag_of(slot));
            while self.slots[place] != 0 {
                place = self.next(place);
            }
            self.slots[place] = slot;
        }
    }

    /// Fetches the slot where a search for `tag` begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, tag: u32) {
        prefetch(&raw const self.slots[self.home(tag)]);
    }

    /// The group in the slot where a search for `tag` begins: most often the one.
    #[inline(always)]
    pub(super) fn first(&self, tag: u32) -> Option<u32> {
        let slot = self.slots[self.home(tag)];
        (slot != 0).then(|| group_of(slot))
    }

    /// Searches for a key by its tag; `same` tells whether a group has the key.
    #[inline(always)]
    pub(super) fn find(&self, tag: u32, mut same: impl FnMut(u32) -> bool) -> Found {
        let mut place = self.home(tag);
        loop {
            let slot = self.slots[place];
            if slot == 0 {
                return Found::Vacant(place);
            }
            if tag_of(slot) == tag && same(group_of(slot)) {
                return Found::Group(group_of(slot));
            }
            place = self.next(place);
        }
    }

    /// Puts a group into a slot that [`find`](Self::find) gave as vacant.
    #[inline(always)]
    pub(super) fn occupy(&mut self, slot: usize, tag: u32, group: u32) {
        self.slots[slot] = u64::from(tag) << 32 | u64::from(group + 1);
        self.len += 1;
    }

    /// Takes a group out and moves those behind it that would no longer be found.
    pub(super) fn remove(&mut self, tag: u32, group: u32) {
        let wanted = u64::from(tag) << 32 | u64::from(group + 1);
        let mut gap = self.home(tag);
        while self.slots[gap] != wanted {
            assert!(self.slots[gap] != 0, "group {group} is in the index under its tag");
            gap = self.next(gap);
        }
        let mut place = self.next(gap);
        while self.slots[place] != 0 {
            let home = self.home(tag_of(self.slots[place]));
            let mask = self.slots.len() - 1;
            // The slot may move into the gap when its home does not lie between the gap and itself.
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[place];
                gap = place;
            }
            place = self.next(place);
        }
        self.slots[gap] = 0;
        self.len -= 1;
    }

    /// Empties the index; one that a great epoch has blown up gives its memory back.
    pub(super) fn clear(&mut self) {
        if self.len * 16 < self.slots.len() {
            self.slots = Words::present((self.len * 4).next_power_of_two().max(SLOTS_MIN));
        } else {
            self.slots.fill(0);
        }
        self.len = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.bytes()
    }
}
