//! Each subject's log: the objects it is related to, and how often.
//!
//! Sums of weights wrap at 64 bits, so that whatever was added can be taken back.

use crate::slab::{Array, Slab, prefetch};
use hashbrown::HashMap;

/// What a change did to a set of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The object was not there, now it is.
    Added,
    /// The object was there, now it is not.
    Removed,
    /// It is there, or not there, as before.
    None,
}

/// The logs of all subjects. An object is in the log of a subject while the sum of their weights is positive.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    logs: Vec<Log>,
    slab: Slab,
    /// Sums that the logs cannot hold: negative ones, of objects that are not there but are owed (a removal came
    /// before what it removes), and those from `u32::MAX` on.
    odd: HashMap<(u32, u32), i64>,
    entries: u64,
}

/// One subject's objects in the order they came, and beside them the sums of their weights.
#[derive(Clone, Copy, Debug, Default)]
struct Log {
    objects: Array,
    sums: Array,
}

impl Logs {
    /// The objects that a subject is related to, oldest first.
    pub(crate) fn objects(&self, subject: u32) -> &[u32] {
        self.logs.get(subject as usize).map_or(&[], |log| self.slab.words(&log.objects))
    }

    /// Asks the processor to load what leads to a subject's log, which is used soon.
    #[inline]
    pub(crate) fn prefetch_head(&self, subject: u32) {
        if let Some(log) = self.logs.get(subject as usize) {
            prefetch(log);
        }
    }

    /// Asks the processor to load a subject's log; best some time after [`Logs::prefetch_head`].
    #[inline]
    pub(crate) fn prefetch_log(&self, subject: u32) {
        if let Some(first) = self.objects(subject).first() {
            prefetch(first);
        }
    }

    /// Adds to the weight between a subject and an object.
    pub(crate) fn add(&mut self, subject: u32, object: u32, weight: i64) -> Effect {
        if subject as usize >= self.logs.len() {
            self.logs.resize(subject as usize + 1, Log::default());
        }
        // The caller walks the whole log for every pair anyway, so that a search through it costs little beside.
        match self.objects(subject).iter().position(|&known| known == object) {
            Some(place) => self.add_known(subject, place, object, weight),
            None => self.add_absent(subject, object, weight),
        }
    }

    /// Every subject, object and sum of weights that is not zero, by subject.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, u32, i64)> {
        let known = self.logs.iter().enumerate().flat_map(move |(subject, log)| {
            let sums = self.slab.words(&log.sums).iter();
            self.slab.words(&log.objects).iter().zip(sums).map(move |(&object, &sum)| {
                let subject = subject as u32;
                (subject, object, self.exact(subject, object, sum))
            })
        });
        let owed =
            self.odd.iter().filter(|(_, sum)| **sum < 0).map(|(&(subject, object), &sum)| (subject, object, sum));
        known.chain(owed)
    }

    /// How many objects all logs hold.
    pub(crate) fn len(&self) -> u64 {
        self.entries
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slab.bytes() + self.logs.capacity() * size_of::<Log>() + self.odd.allocation_size()
    }

    fn add_known(&mut self, subject: u32, place: usize, object: u32, weight: i64) -> Effect {
        let log = &mut self.logs[subject as usize];
        let stored = self.slab.words(&log.sums)[place];
        let before = if stored == u32::MAX { self.odd[&(subject, object)] } else { i64::from(stored) };
        let sum = before.wrapping_add(weight);
        if sum > 0 {
            let stored = self.hold(subject, object, sum);
            let log = &self.logs[subject as usize];
            self.slab.words_mut(&log.sums)[place] = stored;
            return Effect::None;
        }
        for array in [&mut log.objects, &mut log.sums] {
            let words = self.slab.words_mut(array);
            words.copy_within(place + 1.., place);
            match words.len() - 1 {
                0 => self.slab.free(array),
                len => self.slab.truncate(array, len),
            }
        }
        self.entries -= 1;
        self.hold(subject, object, sum);
        Effect::Removed
    }

    fn add_absent(&mut self, subject: u32, object: u32, weight: i64) -> Effect {
        let owed = if self.odd.is_empty() { 0 } else { self.odd.get(&(subject, object)).copied().unwrap_or(0) };
        let sum = owed.wrapping_add(weight);
        let stored = self.hold(subject, object, sum);
        if sum <= 0 {
            return Effect::None;
        }
        let log = &mut self.logs[subject as usize];
        for (array, word) in [(&mut log.objects, object), (&mut log.sums, stored)] {
            self.slab.grow(array, array.len() + 1);
            self.slab.push(array, word);
        }
        self.entries += 1;
        Effect::Added
    }

    /// The word that stands for a sum in the log. A sum that no word can hold goes beside it.
    fn hold(&mut self, subject: u32, object: u32, sum: i64) -> u32 {
        match u32::try_from(sum) {
            Ok(word) if word < u32::MAX => {
                if !self.odd.is_empty() {
                    self.odd.remove(&(subject, object));
                }
                word
            }
            _ => {
                self.odd.insert((subject, object), sum);
                u32::MAX
            }
        }
    }

    fn exact(&self, subject: u32, object: u32, stored: u32) -> i64 {
        if stored == u32::MAX { self.odd[&(subject, object)] } else { i64::from(stored) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_there_while_its_weights_sum_above_zero() {
        let mut logs = Logs::default();
        assert_eq!(logs.add(4, 7, 1), Effect::Added);
        assert_eq!(logs.add(4, 7, 1), Effect::None);
        assert_eq!(logs.add(4, 9, 5), Effect::Added);
        assert_eq!(logs.add(4, 7, -1), Effect::None);
        assert_eq!(logs.objects(4), [7, 9]);
        assert_eq!(logs.add(4, 7, -1), Effect::Removed);
        assert_eq!(logs.objects(4), [9]);
        assert_eq!(logs.objects(5), [] as [u32; 0]);
        assert_eq!(logs.len(), 1);
    }

    #[test]
    fn a_debt_is_paid_before_the_object_is_there() {
        let mut logs = Logs::default();
        assert_eq!(logs.add(0, 1, -2), Effect::None);
        assert_eq!(logs.add(0, 1, 2), Effect::None);
        assert_eq!(logs.entries().count(), 0, "nothing is left of it");
        assert_eq!(logs.add(0, 1, 1), Effect::Added);
        assert_eq!(logs.add(0, 1, -3), Effect::Removed);
        assert_eq!(logs.entries().collect::<Vec<_>>(), [(0, 1, -2)]);
        assert_eq!(logs.add(0, 1, 3), Effect::Added);
        assert_eq!(logs.entries().collect::<Vec<_>>(), [(0, 1, 1)]);
    }

    #[test]
    fn sums_past_32_bits_stay_exact() {
        let mut logs = Logs::default();
        let large = i64::from(u32::MAX);
        for sum in [large - 1, large, large + 1, 1 << 60] {
            assert_eq!(logs.add(1, 1, sum), Effect::Added);
            assert_eq!(logs.add(1, 1, 1), Effect::None);
            assert_eq!(logs.entries().collect::<Vec<_>>(), [(1, 1, sum + 1)]);
            assert_eq!(logs.add(1, 1, -sum), Effect::None);
            assert_eq!(logs.add(1, 1, -1), Effect::Removed);
            assert_eq!(logs.entries().count(), 0);
        }
    }
}
