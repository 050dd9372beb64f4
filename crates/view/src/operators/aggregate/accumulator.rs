//! What each aggregate function is to the operator: words of a group's payload, and perhaps state beside them.

use crate::operators::group_table::GroupTable;
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::UInt32Type;
use hashbrown::HashMap;
use proxima_engine::{SectionKind, SnapshotError};
use proxima_event::{KeyGroup, KeyGroupSet, Weights};
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

/// The rows of a batch as one accumulator sees them.
pub(super) struct Input<'a> {
    /// The group of each row.
    pub(super) groups: &'a [u32],
    /// The argument's values; `None` for `count(*)`.
    pub(super) argument: Option<&'a ArrayRef>,
    pub(super) weights: &'a Weights,
    /// The rows that count: where the argument is not NULL and the filter is true. `None` is all.
    pub(super) counted: Option<BooleanBuffer>,
}

impl Input<'_> {
    /// The rows that count, each with its group and weight.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, u32, i64)> {
        let counted = |row: &usize| self.counted.as_ref().is_none_or(|counted| counted.value(*row));
        (0..self.groups.len()).filter(counted).map(|row| (row, self.groups[row], self.weights.get(row)))
    }

    /// The argument.
    pub(super) fn values(&self) -> &ArrayRef {
        self.argument.expect("the planner gives every function but count(*) an argument")
    }
}

/// The payloads of the rows that go out, one after another; an accumulator reads its own words of each.
pub(super) struct Cells<'a> {
    pub(super) words: &'a [u64],
    pub(super) stride: usize,
    pub(super) own: Range<usize>,
}

impl Cells<'_> {
    /// One accumulator's words of each row.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.words.chunks_exact(self.stride).map(|payload| &payload[self.own.clone()])
    }
}

/// Some groups of a save.
pub(super) struct GroupRun<'a> {
    /// Whether all of their state is wanted or what has changed.
    pub(super) kind: SectionKind,
    /// The key groups from the first to the last.
    pub(super) span: Range<usize>,
    /// The groups, by key group.
    pub(super) groups: &'a [u32],
    places: OnceCell<HashMap<u32, u32>>,
}

impl<'a> GroupRun<'a> {
    pub(super) fn new(kind: SectionKind, span: Range<usize>, groups: &'a [u32]) -> Self {
        Self { kind, span, groups, places: OnceCell::new() }
    }

    /// The place of a group in the run; `None` where it is not of the run.
    pub(super) fn place(&self, group: u32) -> Option<u32> {
        self.places.get_or_init(|| self.groups.iter().copied().zip(0..).collect()).get(&group).copied()
    }

    /// The places of all groups.
    pub(super) fn places(&self) -> Vec<u32> {
        (0..self.groups.len() as u32).collect()
    }
}

/// One aggregate of all groups.
///
/// At the end of an epoch its output is a function of its words of the payload alone, so a copy of the payload is a
/// copy of the output.
pub(super) trait Accumulator {
    /// How many words of the payload it needs; they are 0 for a new group.
    fn words(&self) -> usize;

    /// Takes in the rows of a batch. `own` is where its words lie in a payload.
    fn update(&mut self, table: &mut GroupTable, own: Range<usize>, input: &Input<'_>);

    /// Whether [`settle`](Self::settle) does anything.
    fn settles(&self) -> bool {
        false
    }

    /// The epoch ends: brings the words of a changed group in line with the state beside them.
    fn settle(&mut self, _group: u32, _words: &mut [u64]) {}

    /// Whether two states of a group's words give the same output.
    fn same(&self, old: &[u64], new: &[u64]) -> bool {
        old == new
    }

    /// The output for each of the cells.
    fn output(&self, cells: &Cells<'_>) -> ArrayRef;

    /// Everything of this epoch is put out; nobody holds old words any more.
    fn end_epoch(&mut self, _table: &mut GroupTable, _own: Range<usize>) {}

    /// Groups are gone; their numbers may come again.
    fn forget(&mut self, _groups: &[u32]) {}

    /// Notes from now on which elements of the state beside the words change, where a group can have many.
    fn track(&mut self) {}

    /// Whether there is state beside the words, so that [`save`](Self::save) gives a batch.
    fn has_more(&self) -> bool {
        false
    }

    /// A save begins, which asks for some runs of groups.
    fn begin_save(&mut self, _rewrite: &KeyGroupSet) {}

    /// The state of some groups beyond what their words hold, or what of it has changed. The first column of the batch,
    /// ascending, says to which group a row belongs: the group's place in the run, as a `UInt32`.
    fn save(&self, _run: &GroupRun<'_>) -> Option<RecordBatch> {
        None
    }

    /// The save is over.
    fn end_save(&mut self) {}

    /// Takes back what [`save`](Self::save) gave of some groups of one key group. The words that it does not settle have
    /// been taken back already; the others are settled afterwards.
    fn load(
        &mut self,
        _table: &GroupTable,
        _groups: &[u32],
        _saved: &RecordBatch,
        _of: KeyGroup,
    ) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Bytes of the state beside the records.
    fn bytes(&self) -> usize {
        0
    }
}

/// The error for saved state of another shape.
pub(super) fn mismatch(what: &str) -> SnapshotError {
    SnapshotError::Mismatch(format!("{what} was expected"))
}

/// The groups that the rows of a saved batch belong to.
pub(super) fn saved_groups(groups: &[u32], saved: &RecordBatch) -> Result<Vec<u32>, SnapshotError> {
    let rows = saved.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(|| mismatch("a column of group places"))?;
    let group_of = |&row: &u32| groups.get(row as usize).copied();
    rows.values().iter().map(group_of).collect::<Option<_>>().ok_or_else(|| mismatch("a place within the groups"))
}

/// A batch of saved state: the place of each row's group, then further columns.
pub(super) fn saved_batch(places: Vec<u32>, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let places: ArrayRef = Arc::new(UInt32Array::from(places));
    let columns = std::iter::once(("group", places)).chain(columns);
    RecordBatch::try_from_iter(columns).expect("all columns have a value for each row")
}
