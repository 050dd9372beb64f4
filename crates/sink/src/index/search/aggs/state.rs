//! What has been gathered so far: by segments with ranks for strings, then over all of them with the strings.

use super::super::value::{Number, decode};
use super::sketch::{Distinct, Spread};
use crate::index::layout::Kind;
use hashbrown::HashMap;
use std::hash::Hash;

/// The key of a bucket over all segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A number in its order-preserving form.
    Bits(u64),
    /// A string.
    Text(String),
}

/// What one aggregation has gathered in one bucket.
#[derive(Clone, Debug)]
pub(crate) enum State<K> {
    Numbers(Numbers),
    Distinct(Distinct),
    Spread(Spread),
    /// A bucket for each key that has come up.
    Keyed(HashMap<K, Bucket<K>>),
    /// As many buckets as the request names.
    Listed(Vec<Bucket<K>>),
}

/// The documents of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket<K> {
    pub(crate) count: u64,
    pub(crate) inner: Vec<State<K>>,
}

impl<K: Hash + Eq> State<K> {
    /// Adds what another segment has gathered.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Numbers(ours), Self::Numbers(theirs)) => ours.merge(&theirs),
            (Self::Distinct(ours), Self::Distinct(theirs)) => ours.merge(theirs),
            (Self::Spread(ours), Self::Spread(theirs)) => ours.merge(theirs),
            (Self::Listed(ours), Self::Listed(theirs)) => {
                ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.merge(theirs));
            }
            (Self::Keyed(ours), Self::Keyed(theirs)) => {
                for (key, bucket) in theirs {
                    match ours.entry(key) {
                        hashbrown::hash_map::Entry::Occupied(mut standing) => standing.get_mut().merge(bucket),
                        hashbrown::hash_map::Entry::Vacant(place) => {
                            place.insert(bucket);
                        }
                    }
                }
            }
            _ => unreachable!("all segments gather by the same plan"),
        }
    }
}

impl<K: Hash + Eq> Bucket<K> {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.inner.iter_mut().zip(other.inner).for_each(|(ours, theirs)| ours.merge(theirs));
    }
}

/// Count, sum and ends of numbers. The sum of whole units is exact; that of floats is compensated (Neumaier).
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) count: u64,
    units: i128,
    float: f64,
    lost: f64,
    /// The ends, in order-preserving form.
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
}

impl Numbers {
    /// Adds a value by its bits.
    pub(crate) fn add(&mut self, kind: Kind, bits: u64) {
        self.count += 1;
        self.least = Some(self.least.map_or(bits, |least| least.min(bits)));
        self.most = Some(self.most.map_or(bits, |most| most.max(bits)));
        match decode(kind, bits) {
            // 2^64 values of 64 bits each fit; an index has less than that.
            Number::Units(units) => self.units += units,
            Number::Float(value) => self.add_float(value),
        }
    }

    fn add_float(&mut self, value: f64) {
        let sum = self.float + value;
        self.lost +=
            if self.float.abs() >= value.abs() { (self.float - sum) + value } else { (value - sum) + self.float };
        self.float = sum;
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.units += other.units;
        self.add_float(other.float);
        self.lost += other.lost;
        self.least = self.least.into_iter().chain(other.least).min();
        self.most = self.most.into_iter().chain(other.most).max();
    }

    /// The sum of all values.
    pub(crate) fn sum(&self, kind: Kind) -> Number {
        match decode(kind, 0) {
            Number::Units(_) => Number::Units(self.units),
            Number::Float(_) => Number::Float(self.float + self.lost),
        }
    }

    /// The sum by the count, in what answers count in (a decimal's ones, a moment's milliseconds).
    pub(crate) fn average(&self, kind: Kind) -> Option<f64> {
        let count = (self.count > 0).then_some(self.count as f64)?;
        Some(match self.sum(kind) {
            Number::Units(units) => units as f64 / kind.units().unwrap_or(1) as f64 / count,
            Number::Float(sum) => sum / count,
        })
    }
}
