//! Each subject's edges, in as few words as the relation needs: see [`EdgeLayout`].
//!
//! An id and a weight share a word until they do not fit, a weight is one word until one of the shard does not fit, a time
//! is whole seconds until one is not; then all edges of the shard are written anew, once for each.

use super::layout::EdgeLayout;
use crate::slab::{Array, Slab, prefetch};
use crate::table::Table;
use proxima_event::KEY_GROUPS;
use std::ops::Range;

/// What is known of an edge from its subject's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredEdge {
    pub(super) object: u32,
    pub(super) weight: i64,
    pub(super) time_us: i64,
    /// The place of its attributes.
    pub(super) row: u32,
}

/// The edges of a shard's subjects. Those of a relation with times lie in the order of their times.
#[derive(Debug)]
pub(super) struct Edges {
    pub(super) layout: EdgeLayout,
    /// First the heads of a subject's edges, then the tails, from where the heads of as many as there is room for end. The
    /// length of an array is how many edges there are.
    slab: Slab,
    /// By the number in the key group, and by the group among those of the shard.
    subjects: Table<Array>,
    groups: Range<usize>,
    count: u64,
    /// No weight was ever further from zero.
    heaviest: u64,
}

impl Edges {
    /// For subjects of these key groups.
    pub(super) fn new(layout: EdgeLayout, groups: Range<usize>) -> Self {
        Self { layout, slab: Slab::default(), subjects: Table::default(), groups, count: 0, heaviest: 0 }
    }

    /// How many edges there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many edges a subject has.
    #[inline]
    pub(super) fn len(&self, subject: u32) -> usize {
        self.array(subject).len()
    }

    /// The heads of a subject's edges.
    #[inline]
    pub(super) fn heads(&self, subject: u32) -> &[u32] {
        let array = self.array(subject);
        &self.slab.room(array)[..array.len() * self.layout.head_words()]
    }

    /// The heads of a subject's edges, and the tails.
    #[inline]
    pub(super) fn both(&self, subject: u32) -> (&[u32], &[u32]) {
        let array = self.array(subject);
        let room = self.slab.room(array);
        let (heads, tails) = room.split_at(self.layout.capacity(room.len()) * self.layout.head_words());
        (&heads[..array.len() * self.layout.head_words()], &tails[..array.len() * self.layout.tail_words()])
    }

    /// The place of a subject's first edge to an object.
    pub(super) fn place_of(&self, subject: u32, object: u32) -> Option<usize> {
        self.layout.place_of(self.heads(subject), object)
    }

    pub(super) fn get(&self, subject: u32, place: usize) -> StoredEdge {
        let (heads, tails) = self.both(subject);
        self.layout.edge(heads, tails, place)
    }

    /// A subject's edges from a place on.
    pub(super) fn from(&self, subject: u32, place: usize) -> impl DoubleEndedIterator<Item = StoredEdge> {
        let (heads, tails) = self.both(subject);
        (place..self.len(subject)).map(move |place| self.layout.edge(heads, tails, place))
    }

    /// The place of a subject's first edge that is not older than this time.
    pub(super) fn first_from(&self, subject: u32, time_us: i64) -> usize {
        let (tails, count) = (self.both(subject).1, self.len(subject));
        let time = |place: usize| self.layout.time_us(&tails[place * self.layout.tail_words()..]);
        // New edges mostly belong to the end.
        if count == 0 || time(count - 1) < time_us {
            return count;
        }
        let (mut low, mut high) = (0, count - 1);
        while low < high {
            let middle = low.midpoint(high);
            if time(middle) < time_us { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The subjects of a key group that have edges.
    pub(super) fn subjects(&self, group: usize) -> impl Iterator<Item = u32> {
        let places = (group.wrapping_sub(self.groups.start)..self.subjects.len()).step_by(self.groups.len().max(1));
        let numbers = places.enumerate().filter(|&(_, place)| self.subjects[place].len() > 0);
        numbers
            .filter(move |_| self.groups.contains(&group))
            .map(move |(number, _)| (number * KEY_GROUPS + group) as u32)
    }

    /// Puts an edge at a place, before those that are there and behind it.
    pub(super) fn insert(&mut self, subject: u32, place: usize, edge: &StoredEdge) {
        self.widen_for(edge);
        let (layout, at) = (self.layout, self.place(subject));
        let array = self.subjects.at(at);
        let count = array.len();
        if count == layout.capacity(array.capacity()) {
            *array = enlarged(&mut self.slab, *array, layout);
        }
        let room = self.slab.room_mut(array);
        let capacity = layout.capacity(room.len());
        let (heads, tails) = room.split_at_mut(capacity * layout.head_words());
        layout.write_head(edge, open(heads, layout.head_words(), place, count));
        layout.write_tail(edge, open(tails, layout.tail_words(), place, count));
        array.set_len(count + 1);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, subject: u32, place: usize) {
        let (layout, at) = (self.layout, self.place(subject));
        let array = self.subjects.at(at);
        let room = self.slab.room_mut(array);
        let capacity = layout.capacity(room.len());
        let (heads, tails) = room.split_at_mut(capacity * layout.head_words());
        close(heads, layout.head_words(), place, array.len());
        close(tails, layout.tail_words(), place, array.len());
        match array.len() - 1 {
            0 => self.slab.free(array),
            left => array.set_len(left),
        }
        self.count -= 1;
    }

    pub(super) fn set_weight(&mut self, subject: u32, place: usize, weight: i64) {
        let edge = StoredEdge { weight, ..self.get(subject, place) };
        self.widen_for(&edge);
        let words = self.layout.head_words();
        let room = self.slab.room_mut(&self.subjects[self.place(subject)]);
        self.layout.write_head(&edge, &mut room[place * words..(place + 1) * words]);
    }

    /// Asks the processor to load what leads to a subject's edges.
    #[inline]
    pub(super) fn prefetch_subject(&self, subject: u32) {
        if let Some(array) = self.subjects.get(self.place(subject)) {
            prefetch(array);
        }
    }

    /// Asks the processor to load the heads of the last `shown` edges of a subject; best some time after
    /// [`Edges::prefetch_subject`].
    #[inline]
    pub(super) fn prefetch_heads(&self, subject: u32, shown: usize) {
        prefetch_last(self.heads(subject), shown.saturating_mul(self.layout.head_words()));
    }

    /// As [`Edges::prefetch_heads`], and the tail of the last edge.
    #[inline]
    pub(super) fn prefetch_edges(&self, subject: u32, shown: usize) {
        let (heads, tails) = self.both(subject);
        prefetch_last(heads, shown.saturating_mul(self.layout.head_words()));
        tails.last().into_iter().for_each(prefetch);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.slab.bytes() + self.subjects.bytes()
    }

    /// Where a subject stands.
    #[inline]
    fn place(&self, subject: u32) -> usize {
        let (group, number) = (subject as usize % KEY_GROUPS, subject as usize / KEY_GROUPS);
        debug_assert!(self.groups.contains(&group), "a subject's edges are in the shard of its key group");
        number * self.groups.len() + (group - self.groups.start)
    }

    #[inline]
    fn array(&self, subject: u32) -> &Array {
        self.subjects.get(self.place(subject)).unwrap_or(const { &Array::EMPTY })
    }

    fn widen_for(&mut self, edge: &StoredEdge) {
        self.heaviest = self.heaviest.max(edge.weight.unsigned_abs());
        if !self.layout.holds(edge) {
            self.rewrite(self.layout.widened(edge, self.heaviest));
        }
    }

    #[cold]
    fn rewrite(&mut self, layout: EdgeLayout) {
        let mut slab = Slab::default();
        let words = layout.head_words() + layout.tail_words();
        for array in self.subjects.values_mut().iter_mut().filter(|array| array.len() > 0) {
            let edges = read(&self.slab, array, self.layout);
            let mut wide = slab.array(array.len() * words);
            wide.set_len(array.len());
            let room = slab.room_mut(&wide);
            let (heads, tails) = room.split_at_mut(layout.capacity(room.len()) * layout.head_words());
            for (place, edge) in edges.enumerate() {
                layout.write_head(&edge, &mut heads[place * layout.head_words()..][..layout.head_words()]);
                layout.write_tail(&edge, &mut tails[place * layout.tail_words()..][..layout.tail_words()]);
            }
            *array = wide;
        }
        (self.slab, self.layout) = (slab, layout);
    }
}

/// Asks the processor to load the last words of some.
#[inline]
fn prefetch_last(words: &[u32], count: usize) {
    /// Words in a cache line; and lines that are asked for: what lies behind them the processor guesses.
    const LINE: usize = 16;
    const LINES: usize = 8;
    let Some(last) = words.len().checked_sub(1) else { return };
    let mut at = words.len() - words.len().min(count);
    let end = last.min(at + LINES * LINE);
    while at < end {
        prefetch(&words[at]);
        at += LINE;
    }
    prefetch(&words[last]);
}

/// The edges of an array.
fn read(slab: &Slab, array: &Array, layout: EdgeLayout) -> impl Iterator<Item = StoredEdge> {
    let room = slab.room(array);
    let (heads, tails) = room.split_at(layout.capacity(room.len()) * layout.head_words());
    (0..array.len()).map(move |place| layout.edge(heads, tails, place))
}

/// An array that has room for one edge more, with the edges of one that has not.
fn enlarged(slab: &mut Slab, mut array: Array, layout: EdgeLayout) -> Array {
    let (count, head_words, tail_words) = (array.len(), layout.head_words(), layout.tail_words());
    let mut larger = slab.array((count + 1) * (head_words + tail_words));
    larger.set_len(count);
    if count > 0 {
        let (from, to) = slab.both(&array, &larger);
        let (from_tails, to_tails) = (layout.capacity(from.len()) * head_words, layout.capacity(to.len()) * head_words);
        to[..count * head_words].copy_from_slice(&from[..count * head_words]);
        to[to_tails..][..count * tail_words].copy_from_slice(&from[from_tails..][..count * tail_words]);
        slab.free(&mut array);
    }
    larger
}

/// Makes room for one more at a place among so many things of so many words each.
fn open(all: &mut [u32], words: usize, place: usize, count: usize) -> &mut [u32] {
    if place < count {
        all.copy_within(place * words..count * words, (place + 1) * words);
    }
    &mut all[place * words..(place + 1) * words]
}

/// Takes away the one at a place among so many things of so many words each.
fn close(all: &mut [u32], words: usize, place: usize, count: usize) {
    all.copy_within((place + 1) * words..count * words, place * words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NO_TIME;
    use crate::live::attributes::NO_ROW;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::{BTreeMap, BTreeSet};

    const SECOND_US: i64 = 1_000_000;

    fn edge(object: u32, weight: i64, time_us: i64) -> StoredEdge {
        StoredEdge { object, weight, time_us, row: NO_ROW }
    }

    #[test]
    fn edges_stand_where_they_were_put() {
        let mut edges = Edges::new(EdgeLayout::new(false, false), 0..KEY_GROUPS);
        let subject = 7 << 8 | 3;
        for (place, object) in [(0, 1), (1, 3), (1, 2), (0, 0)] {
            edges.insert(subject, place, &edge(object, -1, NO_TIME));
        }
        edges.set_weight(subject, 2, 9);
        edges.remove(subject, 0);
        let expected = [edge(1, -1, NO_TIME), edge(2, 9, NO_TIME), edge(3, -1, NO_TIME)];
        assert_eq!(edges.from(subject, 0).collect::<Vec<_>>(), expected);
        assert_eq!((edges.len(subject), edges.len(5), edges.count()), (3, 0, 3));
        assert_eq!(edges.subjects(3).collect::<Vec<_>>(), [subject]);
        (0..3).for_each(|_| edges.remove(subject, 0));
        assert_eq!(edges.subjects(3).count(), 0);
    }

    #[test]
    fn an_edge_is_as_wide_as_the_widest_needs() {
        let mut edges = Edges::new(EdgeLayout::new(true, true), 0..KEY_GROUPS);
        let mut expected = Vec::new();
        let widest = i64::from(i32::MAX);
        let cases = [
            (1, 1, 5 * SECOND_US),
            (70_000, -2_047, 6 * SECOND_US),
            (1, 2_047, 7 * SECOND_US),
            (1 << 21, 1, 8 * SECOND_US),
            (1, -widest, 9 * SECOND_US),
            (1, widest + 1, 9 * SECOND_US),
            (2, i64::MIN, i64::MAX - 1),
            (u32::MAX, 3, i64::MAX),
        ];
        let words = cases.map(|(object, weight, time_us)| {
            let edge = StoredEdge { object, weight, time_us, row: 7 };
            edges.insert(1, expected.len(), &edge);
            expected.push(edge);
            assert_eq!(edges.from(1, 0).collect::<Vec<_>>(), expected);
            (edges.layout.head_words(), edges.layout.tail_words())
        });
        assert_eq!(words, [(1, 2), (1, 2), (1, 2), (2, 2), (2, 2), (3, 2), (3, 3), (3, 3)]);
    }

    #[test]
    fn random_changes_equal_lists_in_every_layout() {
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut edges = Edges::new(EdgeLayout::new(seed % 2 == 0, seed % 3 == 0), 128..192);
            let mut lists = BTreeMap::<u32, Vec<StoredEdge>>::new();
            let (ids, weights) = ([100, 1 << 18, 1 << 30][seed as usize % 3], [3, 1 << 14, 1 << 40][seed as usize % 3]);
            for _ in 0..2_000 {
                let subject = rng.random_range(0..3) << 8 | rng.random_range(128..192);
                let list = lists.entry(subject).or_default();
                let weight = rng.random_range(-weights..weights);
                match rng.random_range(0..10) {
                    0 if !list.is_empty() => {
                        let place = rng.random_range(0..list.len());
                        edges.remove(subject, place);
                        list.remove(place);
                    }
                    1 if !list.is_empty() => {
                        let place = rng.random_range(0..list.len());
                        edges.set_weight(subject, place, weight);
                        list[place].weight = weight;
                    }
                    _ => {
                        let place = rng.random_range(0..=list.len());
                        let time_us = if seed % 2 == 0 { rng.random_range(0..9) * SECOND_US } else { NO_TIME };
                        let row = if seed % 3 == 0 { rng.random_range(0..100) } else { NO_ROW };
                        let edge = StoredEdge { object: rng.random_range(0..ids), weight, time_us, row };
                        edges.insert(subject, place, &edge);
                        list.insert(place, edge);
                    }
                }
            }
            for (&subject, list) in &lists {
                assert_eq!(edges.from(subject, 0).collect::<Vec<_>>(), *list, "seed {seed}");
                let (layout, heads, object) = (edges.layout, edges.heads(subject), rng.random_range(0..ids));
                let place = list.iter().position(|edge| edge.object == object);
                assert_eq!((layout.place_of(heads, object), layout.leads_to(heads, object)), (place, place.is_some()));
                let weight = list.iter().filter(|edge| edge.object == object).map(|edge| edge.weight).sum::<i64>();
                assert_eq!(layout.weight_to(heads, object), weight);
            }
            let all: BTreeSet<u32> = (0..KEY_GROUPS).flat_map(|group| edges.subjects(group)).collect();
            let expected = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(&subject, _)| subject);
            assert!(all.into_iter().eq(expected), "seed {seed}");
            assert_eq!(edges.count(), lists.values().map(|list| list.len() as u64).sum::<u64>());
        }
    }
}
