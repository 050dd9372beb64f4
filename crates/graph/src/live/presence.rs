//! How many objects of a kind there are: counted while they come and go, so that nobody has to list them for it.

use super::kind::group_of;
use parking_lot::Mutex;
use proxima_event::KEY_GROUPS;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// By how many a kind's objects are named: each relation's shards name those that have edges there, and attributes name
/// theirs.
#[derive(Debug)]
pub(super) struct Presence {
    /// By key group and by the number in it. There are fewer shards than 2^16.
    named: Vec<Mutex<Vec<u16>>>,
    there: AtomicU64,
}

impl Default for Presence {
    fn default() -> Self {
        Self { named: (0..KEY_GROUPS).map(|_| Mutex::default()).collect(), there: AtomicU64::new(0) }
    }
}

impl Presence {
    /// One more names an object.
    pub(super) fn come(&self, id: u32) {
        let (group, number) = (usize::from(group_of(id).0), id as usize / KEY_GROUPS);
        let mut named = self.named[group].lock();
        if number >= named.len() {
            named.resize(number + 1, 0);
        }
        named[number] = named[number].checked_add(1).expect("fewer than 2^16 shards name an object");
        if named[number] == 1 {
            self.there.fetch_add(1, Relaxed);
        }
    }

    /// One less names an object.
    pub(super) fn go(&self, id: u32) {
        let mut named = self.named[usize::from(group_of(id).0)].lock();
        let count = &mut named[id as usize / KEY_GROUPS];
        *count -= 1;
        if *count == 0 {
            self.there.fetch_sub(1, Relaxed);
        }
    }

    /// How many objects anything names.
    pub(super) fn count(&self) -> u64 {
        self.there.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_there_while_anything_names_it() {
        let presence = Presence::default();
        [5, 261, 5, 0].into_iter().for_each(|id| presence.come(id));
        assert_eq!(presence.count(), 3);
        presence.go(5);
        assert_eq!(presence.count(), 3);
        [5, 0].into_iter().for_each(|id| presence.go(id));
        assert_eq!(presence.count(), 1);
    }
}
