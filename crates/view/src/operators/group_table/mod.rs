//! Keys to dense numbers: the one place where keyed operators look up their state.
//!
//! Each group has a *record* of 64-bit words: its mark and NULL bits, its key, then a payload that belongs to the
//! operator. Key and payload lie together, so that a row costs one cache line in the index and one here; the lookup of
//! a batch fetches both ahead of their use. Freed numbers are used again.

mod decode;
mod digest;
mod encode;
mod index;
mod layout;
mod prefetch;
mod records;
mod save;
mod track;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use decode::primitive;
pub(crate) use digest::Digests;
pub(crate) use layout::Equality;
pub(crate) use save::BatchForm;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use encode::Encoded;
use index::{Found, Index};
use layout::KeyLayout;
use records::Records;
use track::Tracking;

/// The number that stands for no group.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// The mark of a number that is free.
const FREE: u32 = u32::MAX;

/// The mark of a group that is gone, of which the next save has to tell.
const GONE: u32 = FREE - 1;

/// How many rows are looked up before the table may grow again.
const CHUNK_ROWS: usize = 4096;

/// How many rows ahead the slot of the index is fetched, and the record that it names: a cache miss takes some 80 ns.
const SLOT_AHEAD: usize = 24;
const RECORD_AHEAD: usize = 12;
/// And the long strings that the record names.
const STRING_AHEAD: usize = 6;

/// Maps keys to dense numbers with a payload each.
pub(crate) struct GroupTable {
    layout: KeyLayout,
    index: Index,
    records: Records,
    /// The bytes of strings that are too long for a view.
    arena: Vec<u8>,
    /// How many bytes of the arena belong to keys that are gone.
    arena_garbage: usize,
    /// NULL bits that any key ever had.
    nulls_seen: u32,
    free: Vec<u32>,
    /// Where checkpoints are on.
    tracking: Option<Box<Tracking>>,
    /// Where the payload lies in a record.
    payload: std::ops::Range<usize>,
    encoded: Encoded,
}

impl GroupTable {
    /// An empty table for keys of these types, with `payload` words for each group.
    pub(crate) fn new(types: Vec<DataType>, equality: Equality, payload: usize) -> Self {
        let layout = KeyLayout::new(types, equality);
        let payload = 1 + layout.width()..1 + layout.width() + payload;
        Self {
            layout,
            index: Index::default(),
            records: Records::new(payload.end),
            arena: Vec::new(),
            arena_garbage: 0,
            nulls_seen: 0,
            free: Vec::new(),
            tracking: None,
            payload,
            encoded: Encoded::default(),
        }
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        let gone = self.tracking.as_ref().map_or(0, |tracking| tracking.gone());
        self.records.len() - self.free.len() - gone
    }

    /// One more than the greatest number in use.
    pub(crate) fn bound(&self) -> usize {
        self.records.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let tracking = self.tracking.as_ref().map_or(0, |tracking| tracking.bytes());
        self.index.bytes() + self.records.bytes() + self.arena.capacity() + self.free.capacity() * 4 + tracking
    }

    /// The group of each row, in `groups`; keys that are new get a group with a payload of zeros, listed in `fresh`.
    pub(crate) fn resolve(&mut self, keys: &[ArrayRef], hashes: &[u64], groups: &mut Vec<u32>, fresh: &mut Vec<u32>) {
        let mut encoded = std::mem::take(&mut self.encoded);
        self.layout.encode(keys, hashes.len(), &mut encoded);
        groups.clear();
        groups.reserve(hashes.len());
        for start in (0..hashes.len()).step_by(CHUNK_ROWS) {
            let end = hashes.len().min(start + CHUNK_ROWS);
            self.index.reserve(end - start);
            self.records.reserve(end - start);
            let rows = Rows { encoded: &encoded, hashes, start, end };
            match (encoded.long, self.layout.width()) {
                (false, 1) => self.resolve_chunk::<1>(rows, groups, fresh),
                (false, 2) => self.resolve_chunk::<2>(rows, groups, fresh),
                (false, 3) => self.resolve_chunk::<3>(rows, groups, fresh),
                (false, 4) => self.resolve_chunk::<4>(rows, groups, fresh),
                _ => self.resolve_chunk::<0>(rows, groups, fresh),
            }
        }
        self.encoded = encoded;
    }

    /// `W` is the width of the key in words where all strings are short, else 0.
    fn resolve_chunk<const W: usize>(&mut self, rows: Rows<'_>, groups: &mut Vec<u32>, fresh: &mut Vec<u32>) {
        if rows.start == 0 {
            self.fetch_first(rows.hashes);
        }
        for (row, &hash) in rows.hashes.iter().enumerate().take(rows.end).skip(rows.start) {
            self.fetch_ahead(&rows, row);
            let tag = hash as u32;
            let group = match self.index.find(tag, |group| self.same::<W>(rows.encoded, row, group)) {
                Found::Group(group) => group,
                Found::Vacant(slot) => {
                    let group = self.insert(rows.encoded, row);
                    self.index.occupy(slot, tag, group);
                    if let Some(tracking) = &mut self.tracking
                        && tracking.added(group, hash)
                    {
                        Mark(&mut self.records.get_mut(group)[0]).make_new();
                    }
                    fresh.push(group);
                    group
                }
            };
            groups.push(group);
        }
    }

    /// What nobody fetched ahead: the first rows of a batch. Of many small batches they are a good part.
    fn fetch_first(&self, hashes: &[u64]) {
        hashes.iter().take(SLOT_AHEAD).for_each(|&hash| self.index.prefetch(hash as u32));
        let groups = hashes.iter().take(RECORD_AHEAD).filter_map(|&hash| self.index.first(hash as u32));
        groups.for_each(|group| self.records.prefetch(group));
    }

    #[inline(always)]
    fn fetch_ahead(&self, rows: &Rows<'_>, row: usize) {
        if let Some(&hash) = rows.hashes.get(row + SLOT_AHEAD) {
            self.index.prefetch(hash as u32);
        }
        if let Some(&hash) = rows.hashes.get(row + RECORD_AHEAD)
            && let Some(group) = self.index.first(hash as u32)
        {
            self.records.prefetch(group);
        }
        if rows.encoded.long
            && let Some(&hash) = rows.hashes.get(row + STRING_AHEAD)
            && let Some(group) = self.index.first(hash as u32)
        {
            self.layout.prefetch_long(&self.records.get(group)[1..], &self.arena);
        }
    }

    #[inline(always)]
    fn same<const W: usize>(&self, encoded: &Encoded, row: usize, group: u32) -> bool {
        let record = self.records.get(group);
        if (record[0] >> 32) as u32 != encoded.mask(row) {
            return false;
        }
        if W > 0 {
            let key = record[1..].first_chunk::<W>();
            return key == encoded.words[row * W..].first_chunk::<W>();
        }
        self.layout.same(&record[1..], encoded, row, &self.arena)
    }

    fn insert(&mut self, encoded: &Encoded, row: usize) -> u32 {
        let group = self.free.pop().unwrap_or_else(|| self.records.push());
        let mask = encoded.mask(row);
        self.nulls_seen |= mask;
        let record = self.records.get_mut(group);
        record.fill(0);
        record[0] = u64::from(mask) << 32;
        self.layout.store(encoded, row, &mut record[1..], &mut self.arena);
        group
    }

    /// The operator's words of a group.
    #[inline(always)]
    pub(crate) fn payload(&self, group: u32) -> &[u64] {
        &self.records.get(group)[self.payload.clone()]
    }

    /// The operator's words of a group, to change.
    #[inline(always)]
    pub(crate) fn payload_mut(&mut self, group: u32) -> &mut [u64] {
        &mut self.records.get_mut(group)[self.payload.clone()]
    }

    /// The mark of a group and its payload, to change.
    #[inline(always)]
    pub(crate) fn marked_mut(&mut self, group: u32) -> (Mark<'_>, &mut [u64]) {
        let record = self.records.get_mut(group);
        let (first, payload) = record[..self.payload.end].split_at_mut(self.payload.start);
        (Mark(&mut first[0]), payload)
    }

    /// The mark of a group.
    pub(crate) fn mark(&self, group: u32) -> u32 {
        self.records.get(group)[0] as u32
    }

    /// Fetches a group's record ahead of its use.
    #[inline(always)]
    pub(crate) fn prefetch(&self, group: u32) {
        self.records.prefetch(group);
    }

    /// Whether this number is a group at present.
    pub(crate) fn is_live(&self, group: u32) -> bool {
        self.mark(group) < GONE
    }

    /// The numbers of all groups, ascending.
    pub(crate) fn groups(&self) -> impl Iterator<Item = u32> {
        (0..self.records.len() as u32).filter(|&group| self.is_live(group))
    }

    /// The first word of a key column; `None` where it is NULL.
    pub(crate) fn key_word(&self, group: u32, column: usize) -> Option<u64> {
        let record = self.records.get(group);
        let null = self.layout.is_null(record, column);
        (!null).then(|| record[1 + self.layout.word(column)])
    }

    /// Whether all columns of a key are NULL.
    pub(crate) fn is_all_null(&self, group: u32) -> bool {
        let record = self.records.get(group);
        (0..self.layout.columns()).all(|column| self.layout.is_null(record, column))
    }

    /// The key columns of some groups.
    pub(crate) fn columns(&self, groups: &[u32]) -> Vec<ArrayRef> {
        (0..self.layout.columns()).map(|column| self.column(column, groups)).collect()
    }

    /// One key column of some groups; NULL for [`NO_GROUP`].
    pub(crate) fn column(&self, column: usize, groups: &[u32]) -> ArrayRef {
        self.decode_column(column, groups)
    }

    /// Forgets a group, given its key hash (of which the lower half is enough). Its number may be used again, where the
    /// table is tracked after the next save.
    pub(crate) fn remove(&mut self, group: u32, tag: u32) {
        self.index.remove(tag, group);
        if !self.keep_gone(group) {
            self.free(group);
        }
    }

    /// Forgets all groups but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.records.clear();
        self.arena.clear();
        self.arena_garbage = 0;
        self.free.clear();
        debug_assert!(self.tracking.is_none(), "what is cleared each epoch is no state");
    }

    /// Copies the arena's live strings once most of it is garbage, and so much of it that looking at all groups costs
    /// a constant for each byte freed.
    fn compact_arena(&mut self) {
        let least = (self.records.len() * 4).max(1 << 16);
        if self.arena_garbage < least || self.arena_garbage * 2 < self.arena.len() {
            return;
        }
        let mut packed = Vec::with_capacity(self.arena.len() - self.arena_garbage);
        for group in 0..self.records.len() as u32 {
            if self.mark(group) != FREE {
                self.layout.move_long(&mut self.records.get_mut(group)[1..], &self.arena, &mut packed);
            }
        }
        self.arena = packed;
        self.arena_garbage = 0;
    }
}

/// The rows of one chunk.
#[derive(Clone, Copy)]
struct Rows<'a> {
    encoded: &'a Encoded,
    hashes: &'a [u64],
    start: usize,
    end: usize,
}

/// A group's mark: a bit for the operator, which is off at first, and what is noted for checkpoints.
pub(crate) struct Mark<'a>(&'a mut u64);

// The bits of a mark.
const OWN: u32 = 1;
/// It is in the list of those that have changed since the last save.
const DIRTY: u32 = 2;
/// Its number stands in the last save, but for another group.
const NEW: u32 = 4;

impl Mark<'_> {
    /// Whether the operator's bit is on.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.has(OWN)
    }

    /// Turns the operator's bit on.
    #[inline(always)]
    pub(crate) fn turn_on(&mut self) {
        *self.0 |= u64::from(OWN);
    }

    /// Turns the operator's bit off.
    #[inline(always)]
    pub(crate) fn turn_off(&mut self) {
        *self.0 &= !u64::from(OWN);
    }

    /// Marks the group as changed; says whether it was not. Only for groups below
    /// [`noted_below`](GroupTable::noted_below), which are then noted.
    #[inline(always)]
    pub(crate) fn make_dirty(&mut self) -> bool {
        let clean = !self.has(DIRTY);
        *self.0 |= u64::from(DIRTY);
        clean
    }

    /// Marks the group as saved; says whether it had changed.
    fn make_saved(&mut self) -> bool {
        let dirty = self.has(DIRTY);
        self.replace(*self.0 as u32 & !(DIRTY | NEW));
        dirty
    }

    /// Marks a group with a number that was used before: no save knows of it.
    fn make_new(&mut self) {
        *self.0 |= u64::from(DIRTY | NEW);
    }

    /// Whether the last save knows of the group, if it knows of its number.
    fn is_saved(&self) -> bool {
        !self.has(NEW)
    }

    fn is_live(&self) -> bool {
        (*self.0 as u32) < GONE
    }

    #[inline(always)]
    fn has(&self, bit: u32) -> bool {
        *self.0 as u32 & bit != 0
    }

    fn replace(&mut self, mark: u32) {
        *self.0 = *self.0 >> 32 << 32 | u64::from(mark);
    }
}
