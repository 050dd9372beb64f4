//! `min` and `max`. Where rows only appear, the best value so far is enough; otherwise all values of a group are kept
//! in order, so that the next best is at hand when the best goes.

use super::accumulator::{GroupRun, mismatch, saved_batch, saved_groups};
use arrow::array::{ArrayRef, AsArray, BinaryArray, Decimal128Array, Int64Array, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use proxima_engine::{SectionKind, SnapshotError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

mod bytes;
mod integers;

pub(super) use bytes::ByteExtremes;
pub(super) use integers::IntegerExtremes;

/// Which end of the order is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

impl Extreme {
    fn is_better<K: Ord>(self, new: &K, old: &K) -> bool {
        match self {
            Self::Least => new < old,
            Self::Greatest => new > old,
        }
    }

    fn of<K: Ord>(self, values: &BTreeMap<K, i64>) -> Option<&K> {
        // Inside an epoch a value may be taken back before it appears; at its end no weight is negative.
        let mut there = values.iter().filter(|&(_, &weight)| weight > 0).map(|(value, _)| value);
        match self {
            Self::Least => there.next(),
            Self::Greatest => there.next_back(),
        }
    }
}

/// A value in the order of its type.
pub(super) trait Value: Ord + Clone {
    fn column<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;
    fn from_column(column: &ArrayRef) -> Option<Vec<Self>>;
    fn heap_bytes(&self) -> usize;
}

impl Value for i128 {
    fn column<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(values.copied().collect::<Decimal128Array>())
    }

    fn from_column(column: &ArrayRef) -> Option<Vec<Self>> {
        Some(column.as_primitive_opt::<Decimal128Type>()?.values().to_vec())
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Value for Box<[u8]> {
    fn column<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(values))
    }

    fn from_column(column: &ArrayRef) -> Option<Vec<Self>> {
        column.as_binary_opt::<i32>()?.iter().map(|value| value.map(Box::from)).collect()
    }

    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

/// The values of each group.
struct Values<K> {
    kept: Kept<K>,
    /// Bytes that the values hold, without the maps' own.
    heap: usize,
    /// Where changes are noted and all values are kept.
    dirty: Option<Dirty<K>>,
}

/// The values of groups that have changed since the last save. A group may be another by now: what counts is what its
/// number holds when it is saved.
struct Dirty<K> {
    values: Vec<(u32, K)>,
    /// At this length those that came twice are thrown out.
    compact_at: usize,
}

/// Changed values are not compacted before they are so many.
const COMPACT_MIN: usize = 1 << 16;

impl<K: Ord> Dirty<K> {
    fn push(&mut self, group: u32, value: K) {
        self.values.push((group, value));
        if self.values.len() >= self.compact_at {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.values.sort_unstable();
        self.values.dedup();
        self.compact_at = (self.values.len() * 2).max(COMPACT_MIN);
    }
}

/// What of each group's values is kept.
enum Kept<K> {
    Best(Vec<Option<K>>),
    All(Vec<BTreeMap<K, i64>>),
}

impl<K: Value> Values<K> {
    fn new(append_only: bool) -> Self {
        let kept = if append_only { Kept::Best(Vec::new()) } else { Kept::All(Vec::new()) };
        Self { kept, heap: 0, dirty: None }
    }

    fn grow(&mut self, groups: usize) {
        match &mut self.kept {
            Kept::Best(best) => best.resize(groups.max(best.len()), None),
            Kept::All(all) => all.resize(groups.max(all.len()), BTreeMap::new()),
        }
    }

    fn add(&mut self, which: Extreme, group: u32, value: K, weight: i64) {
        let bytes = held_bytes(&value);
        match &mut self.kept {
            Kept::Best(best) => {
                let best = &mut best[group as usize];
                if best.as_ref().is_none_or(|best| which.is_better(&value, best)) {
                    self.heap = self.heap + bytes - best.as_ref().map_or(0, held_bytes);
                    *best = Some(value);
                }
            }
            Kept::All(all) => {
                if let Some(dirty) = &mut self.dirty {
                    dirty.push(group, value.clone());
                }
                match all[group as usize].entry(value) {
                    Entry::Vacant(entry) => {
                        self.heap += bytes;
                        entry.insert(weight);
                    }
                    Entry::Occupied(mut entry) => {
                        *entry.get_mut() += weight;
                        if *entry.get() == 0 {
                            self.heap -= bytes;
                            entry.remove();
                        }
                    }
                }
            }
        }
    }

    fn extreme(&self, which: Extreme, group: u32) -> Option<&K> {
        match &self.kept {
            Kept::Best(best) => best[group as usize].as_ref(),
            Kept::All(all) => which.of(&all[group as usize]),
        }
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups.iter().map(|&group| group as usize) {
            match &mut self.kept {
                Kept::Best(best) => {
                    let gone = best.get_mut(group).and_then(Option::take);
                    self.heap -= gone.as_ref().map_or(0, held_bytes);
                }
                Kept::All(all) => {
                    let gone = all.get_mut(group).map(std::mem::take).unwrap_or_default();
                    self.heap -= gone.keys().map(held_bytes).sum::<usize>();
                }
            }
        }
    }

    /// Notes from now on which values change, where a group can have many.
    fn track(&mut self) {
        if let Kept::All(_) = self.kept {
            self.dirty = Some(Dirty { values: Vec::new(), compact_at: COMPACT_MIN });
        }
    }

    fn begin_save(&mut self) {
        self.dirty.iter_mut().for_each(Dirty::compact);
    }

    fn end_save(&mut self) {
        if let Some(dirty) = &mut self.dirty {
            *dirty = Dirty { values: Vec::new(), compact_at: COMPACT_MIN };
        }
    }

    /// The values of some groups with their weights, or those that have changed, where weight 0 is gone.
    fn save(&self, run: &GroupRun<'_>) -> RecordBatch {
        let mut held: Vec<(u32, &K, i64)> = Vec::new();
        match (&self.kept, run.kind, &self.dirty) {
            (Kept::Best(best), ..) => {
                // A group that never had a value may be beyond the end.
                let best = run.groups.iter().map(|&group| best.get(group as usize).and_then(Option::as_ref));
                held.extend((0..).zip(best).filter_map(|(place, best)| Some((place, best?, 1))));
            }
            (Kept::All(all), SectionKind::Changes, Some(dirty)) => {
                let weight = |group: u32, value| all[group as usize].get(value).copied().unwrap_or(0);
                let changed = dirty.values.iter();
                held.extend(
                    changed.filter_map(|(group, value)| Some((run.place(*group)?, value, weight(*group, value)))),
                );
                held.sort_by_key(|&(place, ..)| place);
            }
            (Kept::All(all), ..) => {
                for (place, &group) in (0..).zip(run.groups) {
                    let all = all.get(group as usize).into_iter().flatten();
                    held.extend(all.map(|(value, &weight)| (place, value, weight)));
                }
            }
        }
        let weights: ArrayRef = Arc::new(held.iter().map(|&(.., weight)| weight).collect::<Int64Array>());
        let values = K::column(held.iter().map(|&(_, value, _)| value));
        let places = held.iter().map(|&(place, ..)| place).collect();
        saved_batch(places, vec![("value", values), ("weight", weights)])
    }

    fn load(&mut self, groups: &[u32], saved: &RecordBatch) -> Result<(), SnapshotError> {
        let values = K::from_column(saved.column(1)).ok_or_else(|| mismatch("a column of values"))?;
        let weights = saved.column(2).as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch("a column of weights"))?;
        let groups = saved_groups(groups, saved)?;
        for ((group, value), &weight) in groups.into_iter().zip(values).zip(weights.values()) {
            self.set(group, value, weight);
        }
        Ok(())
    }

    /// Sets the weight of a value; 0 takes it away.
    fn set(&mut self, group: u32, value: K, weight: i64) {
        let bytes = held_bytes(&value);
        let had = match &mut self.kept {
            Kept::Best(best) => best[group as usize].replace(value).as_ref().map_or(0, held_bytes),
            Kept::All(all) if weight == 0 => all[group as usize].remove(&value).map_or(0, |_| bytes),
            Kept::All(all) => all[group as usize].insert(value, weight).map_or(0, |_| bytes),
        };
        let has = if weight == 0 { 0 } else { bytes };
        self.heap = self.heap + has - had;
    }

    fn bytes(&self) -> usize {
        self.heap
            + match &self.kept {
                Kept::Best(best) => best.capacity() * size_of::<Option<K>>(),
                Kept::All(all) => all.capacity() * size_of::<BTreeMap<K, i64>>(),
            }
    }
}

/// Bytes that a value holds as [`Values::add`] counts them.
fn held_bytes<K: Value>(value: &K) -> usize {
    size_of::<(K, i64)>() + value.heap_bytes()
}
