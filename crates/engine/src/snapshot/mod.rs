//! State as bytes, by key group: what a checkpoint holds of an operator.
//!
//! A key group's state is a chain of sections: a full one, then the changes of each later save in order. A new full
//! section begins the chain anew.

mod column;
mod decode;
mod encode;
mod strings;
mod words;

#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
pub use column::{ColumnType, Values};
pub use encode::BatchWriter;
pub use strings::Strings;

use column::Room;
use encode::{BatchEncoder, put_size};
use proxima_event::KeyGroup;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
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
    /// The encoded batches, not compressed.
    pub bytes: Vec<u8>,
}

/// Collects what an operator saves: for each key group a list of Arrow batches, whose meaning is the operator's own.
///
/// A batch is encoded when it is handed over. What takes longer and reads nothing that changes is left for
/// [`later`](Self::later).
#[derive(Debug, Default)]
pub struct StateWriter {
    sections: BTreeMap<KeyGroup, (SectionKind, Vec<u8>)>,
    /// Of how many rows it is known whether they replace others, and how many of these do.
    known: usize,
    replaced: usize,
    failed: Option<ArrowError>,
    /// Where a batch is encoded before its section takes as much memory as it has bytes.
    encoded: Vec<u8>,
    room: Room,
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
    /// Adds a batch to the whole state of a key group.
    pub fn full(&mut self, group: KeyGroup, batch: &RecordBatch) {
        self.rows(SectionKind::Full, batch, &[(group, 0..batch.num_rows())]);
    }

    /// Adds a batch to the changes of a key group.
    pub fn changes(&mut self, group: KeyGroup, batch: &RecordBatch) {
        self.rows(SectionKind::Changes, batch, &[(group, 0..batch.num_rows())]);
    }

    /// Adds to each of some key groups its rows of one batch; a range may be empty, and still is a batch.
    ///
    /// # Panics
    /// When a key group gets both a full section and changes.
    pub fn rows(&mut self, kind: SectionKind, batch: &RecordBatch, groups: &[(KeyGroup, Range<usize>)]) {
        let mut encoder = BatchEncoder::new(batch);
        for (group, rows) in groups {
            self.encoded.clear();
            if let Err(error) = encoder.encode(rows.clone(), &mut self.room, &mut self.encoded) {
                self.failed.get_or_insert(error);
            }
            self.append(kind, *group);
        }
    }

    /// Leaves work for the thread that writes the checkpoint, while the worker goes on: it comes behind all that is handed
    /// over at once.
    pub fn later(&mut self, work: impl FnOnce(&mut Self) + Send + 'static) {
        self.later.push(Later(Box::new(work)));
    }

    /// Adds a batch of some rows and columns to a key group, which `write` is to give one by one, unless there are no
    /// rows.
    ///
    /// # Panics
    /// When the key group gets both a full section and changes.
    pub fn batch(
        &mut self,
        (kind, group): (SectionKind, KeyGroup),
        (rows, columns): (usize, usize),
        write: impl FnOnce(&mut BatchWriter<'_>),
    ) {
        self.encoded.clear();
        if let Err(error) = put_size(rows, columns, &mut self.encoded) {
            self.failed.get_or_insert(error);
        }
        if rows > 0 {
            let Self { room, encoded: out, failed, .. } = self;
            write(&mut BatchWriter { rows, room, out, failed });
        }
        self.append(kind, group);
    }

    /// Appends what is encoded to a section.
    fn append(&mut self, kind: SectionKind, group: KeyGroup) {
        let (other, bytes) = self.sections.entry(group).or_insert_with(|| (kind, Vec::new()));
        assert_eq!(*other, kind, "{group:?} is saved whole or by its changes");
        bytes.extend_from_slice(&self.encoded);
    }

    /// Of so many rows of changes, `replaced` take the place of rows of earlier saves, or say that one is gone. Where
    /// nothing is said all do.
    pub fn replaces(&mut self, replaced: usize, rows: usize) {
        self.replaced += replaced;
        self.known += rows;
    }

    /// The sections, by key group. Does what was left for later.
    ///
    /// # Errors
    /// When a batch could not be encoded.
    pub fn encode(mut self) -> Result<Vec<Section>, ArrowError> {
        for Later(work) in std::mem::take(&mut self.later) {
            work(&mut self);
        }
        match self.failed {
            Some(error) => Err(error),
            None => {
                // Keys are spread over the key groups by their hashes, so that one share tells of all.
                let added = (self.known - self.replaced.min(self.known)) * usize::from(ALL_ADDED);
                let added = added.checked_div(self.known).unwrap_or(0) as u8;
                let sections = self.sections.into_iter();
                Ok(sections.map(|(group, (kind, bytes))| Section { group, kind, added, bytes }).collect())
            }
        }
    }
}

/// Stored state that cannot be read back.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The bytes end early or name impossible lengths.
    #[error("stored state of {0:?} is cut short")]
    Truncated(KeyGroup),
    /// Arrow cannot read a batch.
    #[error("stored state cannot be decoded: {0}")]
    Arrow(#[from] ArrowError),
    /// The batches are not what the operator writes.
    #[error("stored state does not fit the operator: {0}")]
    Mismatch(String),
}

/// Gives an operator back the batches of one section, in the order they were written.
#[derive(Debug)]
pub struct StateReader<'a> {
    group: KeyGroup,
    kind: SectionKind,
    bytes: &'a [u8],
}

impl<'a> StateReader<'a> {
    /// Reads the bytes of a [`Section`].
    #[must_use]
    pub fn new(group: KeyGroup, kind: SectionKind, bytes: &'a [u8]) -> Self {
        Self { group, kind, bytes }
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
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let (batch, rest) = decode::batch(self.bytes)?.ok_or(SnapshotError::Truncated(self.group))?;
        self.bytes = rest;
        Ok(Some(batch))
    }
}

impl<'a> From<&'a Section> for StateReader<'a> {
    fn from(section: &'a Section) -> Self {
        Self::new(section.group, section.kind, &section.bytes)
    }
}
