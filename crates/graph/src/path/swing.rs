//! Swing: two objects are alike when pairs of others that lead to both have little else in common.
//!
//! Yang et al., "Large Scale Product Graph Construction for Recommendation in E-commerce" (arXiv:2010.05525, 2020):
//! the sum over all pairs u, v that lead to both of w(u)·w(v) / (α + |I(u) ∩ I(v)|), where I(u) is what u leads to and
//! w(u) = 1 / √|I(u)|. Each pair counts once.

use super::fixed::{score, units};
use super::jump::behind_jump;
use super::scratch::Reached;
use super::spec::{Jump, Path, Swing};
use super::walk::Walk;
use crate::graph::{Graph, ObjectId};

/// How many objects in the middle a jump with this merger may have: it looks at all their pairs.
pub const SWING_MIDDLES_MAX: usize = 2_000;

/// What leads to one object: the places of objects in the middle.
type Leaders = Vec<u32>;

impl<G: Graph + ?Sized> Walk<'_, G> {
    pub(super) fn swing(&mut self, path: &Path, jump: &Jump, swing: Swing, start: ObjectId, list: &mut Vec<Reached>) {
        let (leaders, sizes) = self.leaders(jump, start);
        let weights: Vec<f64> =
            sizes.iter().map(|&size| if swing.weigh { 1.0 / f64::from(size).sqrt() } else { 1.0 }).collect();
        let mut common = Pairs::new(sizes.len());
        for (_, middles) in &leaders {
            each_pair(middles, |u, v| common.add(u, v));
        }
        let itself = jump.leaves_out(path, start);
        for (object, middles) in leaders.iter().filter(|(object, _)| Some(*object) != itself) {
            let mut sum = 0;
            each_pair(middles, |u, v| {
                let weight = weights[u as usize] * weights[v as usize];
                sum += units(weight / (swing.alpha + f64::from(common.of(u, v))));
            });
            list.push(behind_jump(*object, score(sum)));
        }
    }

    /// For each object that is reached, by which in the middle; and how many objects each of these leads to.
    fn leaders(&mut self, jump: &Jump, start: ObjectId) -> (Vec<(ObjectId, Leaders)>, Vec<u32>) {
        let mut left = self.scratch.list();
        self.path(&jump.left, start, &mut left);
        let mut table = self.scratch.table::<Leaders>();
        let mut sizes = Vec::with_capacity(left.len());
        for (place, middle) in (0_u32..).zip(&left) {
            let right = self.all(&jump.right, middle.object);
            let ends = right.entries();
            sizes.push(u32::try_from(ends.len()).expect("there are fewer objects than ids"));
            ends.each(|reached| table.at(reached.object).push(place));
            self.scratch.take_back(right);
        }
        self.scratch.keep_list(left);
        (self.scratch.entries(table), sizes)
    }
}

/// All pairs, the lower place first: places rise within the list.
fn each_pair(middles: &[u32], mut pair: impl FnMut(u32, u32)) {
    for (after, &u) in (1..).zip(middles) {
        for &v in &middles[after..] {
            pair(u, v);
        }
    }
}

/// A count for each pair.
struct Pairs {
    counts: Vec<u32>,
    width: usize,
}

impl Pairs {
    fn new(width: usize) -> Self {
        Self { counts: vec![0; width * width], width }
    }

    fn add(&mut self, u: u32, v: u32) {
        self.counts[u as usize * self.width + v as usize] += 1;
    }

    fn of(&self, u: u32, v: u32) -> u32 {
        self.counts[u as usize * self.width + v as usize]
    }
}
