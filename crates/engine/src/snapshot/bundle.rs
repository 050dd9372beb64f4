//! What a save holds of some key groups, encoded together.
//!
//! To encode a column, and to keep account of a section, costs as much as some dozen values do, and a save has few of each
//! of 256 key groups. So a bundle holds those of several: a list of pieces, each a batch with the rows of some key groups,
//! one behind the other. A piece is the length of the rest (`u32`), the key groups (a bit each), what the batch is to them
//! (`u8`) - [`OF_EACH`]: all of it is each one's - or [`BY_GROUP`] and how many rows each has, as words; then the batch.

use super::memory::SavedMemory;
use super::{SectionKind, SnapshotError, decode, words};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use bytes::Bytes;
use proxima_event::{KEY_GROUPS, KeyGroup, KeyGroupSet};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A bundle of so many bytes ends before other key groups. It costs little beside these, and whoever owns some of its key
/// groups reads no more than these in vain.
const ENOUGH_BYTES: usize = 16 * 1024;
/// So many rows are a piece of their own: more would not make it cheaper.
const PIECE_ROWS: usize = 1024;

const BY_GROUP: u8 = 0;
const OF_EACH: u8 = 1;

/// What one save of one operator holds of some key groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The key groups.
    pub groups: KeyGroupSet,
    /// Whether it is all of each key group or a change.
    pub kind: SectionKind,
    /// How much of a change adds to what was saved before and takes the place of none of it, in parts of
    /// [`ALL_ADDED`](super::ALL_ADDED).
    pub added: u8,
    /// The encoded batches, not compressed.
    pub bytes: Bytes,
}

impl Bundle {
    /// The batches of each of its key groups that is wanted.
    ///
    /// # Errors
    /// When the bytes cannot be decoded.
    pub fn read(&self, wanted: &KeyGroupSet) -> Result<BTreeMap<KeyGroup, Vec<RecordBatch>>, SnapshotError> {
        let wanted = self.groups.intersection(wanted);
        let mut batches: BTreeMap<_, Vec<_>> = wanted.iter().map(|group| (group, Vec::new())).collect();
        let mut bytes = &self.bytes[..];
        while let Some(piece) = Piece::next(&mut bytes)? {
            for (group, batch) in piece.read(&wanted)? {
                batches.entry(group).or_default().push(batch);
            }
        }
        Ok(batches)
    }
}

/// A bundle that is being written.
#[derive(Debug)]
pub(super) struct Growing {
    groups: KeyGroupSet,
    kind: SectionKind,
    bytes: Vec<u8>,
}

impl Growing {
    /// In memory that has nothing in it.
    pub(super) fn new(kind: SectionKind, bytes: Vec<u8>) -> Self {
        Self { groups: KeyGroupSet::none(), kind, bytes }
    }

    /// Whether a piece of these key groups is to go to the next one.
    pub(super) fn ends_before(&self, groups: &KeyGroupSet) -> bool {
        self.bytes.len() >= ENOUGH_BYTES && self.groups.intersection(groups).is_empty()
    }

    /// Adds a piece of these key groups.
    pub(super) fn add(
        &mut self,
        groups: &KeyGroupSet,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        self.groups = self.groups.union(groups);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes)?;
        let too_long = |_| ArrowError::InvalidArgumentError("4 GiB in one piece of state".into());
        let len = u32::try_from(self.bytes.len() - start - 4).map_err(too_long)?;
        self.bytes[start..start + 4].copy_from_slice(&len.to_le_bytes());
        Ok(())
    }

    pub(super) fn end(self, added: u8, memory: &Arc<SavedMemory>) -> Bundle {
        let Self { groups, kind, bytes } = self;
        Bundle { groups, kind, added, bytes: memory.lend(bytes) }
    }
}

/// Rows of key groups, cut to pieces.
pub(super) fn pieces(mut groups: &[(KeyGroup, Range<usize>)]) -> impl Iterator<Item = &[(KeyGroup, Range<usize>)]> {
    std::iter::from_fn(move || {
        let mut rows = 0;
        let enough = groups.iter().position(|(_, range)| {
            rows += range.len();
            rows >= PIECE_ROWS
        });
        let (piece, rest) = groups.split_at(enough.map_or(groups.len(), |last| last + 1));
        groups = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

pub(super) fn groups_of(counts: &[(KeyGroup, usize)]) -> KeyGroupSet {
    counts.iter().map(|&(group, _)| group).collect()
}

/// Appends the head of a piece whose batch has so many rows of each of some key groups, which ascend.
pub(super) fn put_counts(counts: &[(KeyGroup, usize)], out: &mut Vec<u8>) {
    debug_assert!(counts.is_sorted_by_key(|&(group, _)| group), "key groups ascend");
    out.extend_from_slice(&groups_of(counts).to_le_bytes());
    out.push(BY_GROUP);
    words::put(&counts.iter().map(|&(_, rows)| rows as u64).collect::<Vec<_>>(), out);
}

/// Appends the head of a piece whose batch is that of each of some key groups.
pub(super) fn put_shared(groups: &KeyGroupSet, out: &mut Vec<u8>) {
    out.extend_from_slice(&groups.to_le_bytes());
    out.push(OF_EACH);
}

/// Copies the pieces in which a key group has a part.
pub(super) fn copy(mut bytes: &[u8], group: KeyGroup, out: &mut Vec<u8>) {
    let mut start = bytes;
    while let Some(piece) = Piece::next(&mut bytes).expect("it was written just so") {
        if piece.groups.contains(group) {
            out.extend_from_slice(&start[..start.len() - bytes.len()]);
        }
        start = bytes;
    }
}

/// A piece that is not decoded yet.
pub(super) struct Piece<'a> {
    groups: KeyGroupSet,
    rest: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Takes the next one off.
    pub(super) fn next(bytes: &mut &'a [u8]) -> Result<Option<Self>, SnapshotError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let piece = || {
            let (len, rest) = bytes.split_first_chunk::<4>()?;
            let (piece, behind) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            let (groups, rest) = piece.split_first_chunk::<{ KEY_GROUPS / 8 }>()?;
            Some((Self { groups: KeyGroupSet::from_le_bytes(groups), rest }, behind))
        };
        let (piece, behind) = piece().ok_or(SnapshotError::Truncated)?;
        *bytes = behind;
        Ok(Some(piece))
    }

    /// The batches of those of its key groups that are wanted.
    pub(super) fn read(&self, wanted: &KeyGroupSet) -> Result<Vec<(KeyGroup, RecordBatch)>, SnapshotError> {
        let wanted = self.groups.intersection(wanted);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let (&form, rest) = self.rest.split_first().ok_or(SnapshotError::Truncated)?;
        let counts = if form == OF_EACH { None } else { Some(words::take(self.groups.len(), rest)) };
        let (counts, rest) = match counts {
            None => (None, rest),
            Some(taken) => taken.map(|(counts, rest)| (Some(counts), rest)).ok_or(SnapshotError::Truncated)?,
        };
        let (batch, _) = decode::batch(rest)?.ok_or(SnapshotError::Truncated)?;
        let Some(counts) = counts else { return Ok(wanted.iter().map(|group| (group, batch.clone())).collect()) };
        if counts.iter().try_fold(0u64, |sum, &count| sum.checked_add(count)) != Some(batch.num_rows() as u64) {
            return Err(SnapshotError::Mismatch("rows of other key groups".into()));
        }
        let mut end = 0;
        let rows = self.groups.iter().zip(counts).map(|(group, count)| {
            end += count as usize;
            (group, end - count as usize..end)
        });
        let rows = rows.filter(|(group, _)| wanted.contains(*group));
        Ok(rows.map(|(group, rows)| (group, slice(&batch, rows))).collect())
    }
}

fn slice(batch: &RecordBatch, rows: Range<usize>) -> RecordBatch {
    match rows.is_empty() {
        true => RecordBatch::new_empty(Arc::new(Schema::empty())),
        false => batch.slice(rows.start, rows.len()),
    }
}
