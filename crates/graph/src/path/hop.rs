//! Walking along one relation: rows to scores, rows to the same object added, some of the objects selected.

use super::fixed::{rounded, score, share, units};
use super::order::{by_score, by_time, keep_first, sort};
use super::rows;
use super::scratch::Reached;
use super::spec::{Hop, RowScore, Select, Set};
use super::walk::Walk;
use crate::gather::once_for_equals;
use crate::graph::{Edge, Graph, NO_TIME, ObjectId};
use proxima_event::hash::hash_str;

/// The rows to one object.
#[derive(Clone, Copy)]
struct Rows {
    units: i128,
    newest_us: i64,
}

impl Default for Rows {
    fn default() -> Self {
        Self { units: 0, newest_us: NO_TIME }
    }
}

impl Select {
    /// Whether a row's score is its weight.
    pub(super) fn is_weight(&self) -> bool {
        matches!(self.row, RowScore::Weight) && self.half_life_us.is_none()
    }

    /// Whether the scores of all neighbours are their weights.
    pub(super) fn is_plain(&self) -> bool {
        self.is_weight() && self.set == Set::All && !self.position && !self.share && self.power.is_none()
    }
}

/// The score of a row that counts as its weight.
#[inline]
pub(super) fn weight(weight: i64) -> f64 {
    // A float holds it, and so do units.
    if weight.unsigned_abs() < 1 << 53 { weight as f64 } else { rounded(weight as f64) }
}

impl<G: Graph + ?Sized> Walk<'_, G> {
    /// Appends the objects that a hop selects.
    pub(super) fn hop(&mut self, hop: &Hop, start: ObjectId, list: &mut Vec<Reached>) {
        self.neighbours(hop, start, list);
        let Select { set, position, share: shares, power, .. } = &hop.select;
        self.keep(hop, start, *set, list);
        if *position {
            self.weigh_positions(hop, list);
        }
        if *shares {
            let total = score(list.iter().map(|reached| units(reached.score)).sum());
            each_score(list, |score| share(score, total));
        }
        if let Some(power) = power {
            // What is nothing stays nothing, whatever the power.
            list.retain(|reached| reached.score != 0.0);
            each_score(list, |score| rounded(score.powf(*power)));
        }
        if *position || *shares || power.is_some() {
            list.retain(|reached| reached.score != 0.0);
        }
    }

    /// Appends all objects that an object is related to, with the sums of their rows' scores; none with a score of 0.
    pub(super) fn neighbours(&mut self, hop: &Hop, start: ObjectId, list: &mut Vec<Reached>) {
        let mut edges = self.scratch.edges();
        self.graph.edges(hop.relation, hop.direction, start, &mut edges);
        if hop.many {
            self.add_rows(hop, &edges, list);
        } else if hop.select.is_weight() {
            let plain = edges.iter().filter(|edge| edge.weight != 0);
            list.extend(plain.map(|edge| reached(edge, weight(edge.weight))));
        } else {
            let scores = rows::scores(self.graph, hop, &edges);
            let scored = edges.iter().zip(scores).filter(|(_, score)| *score != 0.0);
            list.extend(scored.map(|(edge, score)| reached(edge, score)));
        }
        self.scratch.keep_edges(edges);
    }

    fn add_rows(&mut self, hop: &Hop, edges: &[Edge], list: &mut Vec<Reached>) {
        let mut objects = self.scratch.table::<Rows>();
        let mut add = |edge: &Edge, score: f64| {
            let rows = objects.at(edge.other);
            rows.units += units(score);
            rows.newest_us = rows.newest_us.max(edge.time_us);
        };
        if hop.select.is_weight() {
            edges.iter().for_each(|edge| add(edge, weight(edge.weight)));
        } else {
            let scores = rows::scores(self.graph, hop, edges);
            edges.iter().zip(scores).filter(|(_, score)| *score != 0.0).for_each(|(edge, score)| add(edge, score));
        }
        let objects = self.scratch.entries(objects);
        let related = objects.iter().filter(|(_, rows)| rows.units != 0);
        list.extend(related.map(|(object, rows)| Reached {
            object: *object,
            time_us: rows.newest_us,
            score: score(rows.units),
        }));
        self.scratch.keep_entries(objects);
    }

    fn keep(&self, hop: &Hop, start: ObjectId, set: Set, list: &mut Vec<Reached>) {
        match set {
            Set::All => {}
            Set::Recent(k) => keep_first(self.graph, hop.to, list, k, by_time),
            Set::Top(k) => keep_first(self.graph, hop.to, list, k, by_score),
            Set::Sample { k, seed } => self.sample(hop, start, k, seed, list),
        }
    }

    fn sample(&self, hop: &Hop, start: ObjectId, k: usize, seed: u64, list: &mut Vec<Reached>) {
        if list.len() <= k {
            return;
        }
        let start = self.graph.name(hop.from, start).map_or(0, |name| hash_str(&name));
        let mut lots: Vec<_> = list
            .drain(..)
            .map(|reached| {
                let name = self.graph.name(hop.to, reached.object);
                (name.as_deref().map(|name| lot(seed, start, hash_str(name))), name, reached)
            })
            .collect();
        lots.sort_unstable_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        list.extend(lots.into_iter().take(k).map(|(_, _, reached)| reached));
    }

    fn weigh_positions(&self, hop: &Hop, list: &mut [Reached]) {
        sort(self.graph, hop.to, list, by_time);
        let kept = list.len() as f64;
        for (place, reached) in list.iter_mut().enumerate() {
            reached.score = rounded(reached.score * ((kept - place as f64) / kept));
        }
    }
}

fn each_score(list: &mut [Reached], change: impl Fn(f64) -> f64) {
    let mut change = once_for_equals(change);
    list.iter_mut().for_each(|reached| reached.score = change(reached.score));
}

fn reached(edge: &Edge, score: f64) -> Reached {
    Reached { object: edge.other, time_us: edge.time_us, score }
}

/// Where an object stands in a sample's queue: the finaliser of splitmix64 over the seed and both texts.
fn lot(seed: u64, start: u64, object: u64) -> u64 {
    let mut bits = object ^ start.rotate_left(32) ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
