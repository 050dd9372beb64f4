//! From candidates to a list: who may be shown at all, and who gets which place.

use crate::recommend::Request;
use crate::shop::Shop;
use crate::spec::Rules;
use hashbrown::{HashMap, HashSet};
use proxima_graph::{ObjectId, Value};
use std::sync::Arc;

/// Says which items may be shown.
pub(crate) struct Gate<'a, S: Shop + ?Sized> {
    shop: &'a S,
    rules: &'a Rules,
    request: &'a Request<'a>,
    dropped: HashSet<ObjectId>,
}

impl<'a, S: Shop + ?Sized> Gate<'a, S> {
    /// `seen` are the items that the question names as just seen.
    pub(crate) fn new(shop: &'a S, rules: &'a Rules, request: &'a Request<'a>, seen: &[ObjectId]) -> Self {
        let mut dropped: HashSet<ObjectId> = seen.iter().copied().collect();
        rules.drop.iter().for_each(|drop| dropped.extend(shop.related(drop, request.subject)));
        Self { shop, rules, request, dropped }
    }

    /// Lets these through no more, either.
    pub(crate) fn drop_more(&mut self, items: impl Iterator<Item = ObjectId>) {
        self.dropped.extend(items);
    }

    /// Makes ready for items that are about to be asked for.
    pub(crate) fn prepare(&self, items: impl Iterator<Item = ObjectId>) {
        let Rules { require, at_most, .. } = self.rules;
        if !require.is_empty() || !at_most.is_empty() || !self.request.filters.is_empty() {
            self.shop.prepare(&items.collect::<Vec<_>>());
        }
    }

    /// Whether nothing speaks against an item.
    pub(crate) fn admits(&self, item: ObjectId) -> bool {
        let has = |attribute: &str, is: &crate::spec::Is| is.holds(&self.shop.item_attribute(item, attribute));
        !self.dropped.contains(&item)
            && self.rules.require.iter().all(|require| has(&require.attribute, &require.is))
            && self.request.filters.iter().all(|(attribute, is)| has(attribute, is))
    }
}

/// A list in the making, of so many places.
pub(crate) struct Places<'a, S: Shop + ?Sized, T> {
    shop: &'a S,
    rules: &'a Rules,
    places: Vec<Option<T>>,
    /// The next place that is looked at.
    next: usize,
    /// How many items of each value there are, for each cap.
    counts: Vec<HashMap<Key, usize>>,
    shown: HashSet<ObjectId>,
}

/// A value that can be counted. Numbers of one size are one value.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    Int(i64),
    Float(u64),
    Text(Arc<str>),
}

fn key(value: Value) -> Option<Key> {
    match value {
        Value::Null => None,
        Value::Bool(truth) => Some(Key::Bool(truth)),
        Value::Int(number) => Some(Key::Int(number)),
        Value::Float(number) => Some(Key::Float(number.to_bits())),
        Value::Text(text) => Some(Key::Text(text)),
    }
}

impl<'a, S: Shop + ?Sized, T> Places<'a, S, T> {
    pub(crate) fn new(shop: &'a S, rules: &'a Rules, places: usize) -> Self {
        let counts = rules.at_most.iter().map(|_| HashMap::new()).collect();
        let places = std::iter::repeat_with(|| None).take(places).collect();
        Self { shop, rules, places, next: 0, counts, shown: HashSet::new() }
    }

    /// Puts an item at a place, from 1. Pins come before all else.
    pub(crate) fn pin(&mut self, item: ObjectId, place: usize, value: T) {
        if (1..=self.places.len()).contains(&place) && self.places[place - 1].is_none() && self.take(item) {
            self.places[place - 1] = Some(value);
        }
    }

    /// Puts an item at the next free place, unless it is shown or its values are used up.
    pub(crate) fn push(&mut self, item: ObjectId, value: impl FnOnce() -> T) {
        while self.places.get(self.next).is_some_and(Option::is_some) {
            self.next += 1;
        }
        if self.next < self.places.len() && self.take(item) {
            self.places[self.next] = Some(value());
        }
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether every place is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.places[self.next.min(self.places.len())..].iter().all(Option::is_some)
    }

    /// The list; a place that stayed empty before a pin closes up.
    pub(crate) fn into_list(self) -> Vec<T> {
        self.places.into_iter().flatten().collect()
    }

    /// Counts an item in. Says whether it may be shown.
    fn take(&mut self, item: ObjectId) -> bool {
        if self.shown.contains(&item) {
            return false;
        }
        let value = |cap: &crate::spec::Cap| key(self.shop.item_attribute(item, &cap.attribute));
        let keys: Vec<_> = self.rules.at_most.iter().map(value).collect();
        let caps = || self.rules.at_most.iter().zip(&keys).enumerate();
        let is_full = |(at, (cap, key)): (usize, (&crate::spec::Cap, &Option<Key>))| {
            key.as_ref().is_some_and(|key| self.counts[at].get(key).copied().unwrap_or_default() >= cap.most)
        };
        if caps().any(is_full) {
            return false;
        }
        for (counts, key) in self.counts.iter_mut().zip(keys) {
            if let Some(key) = key {
                *counts.entry(key).or_default() += 1;
            }
        }
        self.shown.insert(item)
    }
}
