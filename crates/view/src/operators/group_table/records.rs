//! The records of a [`GroupTable`](super::GroupTable): equal runs of 64-bit words in segments that never move.
//!
//! Growing adds a segment, so a large table is not copied, nor does it ever hold twice its size. Records start at
//! cache lines as far as their length divides one.

use super::prefetch::prefetch;

/// Records in a segment, as a power of two: a quarter of a megabyte for records of four words.
const SEGMENT_BITS: u32 = 13;
const SEGMENT: usize = 1 << SEGMENT_BITS;

/// Records in the first segment at first; it grows, so that small tables stay small.
const FIRST: usize = 64;

const LINE_WORDS: usize = 8;

/// A cache line: the unit of allocation, for its alignment.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; LINE_WORDS]);

/// A growing list of records.
pub(super) struct Records {
    stride: usize,
    segments: Vec<Vec<Line>>,
    len: usize,
    capacity: usize,
}

impl Records {
    /// No records, of `words` words each.
    pub(super) fn new(words: usize) -> Self {
        // Three words become four, so that no record lies across two lines.
        let stride = if words <= 4 { words.next_power_of_two() } else { words };
        Self { stride, segments: Vec::new(), len: 0, capacity: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.capacity() * size_of::<Line>()).sum()
    }

    /// Makes room for more records.
    pub(super) fn reserve(&mut self, additional: usize) {
        while self.capacity < self.len + additional {
            if self.capacity < SEGMENT {
                let records = (self.capacity * 2).max(self.len + additional).clamp(FIRST, SEGMENT);
                self.grow_first(records);
            } else {
                self.segments.push(vec![Line([0; LINE_WORDS]); self.lines(SEGMENT)]);
                self.capacity += SEGMENT;
            }
        }
    }

    fn grow_first(&mut self, records: usize) {
        let lines = self.lines(records);
        if self.segments.is_empty() {
            self.segments.push(Vec::new());
        }
        let first = &mut self.segments[0];
        first.reserve_exact(lines - first.len());
        first.resize(lines, Line([0; LINE_WORDS]));
        self.capacity = records;
    }

    fn lines(&self, records: usize) -> usize {
        (records * self.stride).div_ceil(LINE_WORDS)
    }

    /// Adds a record of undefined content, for which room was made.
    pub(super) fn push(&mut self) -> u32 {
        assert!(self.len < self.capacity, "room is reserved before records are added");
        self.len += 1;
        (self.len - 1) as u32
    }

    /// Forgets all records but keeps the segments that were in use: the next epoch may need as many.
    pub(super) fn clear(&mut self) {
        let used = self.len.div_ceil(SEGMENT).max(1);
        if self.segments.len() > used {
            self.segments.truncate(used);
            self.capacity = used * SEGMENT;
        }
        self.len = 0;
    }

    #[inline(always)]
    fn place(&self, record: u32) -> (usize, usize) {
        debug_assert!((record as usize) < self.len, "record {record} of {}", self.len);
        (record as usize >> SEGMENT_BITS, (record as usize & (SEGMENT - 1)) * self.stride)
    }

    #[inline(always)]
    pub(super) fn get(&self, record: u32) -> &[u64] {
        let (segment, word) = self.place(record);
        &words(&self.segments[segment])[word..word + self.stride]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, record: u32) -> &mut [u64] {
        let (segment, word) = self.place(record);
        let lines = &mut self.segments[segment];
        // SAFETY: a line is eight words without padding, and the borrow is the same.
        let words = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LINE_WORDS) };
        &mut words[word..word + self.stride]
    }

    /// Fetches a record's first and last line ahead of their use.
    #[inline(always)]
    pub(super) fn prefetch(&self, record: u32) {
        let record = self.get(record);
        prefetch(record.as_ptr());
        if self.stride > 4 {
            prefetch(&raw const record[self.stride - 1]);
        }
    }
}

#[inline(always)]
fn words(lines: &[Line]) -> &[u64] {
    // SAFETY: a line is eight words without padding, and the borrow is the same.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE_WORDS) }
}
