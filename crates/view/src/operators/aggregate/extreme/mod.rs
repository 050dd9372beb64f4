//! `min` and `max`. Where rows only appear, the best value so far is enough; otherwise all values of a group are kept
//! in order, so that the next best is at hand when the best goes.

use super::accumulator::{mismatch, saved_batch, saved_groups};
use arrow::array::{ArrayRef, AsArray, BinaryArray, Decimal128Array, Int64Array, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use proxima_engine::SnapshotError;
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
enum Values<K> {
    Best(Vec<Option<K>>),
    All(Vec<BTreeMap<K, i64>>),
}

impl<K: Value> Values<K> {
    fn new(append_only: bool) -> Self {
        if append_only { Self::Best(Vec::new()) } else { Self::All(Vec::new()) }
    }

    fn grow(&mut self, groups: usize) {
        match self {
            Self::Best(best) => best.resize(groups.max(best.len()), None),
            Self::All(all) => all.resize(groups.max(all.len()), BTreeMap::new()),
        }
    }

    fn add(&mut self, which: Extreme, group: u32, value: K, weight: i64) {
        match self {
            Self::Best(best) => {
                let best = &mut best[group as usize];
                if best.as_ref().is_none_or(|best| which.is_better(&value, best)) {
                    *best = Some(value);
                }
            }
            Self::All(all) => match all[group as usize].entry(value) {
                Entry::Vacant(entry) => {
                    entry.insert(weight);
                }
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += weight;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            },
        }
    }

    fn extreme(&self, which: Extreme, group: u32) -> Option<&K> {
        match self {
            Self::Best(best) => best[group as usize].as_ref(),
            Self::All(all) => which.of(&all[group as usize]),
        }
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups.iter().map(|&group| group as usize) {
            match self {
                Self::Best(best) if group < best.len() => best[group] = None,
                Self::All(all) if group < all.len() => all[group] = BTreeMap::new(),
                _ => {}
            }
        }
    }

    fn save(&self, groups: &[u32]) -> RecordBatch {
        let mut held: Vec<(u32, &K, i64)> = Vec::new();
        for (place, &group) in (0..).zip(groups) {
            match self {
                Self::Best(best) => held.extend(best[group as usize].iter().map(|value| (place, value, 1))),
                Self::All(all) => {
                    held.extend(all[group as usize].iter().map(|(value, &weight)| (place, value, weight)))
                }
            }
        }
        let weights: ArrayRef = Arc::new(held.iter().map(|&(.., weight)| weight).collect::<Int64Array>());
        let values = K::column(held.iter().map(|&(_, value, _)| value));
        let places = held.iter().map(|&(place, ..)| place).collect();
        saved_batch(places, vec![("value", values), ("weight", weights)])
    }

    fn load(&mut self, which: Extreme, groups: &[u32], saved: &RecordBatch) -> Result<(), SnapshotError> {
        let values = K::from_column(saved.column(1)).ok_or_else(|| mismatch("a column of values"))?;
        let weights = saved.column(2).as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch("a column of weights"))?;
        let groups = saved_groups(groups, saved)?;
        for ((group, value), &weight) in groups.into_iter().zip(values).zip(weights.values()) {
            self.add(which, group, value, weight);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Best(best) => {
                best.iter().map(|best| size_of::<Option<K>>() + best.as_ref().map_or(0, K::heap_bytes)).sum()
            }
            Self::All(all) => {
                let of_value = |value: &K| size_of::<(K, i64)>() + value.heap_bytes();
                all.iter().map(|values| size_of_val(values) + values.keys().map(of_value).sum::<usize>()).sum()
            }
        }
    }
}
