//! Each subject's edges, in as few words as the relation needs: the object, the weight, and where it has them the time
//! and the place of the attributes.
//!
//! A weight is one word until one of the shard does not fit, a time is whole seconds until one is not; then all edges of
//! the shard are written anew, once, with two words.

use crate::gather::Gather;
use crate::graph::{NO_TIME, ObjectId};
use crate::slab::{Array, Slab, prefetch};
use crate::sums::Sums;
use proxima_event::KEY_GROUPS;

/// What is known of an edge from its subject's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredEdge {
    pub(super) object: u32,
    pub(super) weight: i64,
    pub(super) time_us: i64,
    /// The place of its attributes.
    pub(super) row: u32,
}

/// How many words of an edge hold what. The object comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EdgeLayout {
    weight_words: usize,
    time_words: usize,
    row_words: usize,
}

const SECOND_US: i64 = 1_000_000;

impl EdgeLayout {
    /// Object and weight, and the weight is small.
    pub(super) const PLAIN: Self = Self { weight_words: 1, time_words: 0, row_words: 0 };

    pub(super) fn new(timed: bool, attributed: bool) -> Self {
        Self { weight_words: 1, time_words: usize::from(timed), row_words: usize::from(attributed) }
    }

    #[inline]
    pub(super) fn words(self) -> usize {
        1 + self.weight_words + self.time_words + self.row_words
    }

    #[inline]
    pub(super) fn weight(self, words: &[u32]) -> i64 {
        if self.weight_words == 1 { i64::from(words[1] as i32) } else { join(words[1], words[2]) }
    }

    #[inline]
    pub(super) fn time_us(self, words: &[u32]) -> i64 {
        let at = 1 + self.weight_words;
        match self.time_words {
            0 => NO_TIME,
            1 => i64::from(words[at]) * SECOND_US,
            _ => join(words[at], words[at + 1]),
        }
    }

    /// How many edges so many words hold. Lengths are asked for all the time, and dividing by a constant is no division.
    #[inline]
    pub(super) fn count(self, len: usize) -> usize {
        match self.words() {
            2 => len / 2,
            3 => len / 3,
            4 => len / 4,
            5 => len / 5,
            words => len / words,
        }
    }

    /// Gives the object and the weight of each edge, in order.
    #[inline]
    pub(super) fn each(self, edges: &[u32], give: impl FnMut(u32, i64)) {
        match (self.weight_words, self.words()) {
            (1, 2) => each_narrow::<2>(edges, give),
            (1, 3) => each_narrow::<3>(edges, give),
            (1, 4) => each_narrow::<4>(edges, give),
            (1, 5) => each_narrow::<5>(edges, give),
            _ => self.each_wide(edges, give),
        }
    }

    /// Gives the place and the weight of each edge to an object.
    #[inline]
    pub(super) fn each_to(self, edges: &[u32], object: u32, mut give: impl FnMut(usize, i64)) {
        let mut place = 0;
        self.each(edges, |other, weight| {
            if other == object {
                give(place, weight);
            }
            place += 1;
        });
    }

    /// Hands over the object and the weight of each edge.
    pub(super) fn gather(self, edges: &[u32], gather: &mut Gather) {
        match (self.weight_words, self.words()) {
            (1, 2) => gather.extend(narrow::<2>(edges)),
            (1, 3) => gather.extend(narrow::<3>(edges)),
            (1, 4) => gather.extend(narrow::<4>(edges)),
            (1, 5) => gather.extend(narrow::<5>(edges)),
            (_, words) => {
                gather.extend(edges.chunks_exact(words).map(|edge| (ObjectId(edge[0]), self.weight(edge))));
            }
        }
    }

    /// Adds so many times the weight of each edge to the sum of its object.
    pub(super) fn add(self, edges: &[u32], times: i64, sums: &mut Sums) {
        let value = |(object, weight): (ObjectId, i64)| (object.0, times.wrapping_mul(weight));
        match (self.weight_words, self.words()) {
            (1, 2) => sums.add_all(narrow::<2>(edges).map(value)),
            (1, 3) => sums.add_all(narrow::<3>(edges).map(value)),
            (1, 4) => sums.add_all(narrow::<4>(edges).map(value)),
            _ => self.each_wide(edges, |object, weight| sums.add(object, times.wrapping_mul(weight))),
        }
    }

    /// The place of the first edge to an object.
    #[inline]
    pub(super) fn place_of(self, edges: &[u32], object: u32) -> Option<usize> {
        match self.words() {
            2 => place_of::<2>(edges, object),
            3 => place_of::<3>(edges, object),
            4 => place_of::<4>(edges, object),
            words => edges.chunks_exact(words).position(|edge| edge[0] == object),
        }
    }

    #[cold]
    fn each_wide(self, edges: &[u32], mut give: impl FnMut(u32, i64)) {
        edges.chunks_exact(self.words()).for_each(|edge| give(edge[0], self.weight(edge)));
    }

    /// The edge at a place.
    #[inline]
    pub(super) fn edge(self, edges: &[u32], place: usize) -> StoredEdge {
        self.read(&edges[place * self.words()..(place + 1) * self.words()])
    }

    fn read(self, words: &[u32]) -> StoredEdge {
        let row = if self.row_words == 0 { super::attributes::NO_ROW } else { words[self.words() - 1] };
        StoredEdge { object: words[0], weight: self.weight(words), time_us: self.time_us(words), row }
    }

    fn write(self, edge: &StoredEdge, words: &mut [u32]) {
        words[0] = edge.object;
        split(edge.weight, &mut words[1..=self.weight_words]);
        let at = 1 + self.weight_words;
        match self.time_words {
            0 => {}
            1 => words[at] = (edge.time_us / SECOND_US) as u32,
            _ => split(edge.time_us, &mut words[at..at + 2]),
        }
        if self.row_words == 1 {
            words[at + self.time_words] = edge.row;
        }
    }

    fn holds_weight(self, weight: i64) -> bool {
        self.weight_words == 2 || i32::try_from(weight).is_ok()
    }

    fn holds_time(self, time_us: i64) -> bool {
        self.time_words != 1 || (time_us % SECOND_US == 0 && u32::try_from(time_us / SECOND_US).is_ok())
    }
}

#[inline]
fn each_narrow<const WORDS: usize>(edges: &[u32], mut give: impl FnMut(u32, i64)) {
    edges.as_chunks::<WORDS>().0.iter().for_each(|edge| give(edge[0], i64::from(edge[1] as i32)));
}

#[inline]
fn narrow<const WORDS: usize>(edges: &[u32]) -> impl Iterator<Item = (ObjectId, i64)> {
    edges.as_chunks::<WORDS>().0.iter().map(|edge| (ObjectId(edge[0]), i64::from(edge[1] as i32)))
}

#[inline]
fn place_of<const WORDS: usize>(edges: &[u32], object: u32) -> Option<usize> {
    edges.as_chunks::<WORDS>().0.iter().position(|edge| edge[0] == object)
}

fn join(low: u32, high: u32) -> i64 {
    (u64::from(high) << 32 | u64::from(low)) as i64
}

/// The value in one or two words, the lower first.
fn split(value: i64, words: &mut [u32]) {
    for (index, word) in words.iter_mut().enumerate() {
        *word = (value >> (32 * index)) as u32;
    }
}

/// The edges of a shard's subjects. Those of a relation with times lie in the order of their times.
#[derive(Debug)]
pub(super) struct Edges {
    pub(super) layout: EdgeLayout,
    slab: Slab,
    /// By key group and by the number in it.
    groups: Vec<Vec<Array>>,
    count: u64,
}

impl Edges {
    pub(super) fn new(layout: EdgeLayout) -> Self {
        Self { layout, slab: Slab::default(), groups: vec![Vec::new(); KEY_GROUPS], count: 0 }
    }

    /// How many edges there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The words of a subject's edges.
    #[inline]
    pub(super) fn words(&self, subject: u32) -> &[u32] {
        let (group, number) = (subject as usize % KEY_GROUPS, subject as usize / KEY_GROUPS);
        self.groups[group].get(number).map_or(&[], |array| self.slab.words(array))
    }

    /// How many edges a subject has.
    #[inline]
    pub(super) fn len(&self, subject: u32) -> usize {
        self.layout.count(self.words(subject).len())
    }

    /// The place of a subject's first edge to an object.
    pub(super) fn place_of(&self, subject: u32, object: u32) -> Option<usize> {
        self.layout.place_of(self.words(subject), object)
    }

    pub(super) fn get(&self, subject: u32, place: usize) -> StoredEdge {
        self.layout.edge(self.words(subject), place)
    }

    /// A subject's edges from a place on.
    pub(super) fn from(&self, subject: u32, place: usize) -> impl DoubleEndedIterator<Item = StoredEdge> {
        let words = self.layout.words();
        self.words(subject)[place * words..].chunks_exact(words).map(|words| self.layout.read(words))
    }

    /// The place of a subject's first edge that is not older than this time.
    pub(super) fn first_from(&self, subject: u32, time_us: i64) -> usize {
        let (words, count) = (self.words(subject), self.len(subject));
        let time = |place: usize| self.layout.time_us(&words[place * self.layout.words()..]);
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
        let numbers = self.groups[group].iter().enumerate().filter(|(_, array)| array.len() > 0);
        numbers.map(move |(number, _)| (number * KEY_GROUPS + group) as u32)
    }

    /// Puts an edge at a place, before those that are there and behind it.
    pub(super) fn insert(&mut self, subject: u32, place: usize, edge: &StoredEdge) {
        self.widen_for(edge);
        let (group, number) = (subject as usize % KEY_GROUPS, subject as usize / KEY_GROUPS);
        let arrays = &mut self.groups[group];
        if number >= arrays.len() {
            arrays.resize(number + 1, Array::default());
        }
        let array = &mut arrays[number];
        let (words, len) = (self.layout.words(), array.len());
        self.slab.extend(array, words);
        let all = self.slab.words_mut(array);
        let at = place * words;
        all.copy_within(at..len, at + words);
        self.layout.write(edge, &mut all[at..at + words]);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, subject: u32, place: usize) {
        let array = &mut self.groups[subject as usize % KEY_GROUPS][subject as usize / KEY_GROUPS];
        let words = self.layout.words();
        let all = self.slab.words_mut(array);
        all.copy_within((place + 1) * words.., place * words);
        match all.len() - words {
            0 => self.slab.free(array),
            left => self.slab.truncate(array, left),
        }
        self.count -= 1;
    }

    pub(super) fn set_weight(&mut self, subject: u32, place: usize, weight: i64) {
        let edge = StoredEdge { weight, ..self.get(subject, place) };
        self.widen_for(&edge);
        let array = &self.groups[subject as usize % KEY_GROUPS][subject as usize / KEY_GROUPS];
        let words = self.layout.words();
        self.layout.write(&edge, &mut self.slab.words_mut(array)[place * words..(place + 1) * words]);
    }

    /// Asks the processor to load what leads to a subject's edges.
    #[inline]
    pub(super) fn prefetch_head(&self, subject: u32) {
        if let Some(array) = self.groups[subject as usize % KEY_GROUPS].get(subject as usize / KEY_GROUPS) {
            prefetch(array);
        }
    }

    /// Asks the processor to load the last `shown` edges of a subject; best some time after [`Edges::prefetch_head`].
    #[inline]
    pub(super) fn prefetch_words(&self, subject: u32, shown: usize) {
        /// Words in a cache line; and lines that are asked for: what lies behind them the processor guesses.
        const LINE: usize = 16;
        const LINES: usize = 8;
        let words = self.words(subject);
        let first = words.len() - words.len().min(shown.saturating_mul(self.layout.words()));
        words[first..].iter().step_by(LINE).take(LINES).for_each(prefetch);
        words.last().into_iter().for_each(prefetch);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let heads: usize = self.groups.iter().map(|group| group.capacity() * size_of::<Array>()).sum();
        self.slab.bytes() + heads
    }

    fn widen_for(&mut self, edge: &StoredEdge) {
        let old = self.layout;
        if !old.holds_weight(edge.weight) {
            self.rewrite(EdgeLayout { weight_words: 2, ..self.layout });
        }
        if !old.holds_time(edge.time_us) {
            self.rewrite(EdgeLayout { time_words: 2, ..self.layout });
        }
    }

    #[cold]
    fn rewrite(&mut self, layout: EdgeLayout) {
        let (old, words) = (self.layout, layout.words());
        let mut slab = Slab::default();
        for array in self.groups.iter_mut().flatten().filter(|array| array.len() > 0) {
            let mut wide = Array::default();
            slab.extend(&mut wide, array.len() / old.words() * words);
            let edges = self.slab.words(array).chunks_exact(old.words()).map(|words| old.read(words));
            let targets = slab.words_mut(&wide).chunks_exact_mut(words);
            edges.zip(targets).for_each(|(edge, target)| layout.write(&edge, target));
            *array = wide;
        }
        (self.slab, self.layout) = (slab, layout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::attributes::NO_ROW;

    fn edge(object: u32, weight: i64, time_us: i64) -> StoredEdge {
        StoredEdge { object, weight, time_us, row: NO_ROW }
    }

    #[test]
    fn edges_stand_where_they_were_put() {
        let mut edges = Edges::new(EdgeLayout::new(false, false));
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
        let mut edges = Edges::new(EdgeLayout::new(true, true));
        let mut expected = Vec::new();
        let words: Vec<_> = [(1, 5 * SECOND_US), (i64::from(i32::MAX) + 1, 0), (i64::MIN, -1), (3, i64::MAX)]
            .into_iter()
            .enumerate()
            .map(|(place, (weight, time_us))| {
                let edge = StoredEdge { object: place as u32, weight, time_us, row: 7 };
                edges.insert(1, place, &edge);
                expected.push(edge);
                assert_eq!(edges.from(1, 0).collect::<Vec<_>>(), expected);
                edges.layout.words()
            })
            .collect();
        assert_eq!(words, [4, 5, 6, 6]);
    }
}
