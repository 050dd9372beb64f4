//! What readers ask a shard.

use super::best::Best;
use super::norms::Norm;
use super::pairs::Pairs;
use super::rows::EdgeRows;
use super::shard::Shard;
use crate::catalogue::Relation;
use crate::gather::Gather;
use crate::graph::{Edge, EdgeRow, ObjectId, Pair};
use crate::live::attributes::Given;
use crate::live::edges::StoredEdge;
use crate::sums::{Sum, Sums};
use hashbrown::HashMap;

/// So many subjects or rows are asked for together: the processor finds out where several lie at the same time, but not
/// while it has other work in between. What leads to their edges is asked for one group before these.
const GROUP: usize = 8;

impl Shard {
    /// Appends the shown edges of a subject.
    pub(super) fn edges_from(&self, shard: u16, subject: u32, edges: &mut Vec<Edge>) {
        edges.extend(self.shown(subject).map(|edge| seen(&edge, edge.object, shard)));
    }

    /// Appends the shown edges to an object.
    pub(super) fn edges_to(&self, shard: u16, object: u32, edges: &mut Vec<Edge>) {
        let (layout, subjects) = (self.edges.layout, self.inverted.candidates(object));
        for (index, &subject) in subjects.iter().enumerate() {
            self.prefetch_subject(subjects, index);
            let ((heads, tails), first) = (self.edges.both(subject), self.first_shown(self.edges.len(subject)));
            let give = |place, _| edges.push(seen(&layout.edge(heads, tails, first + place), subject, shard));
            layout.each_to(&heads[first * layout.head_words()..], object, give);
        }
    }

    /// Hands over the shown edges of a subject.
    pub(super) fn gather_from(&self, subject: u32, gather: &mut Gather) {
        self.edges.layout.gather(self.shown_heads(subject), gather);
    }

    /// Hands over the shown edges to an object.
    pub(super) fn gather_to(&self, object: u32, gather: &mut Gather) {
        let (layout, subjects) = (self.edges.layout, self.inverted.candidates(object));
        for (index, &subject) in subjects.iter().enumerate() {
            self.prefetch_subject(subjects, index);
            let give = |_, weight| gather.extend(std::iter::once((ObjectId(subject), weight)));
            layout.each_to(self.shown_heads(subject), object, give);
        }
    }

    /// The heads of a subject's edges that are shown.
    #[inline]
    pub(super) fn shown_heads(&self, subject: u32) -> &[u32] {
        let heads = self.edges.heads(subject);
        let shown = self.shown_max().saturating_mul(self.edges.layout.head_words());
        &heads[heads.len() - heads.len().min(shown)..]
    }

    /// Adds the pair sums of an object in this shard: from its row if it has one, else by way of its subjects.
    pub(super) fn pair_sums<T: Sum>(&self, object: u32, sums: &mut Sums<T>) {
        if !self.add_row(self.pairs.as_ref(), object, sums) {
            self.gather(object, sums);
        }
    }

    /// Makes room for the sums of an object, and adds its row among these. False where it has none.
    pub(super) fn add_row<T: Sum>(&self, rows: Option<&Pairs>, object: u32, sums: &mut Sums<T>) -> bool {
        /// What may name one in so many of all objects, row or edges, is taken to name most.
        const DENSE_FROM_ONE_IN: usize = 4;
        let ids = self.inverted.ids();
        sums.reserve(ids, rows.is_some_and(|rows| rows.steps(object) > ids / DENSE_FROM_ONE_IN));
        let rows = rows.filter(|rows| rows.is_hot(object));
        rows.inspect(|rows| rows.rows().each(object, |other, sum| sums.add(other, sum))).is_some()
    }

    /// Appends the best pairs of an object that has all of them in one row. False where it has none such.
    pub(super) fn best_of_row(&self, object: u32, n: usize, pairs: &mut Vec<Pair>) -> bool {
        let Some(rows) = self.pairs.as_ref().filter(|_| self.norms.is_narrow()) else { return false };
        let mut best = Best::new(n, self.norms.squares(object), pairs);
        rows.rows().runs(object, |first, sums| best.offer_run(first, sums, self.norms.squares_from(first), |sum| sum))
    }

    /// Adds the pair sums of an object by way of its subjects to sums that have room for all objects.
    pub(super) fn gather<T: Sum>(&self, object: u32, sums: &mut Sums<T>) {
        let subjects = self.inverted.candidates(object);
        let layout = self.edges.layout;
        for (index, &subject) in subjects.iter().enumerate() {
            self.prefetch_subject(subjects, index);
            let edges = self.shown_heads(subject);
            let weight = layout.weight_to(edges, object);
            if weight != 0 {
                layout.add_up(edges, weight, sums);
            }
        }
        // Its own is not asked for, and to leave it out each time would take longer.
        sums.clear(object);
    }

    /// The norm of a subject, whose edges all lie here.
    pub(super) fn norm_of_subject(&self, subject: u32) -> Norm {
        let mut weights = HashMap::<u32, i64>::new();
        for edge in self.shown(subject) {
            let weight = weights.entry(edge.object).or_default();
            *weight = weight.wrapping_add(edge.weight);
        }
        let weights = weights.into_values().filter(|&weight| weight != 0);
        weights.fold(Norm::default(), |norm, weight| Norm {
            subjects: norm.subjects + 1,
            squares: norm.squares + i128::from(weight) * i128::from(weight),
        })
    }

    /// Asks the processor for the edges of subjects some places ahead in a list.
    #[inline]
    pub(super) fn prefetch_subject(&self, subjects: &[u32], index: usize) {
        if index.is_multiple_of(GROUP) {
            let [near, far] = ahead(subjects, index);
            far.iter().for_each(|&subject| self.edges.prefetch_subject(subject));
            near.iter().for_each(|&subject| self.edges.prefetch_heads(subject, self.shown_max()));
        }
    }

    /// Asks the processor for what rows some places ahead change.
    #[inline]
    pub(super) fn prefetch_row(&self, subjects: &[u32], objects: &[u32], index: usize) {
        if index.is_multiple_of(GROUP) {
            let [near, far] = ahead(subjects, index);
            far.iter().for_each(|&subject| self.edges.prefetch_subject(subject));
            near.iter().for_each(|&subject| self.edges.prefetch_edges(subject, self.shown_max()));
            let [near, far] = ahead(objects, index);
            for &object in far {
                self.inverted.prefetch_head(object);
                self.norms.prefetch(object);
                self.each_pairs(|pairs| pairs.prefetch(object));
            }
            near.iter().for_each(|&object| self.inverted.prefetch_end(object));
            subjects[index..].iter().take(GROUP).for_each(|&subject| self.prefetch_work(subject));
        }
    }

    /// Asks the processor for how much work it is to gather a subject's objects, where that is about to change.
    #[inline]
    fn prefetch_work(&self, subject: u32) {
        let count = self.edges.len(subject);
        if count < self.shown_max() && Pairs::work_of(count) != Pairs::work_of(count + 1) {
            let (layout, heads) = (self.edges.layout, self.edges.heads(subject));
            self.each_pairs(|pairs| layout.each(heads, |object, _| pairs.prefetch(object)));
        }
    }

    fn each_pairs(&self, call: impl FnMut(&Pairs)) {
        [&self.pairs, &self.counts].into_iter().flatten().for_each(call);
    }

    /// All edges of a key group's subjects, shown or not, in the order they lie in.
    pub(super) fn export(&self, group: usize, relation: &Relation) -> EdgeRows {
        let (mut subjects, mut edges) = (Vec::new(), Vec::<StoredEdge>::new());
        for subject in self.edges.subjects(group) {
            edges.extend(self.edges.from(subject, 0));
            subjects.resize(edges.len(), subject);
        }
        let places: Vec<u32> = edges.iter().map(|edge| edge.row).collect();
        EdgeRows {
            subjects,
            objects: edges.iter().map(|edge| edge.object).collect(),
            weights: edges.iter().map(|edge| edge.weight).collect(),
            times_us: if relation.timed { edges.iter().map(|edge| edge.time_us).collect() } else { Vec::new() },
            given: Given::of(&relation.attributes, &self.attributes.export(&places)),
        }
    }
}

/// What comes after a group in a list: the next group, and the one after that. At the beginning the first one is next.
fn ahead(list: &[u32], index: usize) -> [&[u32]; 2] {
    let place = |groups: usize| (index + groups * GROUP).min(list.len());
    let first = if index == 0 { 0 } else { 1 };
    [&list[place(first)..place(2)], &list[place(2 * first)..place(3)]]
}

fn seen(edge: &StoredEdge, other: u32, shard: u16) -> Edge {
    let row = EdgeRow { shard, place: edge.row };
    Edge { other: ObjectId(other), weight: edge.weight, time_us: edge.time_us, row }
}
