//! How many subjects two objects share: pair counts, kept and gathered as pair sums are, where a path asks for them.
//!
//! A subject counts one for two objects when the weights of its shown edges to each do not sum to zero.

use super::layout::EdgeLayout;
use super::shard::Shard;
use crate::sums::Sums;

/// The objects that a subject is related to, as edges in [`EdgeLayout::PLAIN`] whose weights are one. Holds memory alone
/// between two subjects.
#[derive(Debug, Default)]
pub(super) struct Related {
    weights: Sums,
    edges: Vec<u32>,
}

impl Related {
    /// Those that edges lead to, of which several may lead to the same object unless they are simple.
    pub(super) fn of(&mut self, layout: EdgeLayout, heads: &[u32], is_simple: bool) -> &[u32] {
        let (weights, ones) = (&mut self.weights, &mut self.edges);
        ones.clear();
        if is_simple {
            layout.each(heads, |object, _| ones.extend([object, 1]));
        } else {
            layout.each(heads, |object, weight| weights.add_all(std::iter::once((object, weight))));
            weights.drain(|object, _| ones.extend([object, 1]));
        }
        ones
    }
}

impl Shard {
    /// Adds the pair counts of an object in this shard: from its row if it has one, else by way of its subjects.
    pub(super) fn pair_counts(&self, object: u32, counts: &mut Sums, related: &mut Related) {
        if !self.add_row(self.counts.as_ref(), object, counts) {
            self.gather_counts(object, counts, related);
        }
    }

    /// Adds the pair counts of an object by way of its subjects to counts that have room for all objects.
    pub(super) fn gather_counts(&self, object: u32, counts: &mut Sums, related: &mut Related) {
        let subjects = self.inverted.candidates(object);
        for (index, &subject) in subjects.iter().enumerate() {
            self.prefetch_subject(subjects, index);
            let related = related.of(self.edges.layout, self.shown_heads(subject), self.is_simple);
            if EdgeLayout::PLAIN.place_of(related, object).is_some() {
                let others = related.chunks_exact(2).map(|edge| edge[0]).filter(|other| *other != object);
                others.for_each(|other| counts.add(other, 1));
            }
        }
    }
}
