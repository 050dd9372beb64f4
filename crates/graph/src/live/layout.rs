//! How an edge lies in memory: a head, which is the object and the weight, and a tail, which is the time and the place of
//! the attributes where there are such.
//!
//! Who walks on to other objects reads heads alone. A head is one word while ids and weights are small enough to share it,
//! as those of clicks are; so the newest fifty edges of a subject lie in four cache lines.

use super::attributes::NO_ROW;
use super::edges::StoredEdge;
use crate::entries::EntryLayout;
use crate::gather::Gather;
use crate::graph::{NO_TIME, ObjectId};
use crate::sums::{Sum, Sums};

/// How many words of an edge hold what.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeLayout {
    /// How object and weight share a head of one word.
    shared: EntryLayout,
    /// Two where they do not, three where the weight is large.
    head_words: usize,
    time_words: usize,
    row_words: usize,
}

const SECOND_US: i64 = 1_000_000;
/// So many heads are compared at once.
const AT_ONCE: usize = 16;

impl EdgeLayout {
    /// Object and weight, a word each.
    pub(super) const PLAIN: Self =
        Self { shared: EntryLayout { count_bits: 16 }, head_words: 2, time_words: 0, row_words: 0 };

    pub(super) fn new(timed: bool, attributed: bool) -> Self {
        let (time_words, row_words) = (usize::from(timed), usize::from(attributed));
        Self { shared: EntryLayout::for_id(0), head_words: 1, time_words, row_words }
    }

    /// Words of a head.
    #[inline]
    pub(super) fn head_words(self) -> usize {
        self.head_words
    }

    /// Words of a tail.
    #[inline]
    pub(super) fn tail_words(self) -> usize {
        self.time_words + self.row_words
    }

    /// How many edges there is room for in so many words. It is asked for all the time, and dividing by a constant is no
    /// division.
    #[inline]
    pub(super) fn capacity(self, words: usize) -> usize {
        match self.head_words + self.tail_words() {
            1 => words,
            2 => words / 2,
            3 => words / 3,
            4 => words / 4,
            each => words / each,
        }
    }

    /// Gives the object and the weight of each edge, in order.
    #[inline]
    pub(super) fn each(self, heads: &[u32], mut give: impl FnMut(u32, i64)) {
        let shared = self.shared;
        match self.head_words {
            1 => heads.iter().for_each(|&head| give(shared.id(head), i64::from(shared.count(head)))),
            2 => heads.as_chunks::<2>().0.iter().for_each(|head| give(head[0], i64::from(head[1] as i32))),
            _ => heads.as_chunks::<3>().0.iter().for_each(|head| give(head[0], join(head[1], head[2]))),
        }
    }

    /// Gives the object and the weight of each edge to certain objects. Most are none, and which ones cannot be guessed: so
    /// there is no branch for each.
    #[inline]
    pub(super) fn each_of(self, heads: &[u32], is_one: impl Fn(u32) -> bool, mut give: impl FnMut(u32, i64)) {
        let shared = self.shared;
        if self.head_words > 1 {
            return self.each(heads, |object, weight| {
                if is_one(object) {
                    give(object, weight)
                }
            });
        }
        for heads in heads.chunks(AT_ONCE) {
            let (mut found, mut count) = ([0; AT_ONCE], 0);
            for &head in heads {
                found[count % AT_ONCE] = head;
                count += usize::from(is_one(shared.id(head)));
            }
            found[..count].iter().for_each(|&head| give(shared.id(head), i64::from(shared.count(head))));
        }
    }

    /// Gives the place and the weight of each edge to an object.
    #[inline]
    pub(super) fn each_to(self, heads: &[u32], object: u32, mut give: impl FnMut(usize, i64)) {
        let mut place = 0;
        self.each(heads, |other, weight| {
            if other == object {
                give(place, weight);
            }
            place += 1;
        });
    }

    /// The sum of the weights of the edges to an object.
    #[inline]
    pub(super) fn weight_to(self, heads: &[u32], object: u32) -> i64 {
        let mut sum = 0_i64;
        if self.head_words == 1 {
            // 32 bits hold the sum of so few weights that share a word with an id.
            let weigh = |head: &u32| if self.shared.id(*head) == object { self.shared.count(*head) } else { 0 };
            let (chunks, rest) = heads.as_chunks::<AT_ONCE>();
            chunks.iter().for_each(|chunk| sum += i64::from(chunk.iter().map(weigh).sum::<i32>()));
            sum += i64::from(rest.iter().map(weigh).sum::<i32>());
        } else {
            self.each_to(heads, object, |_, weight| sum = sum.wrapping_add(weight));
        }
        sum
    }

    /// Whether any edge leads to an object.
    #[inline]
    pub(super) fn leads_to(self, heads: &[u32], object: u32) -> bool {
        match self.head_words {
            1 => {
                let is_it = |head: &u32| self.shared.id(*head) == object;
                let (chunks, rest) = heads.as_chunks::<AT_ONCE>();
                let in_chunk = |chunk: &[u32; AT_ONCE]| chunk.iter().fold(false, |found, head| found | is_it(head));
                chunks.iter().any(in_chunk) || rest.iter().any(is_it)
            }
            _ => self.place_of(heads, object).is_some(),
        }
    }

    /// Hands over the object and the weight of each edge.
    pub(super) fn gather(self, heads: &[u32], gather: &mut Gather) {
        let shared = self.shared;
        match self.head_words {
            1 => gather.extend(heads.iter().map(|&head| (ObjectId(shared.id(head)), i64::from(shared.count(head))))),
            2 => {
                let heads = heads.as_chunks::<2>().0.iter();
                gather.extend(heads.map(|head| (ObjectId(head[0]), i64::from(head[1] as i32))));
            }
            _ => {
                let heads = heads.as_chunks::<3>().0.iter();
                gather.extend(heads.map(|head| (ObjectId(head[0]), join(head[1], head[2]))));
            }
        }
    }

    /// Adds the weight of each edge, so many times, to the sum of its object, for which there is room.
    #[inline]
    pub(super) fn add_up<T: Sum>(self, heads: &[u32], times: i64, sums: &mut Sums<T>) {
        let (shared, weigh) = (self.shared, |weight: i64| times.wrapping_mul(weight));
        match self.head_words {
            1 => sums.extend(heads.iter().map(|&head| (shared.id(head), weigh(i64::from(shared.count(head)))))),
            2 => {
                let heads = heads.as_chunks::<2>().0.iter();
                sums.extend(heads.map(|head| (head[0], weigh(i64::from(head[1] as i32)))));
            }
            _ => {
                let heads = heads.as_chunks::<3>().0.iter();
                sums.extend(heads.map(|head| (head[0], weigh(join(head[1], head[2])))));
            }
        }
    }

    /// The place of the first edge to an object.
    #[inline]
    pub(super) fn place_of(self, heads: &[u32], object: u32) -> Option<usize> {
        match self.head_words {
            1 => heads.iter().position(|&head| self.shared.id(head) == object),
            2 => heads.as_chunks::<2>().0.iter().position(|head| head[0] == object),
            _ => heads.as_chunks::<3>().0.iter().position(|head| head[0] == object),
        }
    }

    /// The edge at a place.
    #[inline]
    pub(super) fn edge(self, heads: &[u32], tails: &[u32], place: usize) -> StoredEdge {
        let head = &heads[place * self.head_words..(place + 1) * self.head_words];
        let (object, weight) = match *head {
            [head] => (self.shared.id(head), i64::from(self.shared.count(head))),
            [object, weight] => (object, i64::from(weight as i32)),
            _ => (head[0], join(head[1], head[2])),
        };
        let tail = &tails[place * self.tail_words()..(place + 1) * self.tail_words()];
        let row = if self.row_words == 0 { NO_ROW } else { tail[self.time_words] };
        StoredEdge { object, weight, time_us: self.time_us(tail), row }
    }

    /// The time in a tail.
    #[inline]
    pub(super) fn time_us(self, tail: &[u32]) -> i64 {
        match self.time_words {
            0 => NO_TIME,
            1 => i64::from(tail[0]) * SECOND_US,
            _ => join(tail[0], tail[1]),
        }
    }

    pub(super) fn write_head(self, edge: &StoredEdge, head: &mut [u32]) {
        match head {
            [head] => *head = self.shared.pack(edge.object, edge.weight as i32),
            _ => {
                head[0] = edge.object;
                split(edge.weight, &mut head[1..]);
            }
        }
    }

    pub(super) fn write_tail(self, edge: &StoredEdge, tail: &mut [u32]) {
        match self.time_words {
            0 => {}
            1 => tail[0] = (edge.time_us / SECOND_US) as u32,
            _ => split(edge.time_us, &mut tail[..2]),
        }
        if self.row_words == 1 {
            tail[self.time_words] = edge.row;
        }
    }

    /// Whether an edge can be written so.
    #[inline]
    pub(super) fn holds(self, edge: &StoredEdge) -> bool {
        self.holds_head(edge.object, edge.weight) && self.holds_time(edge.time_us)
    }

    /// The layout for what this one holds, no weight of which is further from zero than `heaviest`, and for one edge more.
    pub(super) fn widened(self, edge: &StoredEdge, heaviest: u64) -> Self {
        let (mut wide, weight) = (self, i64::try_from(heaviest).unwrap_or(i64::MAX));
        if self.head_words == 1 && !self.shared.holds(edge.object) && EntryLayout::holds_any(edge.object) {
            wide.shared = EntryLayout::for_id(edge.object);
        }
        while !wide.holds_head(edge.object, weight) || !wide.holds_head(edge.object, edge.weight) {
            wide.head_words += 1;
        }
        if !self.holds_time(edge.time_us) {
            wide.time_words = 2;
        }
        wide
    }

    fn holds_head(self, object: u32, weight: i64) -> bool {
        match (self.head_words, i32::try_from(weight)) {
            (1, Ok(weight)) => self.shared.holds(object) && self.shared.fits(weight),
            (1, Err(_)) => false,
            (2, weight) => weight.is_ok(),
            _ => true,
        }
    }

    fn holds_time(self, time_us: i64) -> bool {
        self.time_words != 1 || (time_us % SECOND_US == 0 && u32::try_from(time_us / SECOND_US).is_ok())
    }
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
