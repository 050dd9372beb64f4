//! Samples that wait for what may still change them: a click, and with it a label, comes minutes after what was shown.

use crate::samples::Sample;
use std::collections::BTreeMap;

/// Samples by their order, each with its weight, until their time is over.
///
/// A sample is released when the newest time seen is more than the wait ahead of it. So a row that is taken back within
/// the wait leaves no trace, and as long as no row is later than the wait, samples are learned in one order over all
/// epochs, whatever the order of arrival and however epochs are cut.
#[derive(Debug)]
pub(crate) struct Pending {
    wait_us: i64,
    newest: i64,
    /// Everything up to and with this time is released.
    released: i64,
    samples: BTreeMap<Sample, i64>,
    /// What was added since the last save, where checkpoints are on.
    added: Option<Vec<(Sample, i64)>>,
}

impl Pending {
    pub(crate) fn new(wait_us: i64) -> Self {
        Self { wait_us, newest: i64::MIN, released: i64::MIN, samples: BTreeMap::new(), added: None }
    }

    /// Takes in a change. Says whether it came in time.
    pub(crate) fn add(&mut self, sample: Sample, weight: i64) -> bool {
        if sample.time <= self.released {
            return false;
        }
        self.newest = self.newest.max(sample.time);
        if let Some(added) = &mut self.added {
            added.push((sample.clone(), weight));
        }
        self.put(sample, weight);
        true
    }

    fn put(&mut self, sample: Sample, weight: i64) {
        let entry = self.samples.entry(sample);
        match entry {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(weight)),
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                *entry.get_mut() += weight;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// The end of an epoch: hands over what need not wait any more, in order; all of it where nothing more comes.
    pub(crate) fn release(&mut self, last: bool) -> impl Iterator<Item = (Sample, i64)> {
        let until = if last { self.newest } else { self.newest.saturating_sub(self.wait_us).saturating_sub(1) };
        self.released = self.released.max(until);
        self.split()
    }

    fn split(&mut self) -> impl Iterator<Item = (Sample, i64)> + use<> {
        let rest = match self.released.checked_add(1) {
            None => BTreeMap::new(),
            Some(time) => {
                let first = Sample { time, order: i64::MIN, text: None, label: false, features: Box::default() };
                self.samples.split_off(&first)
            }
        };
        std::mem::replace(&mut self.samples, rest).into_iter()
    }

    pub(crate) fn track(&mut self) {
        self.added = Some(Vec::new());
    }

    /// Everything that waits.
    pub(crate) fn all(&mut self) -> Vec<(Sample, i64)> {
        self.added = self.added.is_some().then(Vec::new);
        self.samples.iter().map(|(sample, weight)| (sample.clone(), *weight)).collect()
    }

    /// What came since the last save and still waits.
    pub(crate) fn added(&mut self) -> Vec<(Sample, i64)> {
        let mut added = self.added.replace(Vec::new()).unwrap_or_default();
        added.retain(|(sample, _)| sample.time > self.released);
        added
    }

    /// How far it is, for a checkpoint.
    pub(crate) fn times(&self) -> [i64; 2] {
        [self.newest, self.released]
    }

    /// Takes back what was saved.
    pub(crate) fn load(&mut self, [newest, released]: [i64; 2], samples: impl IntoIterator<Item = (Sample, i64)>) {
        (self.newest, self.released) = (newest, released);
        samples.into_iter().for_each(|(sample, weight)| self.put(sample, weight));
        drop(self.split());
    }

    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// About: what a map and a few features take.
    pub(crate) fn bytes(&self) -> usize {
        self.samples.len() * 200
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: i64) -> Sample {
        Sample { time, order: 0, text: None, label: false, features: Box::new([time as u64]) }
    }

    fn released(pending: &mut Pending, last: bool) -> Vec<(i64, i64)> {
        pending.release(last).map(|(sample, weight)| (sample.time, weight)).collect()
    }

    #[test]
    fn a_sample_waits_and_what_is_taken_back_in_time_never_was() {
        let mut pending = Pending::new(10);
        assert!(pending.add(sample(2), 1) && pending.add(sample(1), 1) && pending.add(sample(11), 1));
        assert!(pending.add(sample(2), -1));
        assert_eq!(released(&mut pending, false), []);
        assert!(pending.add(sample(13), 2));
        assert_eq!(released(&mut pending, false), [(1, 1)]);
        assert!(!pending.add(sample(2), 1), "its time is over");
        assert_eq!(released(&mut pending, true), [(11, 1), (13, 2)]);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn saves_are_what_came_and_still_waits() {
        let mut pending = Pending::new(10);
        pending.track();
        pending.add(sample(1), 1);
        pending.add(sample(5), 1);
        let (whole, times) = (pending.all(), pending.times());
        pending.add(sample(5), -1);
        pending.add(sample(20), 1);
        drop(released(&mut pending, false));
        let changes = pending.added();
        let mut loaded = Pending::new(10);
        loaded.load(times, whole);
        loaded.load(pending.times(), changes);
        assert_eq!(loaded.samples, pending.samples);
        assert_eq!(released(&mut loaded, true), [(20, 1)]);
    }
}
