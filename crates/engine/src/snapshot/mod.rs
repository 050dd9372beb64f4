//! State as bytes, by key group: what a checkpoint holds of an operator.
//!
//! A key group's state is a chain of sections: a full one, then the changes of each later save in order. A new full
//! section begins the chain anew. Most saves change a few rows of each key group, so sections of some key groups that
//! follow each other are encoded together, as a [`Bundle`].

mod bundle;
mod column;
mod decode;
mod encode;
mod memory;
mod strings;
mod words;

#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
pub use bundle::Bundle;
pub use column::{ColumnType, Values};
pub use encode::BatchWriter;
pub(crate) use memory::SavedMemory;
pub use strings::Strings;

use bundle::{Growing, Piece, groups_of, pieces, put_counts, put_shared};
use column::Room;
use encode::{BatchEncoder, put_size};
use proxima_event::{KeyGroup, KeyGroupSet};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// What a section holds of its key group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionKind {
    /// All of it: what was saved of the key group before counts no more.
    Full,
    /// What changed since the section before.
    Changes,
}

/// What [`Section::added`] says of changes that only add.
pub const ALL_ADDED: u8 = 63;

/// What one save of one operator holds of one key group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The key group.
    pub group: KeyGroup,
    /// Whether it is all of the key group or a change.
    pub kind: SectionKind,
    /// How much of a change adds to what was saved before and takes the place of none of it, in parts of [`ALL_ADDED`].
    pub added: u8,
    /// Pieces in which it has a part.
    pub bytes: Vec<u8>,
}

/// Collects what an operator saves: for each key group a list of Arrow batches, whose meaning is the operator's own.
///
/// A batch is encoded when it is handed over. What takes longer and reads nothing that changes is left for
/// [`later`](Self::later).
#[derive(Debug, Default)]
pub struct StateWriter {
    /// Bundles that nothing is added to.
    closed: Vec<Growing>,
    /// What whole key groups and what changes are added to.
    open: [Option<Growing>; 2],
    /// The key groups of which something whole was added, and of which changes.
    groups: [KeyGroupSet; 2],
    /// Of how many rows it is known whether they replace others, and how many of these do.
    known: usize,
    replaced: usize,
    failed: Option<ArrowError>,
    room: Room,
    memory: Arc<SavedMemory>,
    later: Vec<Later>,
}

/// Work that an operator leaves for the thread that writes checkpoints.
struct Later(Box<dyn FnOnce(&mut StateWriter) + Send>);

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl StateWriter {
    /// Collects in memory that is used again.
    pub(crate) fn new(memory: &Arc<SavedMemory>) -> Self {
        Self { memory: Arc::clone(memory), ..Self::default() }
    }

    /// Adds a batch to the whole state of a key group.
    pub fn full(&mut self, group: KeyGroup, batch: &RecordBatch) {
        self.each(SectionKind::Full, &group.into(), batch);
    }

    /// Adds a batch to the changes of a key group.
    pub fn changes(&mut self, group: KeyGroup, batch: &RecordBatch) {
        self.each(SectionKind::Changes, &group.into(), batch);
    }

    /// Adds the same batch to each of some key groups.
    ///
    /// # Panics
    /// When a key group gets both a full section and changes.
    pub fn each(&mut self, kind: SectionKind, groups: &KeyGroupSet, batch: &RecordBatch) {
        if groups.is_empty() {
            return;
        }
        let mut encoder = BatchEncoder::new(batch);
        self.piece(kind, groups, |room, out| {
            put_shared(groups, out);
            encoder.encode(0..batch.num_rows(), room, out)
        });
    }

    /// Adds to each of some key groups its rows of one batch; a range may be empty, and still is a batch.
    ///
    /// # Panics
    /// When a key group gets both a full section and changes.
    pub fn rows(&mut self, kind: SectionKind, batch: &RecordBatch, groups: &[(KeyGroup, Range<usize>)]) {
        let mut encoder = BatchEncoder::new(batch);
        for following in groups.chunk_by(|(a, before), (b, behind)| a < b && before.end == behind.start) {
            for groups in pieces(following) {
                let counts: Vec<_> = groups.iter().map(|(group, rows)| (*group, rows.len())).collect();
                let rows = groups[0].1.start..groups[groups.len() - 1].1.end;
                self.piece(kind, &groups_of(&counts), |room, out| {
                    put_counts(&counts, out);
                    encoder.encode(rows, room, out)
                });
            }
        }
    }

    /// Leaves work for the thread that writes the checkpoint, while the worker goes on: it comes behind all that is handed
    /// over at once.
    pub fn later(&mut self, work: impl FnOnce(&mut Self) + Send + 'static) {
        self.later.push(Later(Box::new(work)));
    }

    /// Adds to each of some key groups, which ascend, a batch of so many rows. `write` is to give its columns, those of all
    /// key groups one behind the other, unless there are no rows.
    ///
    /// # Panics
    /// When a key group gets both a full section and changes.
    pub fn batch(
        &mut self,
        (kind, counts): (SectionKind, &[(KeyGroup, usize)]),
        columns: usize,
        write: impl FnOnce(&mut BatchWriter<'_>),
    ) {
        let rows = counts.iter().map(|(_, rows)| rows).sum();
        let mut failed = None;
        self.piece(kind, &groups_of(counts), |room, out| {
            put_counts(counts, out);
            put_size(rows, columns, out)?;
            if rows > 0 {
                write(&mut BatchWriter { rows, room, out, failed: &mut failed });
            }
            Ok(())
        });
        self.failed = self.failed.take().or(failed);
    }

    /// Adds a piece to a bundle. What stands in one bundle of a key group is read back at once; so a bundle that is large
    /// enough ends before other key groups.
    fn piece(
        &mut self,
        kind: SectionKind,
        groups: &KeyGroupSet,
        write: impl FnOnce(&mut Room, &mut Vec<u8>) -> Result<(), ArrowError>,
    ) {
        let at = usize::from(kind == SectionKind::Changes);
        assert!(self.groups[1 - at].intersection(groups).is_empty(), "a key group is saved whole or by its changes");
        self.groups[at] = self.groups[at].union(groups);
        let open = &mut self.open[at];
        self.closed.extend(open.take_if(|open| open.ends_before(groups)));
        let bundle = open.get_or_insert_with(|| Growing::new(kind, self.memory.take()));
        if let Err(error) = bundle.add(groups, |out| write(&mut self.room, out)) {
            self.failed.get_or_insert(error);
        }
    }

    /// Of so many rows of changes, `replaced` take the place of rows of earlier saves, or say that one is gone. Where
    /// nothing is said all do.
    pub fn replaces(&mut self, replaced: usize, rows: usize) {
        self.replaced += replaced;
        self.known += rows;
    }

    /// What is to be stored. Does what was left for later.
    ///
    /// # Errors
    /// When a batch could not be encoded.
    pub fn bundles(mut self) -> Result<Vec<Bundle>, ArrowError> {
        for Later(work) in std::mem::take(&mut self.later) {
            work(&mut self);
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        // Keys are spread over the key groups by their hashes, so that one share tells of all.
        let added = (self.known - self.replaced.min(self.known)) * usize::from(ALL_ADDED);
        let added = added.checked_div(self.known).unwrap_or(0) as u8;
        let growing = self.closed.into_iter().chain(self.open.into_iter().flatten());
        Ok(growing.map(|growing| growing.end(added, &self.memory)).collect())
    }

    /// The same by key group, each for itself.
    ///
    /// # Errors
    /// When a batch could not be encoded.
    pub fn encode(self) -> Result<Vec<Section>, ArrowError> {
        let mut sections = BTreeMap::new();
        for Bundle { groups, kind, added, bytes } in self.bundles()? {
            for group in groups.iter() {
                let section = sections.entry(group).or_insert(Section { group, kind, added, bytes: Vec::new() });
                bundle::copy(&bytes, group, &mut section.bytes);
            }
        }
        Ok(sections.into_values().collect())
    }
}

/// Stored state that cannot be read back.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The bytes end early or name impossible lengths.
    #[error("stored state is cut short")]
    Truncated,
    /// Arrow cannot read a batch.
    #[error("stored state cannot be decoded: {0}")]
    Arrow(#[from] ArrowError),
    /// The batches are not what the operator writes.
    #[error("stored state does not fit the operator: {0}")]
    Mismatch(String),
}

/// Gives an operator back what one bundle holds of a key group: its batches in the order in which they were written.
#[derive(Debug)]
pub struct StateReader<'a> {
    group: KeyGroup,
    kind: SectionKind,
    rest: Rest<'a>,
}

/// What is left to read.
#[derive(Debug)]
enum Rest<'a> {
    Bytes(&'a [u8]),
    Batches(std::slice::Iter<'a, RecordBatch>),
}

impl<'a> StateReader<'a> {
    /// Reads the bytes of a [`Section`] or of a [`Bundle`].
    #[must_use]
    pub fn new(group: KeyGroup, kind: SectionKind, bytes: &'a [u8]) -> Self {
        Self { group, kind, rest: Rest::Bytes(bytes) }
    }

    /// Gives back what [`Bundle::read`] has read.
    #[must_use]
    pub fn of_batches(group: KeyGroup, kind: SectionKind, batches: &'a [RecordBatch]) -> Self {
        Self { group, kind, rest: Rest::Batches(batches.iter()) }
    }

    /// The key group that this state belongs to.
    #[must_use]
    pub fn group(&self) -> KeyGroup {
        self.group
    }

    /// Whether this is the whole state of the key group, or what changed since the section before.
    #[must_use]
    pub fn kind(&self) -> SectionKind {
        self.kind
    }

    /// The next batch, or `None` behind the last. A batch without rows comes back without columns.
    ///
    /// # Errors
    /// When the bytes cannot be decoded.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, SnapshotError> {
        let bytes = match &mut self.rest {
            Rest::Batches(batches) => return Ok(batches.next().cloned()),
            Rest::Bytes(bytes) => bytes,
        };
        let wanted = self.group.into();
        while let Some(piece) = Piece::next(bytes)? {
            if let Some((_, batch)) = piece.read(&wanted)?.pop() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

impl<'a> From<&'a Section> for StateReader<'a> {
    fn from(section: &'a Section) -> Self {
        Self::new(section.group, section.kind, &section.bytes)
    }
}
