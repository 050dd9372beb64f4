//! Helpers to write keyed state by key group and to read it back.

use super::group_table::{BatchForm, GroupTable};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{Int64Type, Schema, UInt64Type};
use proxima_engine::{SectionKind, SnapshotError, StateWriter};
use proxima_event::{KEY_GROUPS, KeyGroup};
use std::ops::Range;
use std::sync::Arc;

/// Items of state in the order of their key groups.
#[derive(Debug)]
pub(crate) struct Sorted {
    items: Vec<u32>,
    /// Where each key group's items begin, and where the last ones end.
    starts: Box<[u32; KEY_GROUPS + 1]>,
}

impl Default for Sorted {
    fn default() -> Self {
        Self { items: Vec::new(), starts: Box::new([0; KEY_GROUPS + 1]) }
    }
}

impl Sorted {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Sorts items by their key groups; the order within a group stays.
    pub(crate) fn new(items: Vec<u32>, key_group: impl Fn(u32) -> u8) -> Self {
        let mut starts = Box::new([0; KEY_GROUPS + 1]);
        for &item in &items {
            starts[usize::from(key_group(item)) + 1] += 1;
        }
        for group in 0..KEY_GROUPS {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; items.len()];
        for item in items {
            let place = &mut next[usize::from(key_group(item))];
            sorted[*place as usize] = item;
            *place += 1;
        }
        Self { items: sorted, starts }
    }

    /// The items of some key groups that follow each other.
    pub(crate) fn of(&self, groups: Range<usize>) -> &[u32] {
        &self.items[self.starts[groups.start] as usize..self.starts[groups.end] as usize]
    }
}

/// What a save has to write of a table.
#[derive(Debug, Default)]
pub(crate) struct Save {
    /// The groups of those key groups that are written whole.
    pub(crate) whole: Sorted,
    /// Of the others: the groups that have changed.
    pub(crate) changed: Sorted,
    /// And those that are gone.
    pub(crate) gone: Sorted,
    /// How many of the changed ones and those that are gone stand in the saves before.
    pub(crate) replaced: usize,
}

impl Save {
    /// The items of a section of some key groups: those that are there, and those that are gone.
    pub(crate) fn of(&self, kind: SectionKind, groups: Range<usize>) -> (&[u32], &[u32]) {
        match kind {
            SectionKind::Full => (self.whole.of(groups), &[]),
            SectionKind::Changes => (self.changed.of(groups.clone()), self.gone.of(groups)),
        }
    }

    /// Says how much of it takes the place of what earlier saves hold.
    pub(crate) fn tell_replaced(&self, out: &mut StateWriter) {
        out.replaces(self.replaced, self.changed.len() + self.gone.len());
    }
}

/// Rows of one batch of state, about: so that a great save does not hold all state in columns at once.
pub(crate) const BATCH_ROWS: usize = 1 << 16;

/// Items of a run: enough that a column's own costs do not count, few enough that all columns fit the first caches.
pub(super) const RUN_ROWS: usize = 512;

/// What of a table a batch holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Groups that are there.
    There,
    /// Groups that are gone.
    Gone,
}

impl Part {
    fn of(self, save: &Save, kind: SectionKind, groups: Range<usize>) -> &[u32] {
        let (there, gone) = save.of(kind, groups);
        match self {
            Self::There => there,
            Self::Gone => gone,
        }
    }
}

/// The key groups that a save writes, in runs whose items make up a batch.
pub(super) struct Run {
    pub(super) kind: SectionKind,
    /// The key groups from the first to the last.
    pub(super) span: Range<usize>,
    /// Those of them that have a section.
    pub(super) groups: Vec<usize>,
}

impl Run {
    /// Writes the batches of a table in the sections of the run, for each the groups that are gone and those that are
    /// there, in this order or the other.
    pub(super) fn write(
        &self,
        table: &GroupTable,
        save: &Save,
        forms: [(Part, &mut BatchForm); 2],
        out: &mut StateWriter,
    ) {
        for (part, form) in forms {
            let count = |group: usize| part.of(save, self.kind, group..group + 1).len();
            let counts: Vec<_> = self.groups.iter().map(|&group| (KeyGroup(group as u16), count(group))).collect();
            form.write(table, (self.kind, &counts), part.of(save, self.kind, self.span.clone()), out);
        }
    }

    /// The range that each section of the run has in a batch, given how many rows each key group has there.
    pub(super) fn ranges(&self, rows: impl Fn(Range<usize>) -> usize) -> Vec<(KeyGroup, Range<usize>)> {
        let mut end = 0;
        let range = |&group: &usize| {
            let start = end;
            end += rows(group..group + 1);
            (KeyGroup(group as u16), start..end)
        };
        self.groups.iter().map(range).collect()
    }
}

/// The runs of a save of some tables, whose items of a key group go into one section.
pub(super) fn runs(saves: &[&Save]) -> Vec<Run> {
    let mut runs = Vec::new();
    for kind in [SectionKind::Full, SectionKind::Changes] {
        let mut run = Run { kind, span: 0..0, groups: Vec::new() };
        let mut rows = 0;
        for group in 0..KEY_GROUPS {
            let items = |save: &&Save| {
                let (there, gone) = save.of(kind, group..group + 1);
                there.len() + gone.len()
            };
            let count = saves.iter().map(items).sum::<usize>();
            run.span.end = group + 1;
            if count > 0 {
                run.groups.push(group);
                rows += count;
            }
            if rows >= RUN_ROWS {
                runs.push(std::mem::replace(&mut run, Run { kind, span: group + 1..group + 1, groups: Vec::new() }));
                rows = 0;
            }
        }
        runs.extend((!run.groups.is_empty()).then_some(run));
    }
    runs
}

/// A batch of state: numbered columns. Without any it has no rows.
pub(super) fn state_batch(columns: Vec<ArrayRef>) -> RecordBatch {
    if columns.is_empty() {
        return RecordBatch::new_empty(Arc::new(Schema::empty()));
    }
    let columns = columns.into_iter().enumerate().map(|(at, column)| (format!("c{at}"), column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("all columns have a value for each row")
}

/// A column of words.
pub(super) fn words_array(words: Vec<u64>) -> ArrayRef {
    Arc::new(UInt64Array::from(words))
}

/// Reads a column of words.
pub(super) fn words_column(batch: &RecordBatch, column: usize) -> Result<&[u64], SnapshotError> {
    let array = batch.columns().get(column).and_then(|array| array.as_primitive_opt::<UInt64Type>());
    array.map(|array| array.values().as_ref()).ok_or_else(|| misfit("a column of words"))
}

/// A column of weights.
pub(super) fn weights_array(weights: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(weights.collect::<Int64Array>())
}

/// Reads a column of weights.
pub(super) fn weights_column(batch: &RecordBatch, column: usize) -> Result<&[i64], SnapshotError> {
    let array = batch.columns().get(column).and_then(|array| array.as_primitive_opt::<Int64Type>());
    array.map(|array| array.values().as_ref()).ok_or_else(|| misfit("a column of weights"))
}

/// The next batch of a section; no batch is one without rows.
pub(super) fn next_rows(state: &mut proxima_engine::StateReader<'_>) -> Result<Option<RecordBatch>, SnapshotError> {
    Ok(state.next_batch()?.filter(|batch| batch.num_rows() > 0))
}

/// The error for stored state of another shape.
pub(super) fn misfit(expected: &str) -> SnapshotError {
    SnapshotError::Mismatch(format!("{expected} was expected"))
}
