//! Why an object was found: the objects in the middle, each with its part of the score. The parts sum exactly to it.

use super::fixed::{score, units};
use super::order::{by_score, sort};
use super::scratch::{Reached, Scratch};
use super::spec::{Jump, Merger, Path, Step};
use super::walk::Walk;
use crate::graph::{Graph, ObjectId};
use std::sync::Arc;

/// A part of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Because {
    /// The object in the middle; nothing where one hop led here.
    pub through: Option<Arc<str>>,
    /// Its part of the score, as a number for people.
    pub score: f64,
    /// The same in units of 2^-40: these sum up exactly.
    pub units: i128,
}

impl Path {
    /// The parts of the score that the path gives an object, the score itself in units first; `None` when it does not
    /// lead there.
    ///
    /// A part is an object in the middle with its share of the score: in proportion to its l·r where the merger adds
    /// these, to one where it counts objects, all of it where one object decides.
    pub fn explain<G: Graph + ?Sized>(
        &self,
        graph: &G,
        start: ObjectId,
        object: ObjectId,
        scratch: &mut Scratch,
    ) -> Option<(i128, Vec<Because>)> {
        let mut walk = Walk::new(graph, scratch);
        let total = walk.score_of(self, start, object)?;
        let total = units(total);
        let Step::Jump(jump) = &self.step else {
            return Some((total, vec![Because { through: None, score: score(total), units: total }]));
        };
        let mut shares = walk.shares(jump, start, object);
        if matches!(jump.merger, Merger::Max | Merger::First) {
            let best = |a: &(Reached, f64), b: &(Reached, f64)| b.1.total_cmp(&a.1);
            if matches!(jump.merger, Merger::Max) {
                shares.sort_by(best);
            }
            shares.truncate(1);
        }
        let parts = deal(total, &shares.iter().map(|(_, share)| *share).collect::<Vec<_>>());
        let because = shares.into_iter().zip(parts).map(|((middle, _), units)| Because {
            through: graph.name(jump.left.to, middle.object),
            score: score(units),
            units,
        });
        Some((total, because.collect()))
    }
}

impl<G: Graph + ?Sized> Walk<'_, G> {
    fn score_of(&mut self, path: &Path, start: ObjectId, object: ObjectId) -> Option<f64> {
        let list = self.all(path, start);
        let mut found = None;
        list.entries().each(|reached| found = (reached.object == object).then_some(reached.score).or(found));
        self.scratch.take_back(list);
        found
    }

    /// The objects in the middle that lead to an object, the highest score first, each with its weight in the merger.
    fn shares(&mut self, jump: &Jump, start: ObjectId, object: ObjectId) -> Vec<(Reached, f64)> {
        let mut left = self.scratch.list();
        self.path(&jump.left, start, &mut left);
        sort(self.graph, jump.left.to, &mut left, by_score);
        let counts =
            matches!(jump.merger, Merger::Count | Merger::Jaccard | Merger::Llr | Merger::Lift | Merger::Swing(_));
        let mut shares = Vec::new();
        for middle in &left {
            if let Some(right) = self.score_of(&jump.right, middle.object, object) {
                shares.push((*middle, if counts { 1.0 } else { middle.score * right }));
            }
        }
        self.scratch.keep_list(left);
        shares
    }
}

/// Deals a total out in proportion to shares. What is dealt sums to the total, whatever is rounded.
fn deal(total: i128, shares: &[f64]) -> Vec<i128> {
    let sum: f64 = shares.iter().sum();
    let (mut before, mut dealt) = (0.0, 0);
    let mut parts: Vec<i128> = shares
        .iter()
        .map(|share| {
            before += share;
            let upto = units(score(total) * (before / sum));
            let part = upto - dealt;
            dealt = upto;
            part
        })
        .collect();
    if let Some(last) = parts.last_mut() {
        *last += total - dealt;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dealt_sums_to_the_total() {
        for (total, shares) in
            [(10, vec![1.0, 1.0, 1.0]), (1 << 90, vec![0.1, 0.7]), (7, vec![0.0, 0.0]), (-5, vec![2.0])]
        {
            let parts = deal(total, &shares);
            assert_eq!(parts.iter().sum::<i128>(), total, "{shares:?}");
            assert_eq!(parts.len(), shares.len());
        }
        assert_eq!(deal(12, &[1.0, 3.0]), [3, 9]);
    }
}
