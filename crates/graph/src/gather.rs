//! How a graph hands over the edges of many objects to be added up by the object at their other end: where they lie, with
//! no list between.

use crate::graph::{Edge, ObjectId};
use crate::sums::Sums;

/// Up to here floats hold all whole numbers.
pub(crate) const WHOLE: u64 = 1 << 53;

/// Sums stay below this.
const GREATEST: u64 = 1 << 62;

/// Takes in edges and adds up what they count. Keeps its memory from one question to the next.
#[derive(Debug, Default)]
pub struct Gather {
    sums: Sums,
    each: Each,
    /// All the bits of what the edges since [`Gather::begin`] weigh.
    weights: u64,
    /// How many these edges are.
    edges: u64,
    /// No sum is further from zero than this.
    bound: u64,
    /// For graphs that make a list after all.
    list: Vec<Edge>,
    /// The edges since [`Gather::begin`], where what each counts depends on all of them.
    parts: Vec<(ObjectId, i64)>,
}

/// What an edge counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Each {
    /// One.
    #[default]
    One,
    /// So many times its weight.
    Times(i64),
    /// What [`Gather::end_parts`] says of its weight.
    Part,
}

impl Gather {
    /// Takes in edges of one object: the other end and the weight of each.
    #[inline]
    pub fn extend(&mut self, edges: impl Iterator<Item = (ObjectId, i64)>) {
        let times = match self.each {
            Each::One => return self.sums.add_all(edges.map(|(object, weight)| (object.0, i64::from(weight != 0)))),
            Each::Part => return self.parts.extend(edges),
            Each::Times(times) => times,
        };
        let (mut weights, mut count) = (0, 0);
        self.sums.add_all(edges.map(|(object, weight)| {
            weights |= weight.unsigned_abs();
            count += 1;
            (object.0, times.wrapping_mul(weight))
        }));
        self.weights |= weights;
        self.edges += count;
    }

    /// Takes in edges that were listed.
    pub(crate) fn extend_listed(&mut self, list: impl FnOnce(&mut Vec<Edge>)) {
        let mut edges = std::mem::take(&mut self.list);
        list(&mut edges);
        self.extend(edges.iter().map(|edge| (edge.other, edge.weight)));
        edges.clear();
        self.list = edges;
    }

    /// The edges of another object come next, and count this each.
    pub(crate) fn begin(&mut self, each: Each) {
        (self.each, self.weights, self.edges) = (each, 0, 0);
    }

    /// All edges of an object have come, so many at the most to the same other one. Says whether what they count there is a
    /// whole number that floats hold, and all sums are right so far.
    pub(crate) fn end(&mut self, rows: Rows) -> bool {
        let Each::Times(times) = self.each else { return true };
        let most = times.unsigned_abs().saturating_mul(self.weights);
        let most = match rows {
            Rows::One => most,
            Rows::Many => most.saturating_mul(self.edges),
        };
        most < WHOLE && self.grow(most)
    }

    /// As [`Gather::end`], where each number is what was to be added, and no product.
    pub(crate) fn end_sums(&mut self) -> bool {
        self.grow(self.weights)
    }

    /// As [`Gather::end`], where an edge counts what `count` makes of its weight and the sum of all weights.
    pub(crate) fn end_parts(&mut self, count: impl Fn(i64, i64) -> i64) -> bool {
        let (mut total, mut weights, mut ids) = (0_i64, 0, 0);
        for &(object, weight) in &self.parts {
            total = total.wrapping_add(weight);
            weights |= weight.unsigned_abs();
            ids = ids.max(object.0 as usize + 1);
        }
        let is_whole = weights.saturating_mul(self.parts.len() as u64) < WHOLE;
        let (mut counted, mut count) = (0, once_for_equals(|weight| count(weight, total)));
        for (_, weight) in &mut self.parts {
            *weight = count(*weight);
            counted |= weight.unsigned_abs();
        }
        self.sums.reserve(ids, false);
        self.sums.extend(self.parts.iter().map(|&(object, count)| (object.0, count)));
        self.parts.clear();
        is_whole && self.grow(counted)
    }

    fn grow(&mut self, most: u64) -> bool {
        self.bound = self.bound.saturating_add(most);
        self.bound < GREATEST
    }

    /// Gives the sums that are not zero, in no particular order, and is empty again.
    pub(crate) fn drain(&mut self, mut give: impl FnMut(ObjectId, i64)) {
        self.bound = 0;
        self.sums.drain(|id, sum| give(ObjectId(id), sum));
    }
}

/// A function that does not compute again what it was asked for the last time: neighbours are mostly alike.
#[inline]
pub(crate) fn once_for_equals<T: Copy + PartialEq, R: Copy>(compute: impl Fn(T) -> R) -> impl FnMut(T) -> R {
    let mut last = None;
    move |of| match last {
        Some((known, result)) if known == of => result,
        _ => {
            let result = compute(of);
            last = Some((of, result));
            result
        }
    }
}

/// How many edges of an object may lead to the same other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// One.
    One,
    /// More.
    Many,
}
