//! The records of a [`GroupTable`](super::GroupTable): equal runs of 64-bit words in segments.
//!
//! Growing adds a segment, so a large table is not copied, nor does it ever hold twice its size. Records start at
//! cache lines as far as their length divides one.

use super::prefetch::prefetch;
use super::words::Words;

/// Records in a segment, as a power of two: a quarter of a megabyte for records of four words.
const SEGMENT_BITS: u32 = 13;

/// The same once a table is large: a huge page for records of four words.
const LARGE_BITS: u32 = 16;

/// From so many records on a table is large. It moves once to larger segments, which costs little beside filling it;
/// what its last segment leaves free of its huge pages is little then, too.
const LARGE: usize = 2 << LARGE_BITS;

/// Records in the first segment at first; it grows, so that small tables stay small.
const FIRST: usize = 64;

/// A growing list of records.
pub(super) struct Records {
    stride: usize,
    segments: Vec<Words>,
    /// Records in a segment, as a power of two.
    bits: u32,
    len: usize,
    capacity: usize,
}

impl Records {
    /// No records, of `words` words each.
    pub(super) fn new(words: usize) -> Self {
        // Three words become four, so that no record lies across two lines.
        let stride = if words <= 4 { words.next_power_of_two() } else { words };
        Self { stride, segments: Vec::new(), bits: SEGMENT_BITS, len: 0, capacity: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(Words::bytes).sum()
    }

    /// Makes room for more records.
    pub(super) fn reserve(&mut self, additional: usize) {
        while self.capacity < self.len + additional {
            if self.capacity < self.segment() {
                let records = (self.capacity * 2).max(self.len + additional).clamp(FIRST, self.segment());
                self.move_to(records);
                self.capacity = records;
            } else if self.capacity >= LARGE && self.bits < LARGE_BITS {
                self.bits = LARGE_BITS;
                self.move_to(self.segment());
            } else {
                self.segments.push(Words::zeroed(self.segment() * self.stride));
                self.capacity += self.segment();
            }
        }
    }

    #[inline(always)]
    fn segment(&self) -> usize {
        1 << self.bits
    }

    /// Moves all records to segments of so many.
    fn move_to(&mut self, records: usize) {
        let words = records * self.stride;
        let mut moved = vec![Words::zeroed(words)];
        let mut filled = 0;
        for old in std::mem::take(&mut self.segments) {
            if filled == words {
                moved.push(Words::zeroed(words));
                filled = 0;
            }
            let newest = moved.last_mut().expect("the first is there from the beginning");
            newest[filled..filled + old.len()].copy_from_slice(&old);
            filled += old.len();
        }
        self.segments = moved;
    }

    /// Adds a record of undefined content, for which room was made.
    pub(super) fn push(&mut self) -> u32 {
        assert!(self.len < self.capacity, "room is reserved before records are added");
        self.len += 1;
        (self.len - 1) as u32
    }

    /// Forgets all records but keeps the segments that were in use: the next epoch may need as many.
    pub(super) fn clear(&mut self) {
        let used = self.len.div_ceil(self.segment()).max(1);
        if self.segments.len() > used {
            self.segments.truncate(used);
            self.capacity = used * self.segment();
        }
        self.len = 0;
    }

    #[inline(always)]
    fn place(&self, record: u32) -> (usize, usize) {
        debug_assert!((record as usize) < self.len, "record {record} of {}", self.len);
        (record as usize >> self.bits, (record as usize & (self.segment() - 1)) * self.stride)
    }

    #[inline(always)]
    pub(super) fn get(&self, record: u32) -> &[u64] {
        let (segment, word) = self.place(record);
        &self.segments[segment][word..word + self.stride]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, record: u32) -> &mut [u64] {
        let (segment, word) = self.place(record);
        &mut self.segments[segment][word..word + self.stride]
    }

    /// Fetches a record's mark ahead of its use.
    #[inline(always)]
    pub(super) fn prefetch_first(&self, record: u32) {
        prefetch(self.get(record).as_ptr());
    }

    /// Fetches all of a record ahead of its use.
    #[inline(always)]
    pub(super) fn prefetch_all(&self, record: u32) {
        self.get(record).iter().step_by(8).for_each(|word| prefetch(word));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stay_when_a_table_becomes_large() {
        for words in [1, 3, 5] {
            let mut records = Records::new(words);
            for record in 0..3 * LARGE as u64 / 2 {
                records.reserve(1);
                let at = records.push();
                records.get_mut(at)[words - 1] = record;
            }
            assert_eq!(records.bits, LARGE_BITS);
            assert!((0..3 * LARGE / 2).all(|at| records.get(at as u32)[words - 1] == at as u64), "{words} words");
            records.clear();
            records.reserve(1);
            assert_eq!((records.push(), records.segments.len()), (0, 3));
        }
    }
}
