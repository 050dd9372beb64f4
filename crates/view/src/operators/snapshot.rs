//! Helpers to write keyed state by key group and to read it back.

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};
use proxima_engine::SnapshotError;
use proxima_event::{KEY_GROUPS, KeyGroup};
use std::ops::Range;
use std::sync::Arc;

/// Items of state in the order of their key groups.
pub(super) struct ByKeyGroup {
    /// The items, those of one key group together.
    pub(super) items: Vec<u32>,
    /// The key groups that have any, with the range of their items.
    pub(super) groups: Vec<(KeyGroup, Range<usize>)>,
}

/// Sorts items by the key groups of their hashes; the order within a group stays.
pub(super) fn by_key_group(items: &[u32], hashes: &[u64]) -> ByKeyGroup {
    let group_of = |place: usize| KeyGroup::of(hashes[place], KEY_GROUPS);
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&place| group_of(place));
    let groups = order.chunk_by(|&a, &b| group_of(a) == group_of(b));
    let mut end = 0;
    let groups = groups.map(|run| {
        let start = end;
        end += run.len();
        (group_of(run[0]), start..end)
    });
    ByKeyGroup { groups: groups.collect(), items: order.iter().map(|&place| items[place]).collect() }
}

/// A batch of state: numbered columns, then words, then weights.
pub(super) fn state_batch(columns: Vec<ArrayRef>, words: Vec<Vec<u64>>) -> RecordBatch {
    let words = words.into_iter().map(|words| Arc::new(UInt64Array::from(words)) as ArrayRef);
    let columns = columns.into_iter().chain(words).enumerate().map(|(at, column)| (format!("c{at}"), column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("all columns have a value for each row")
}

/// One column of words of a batch of state.
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

/// The error for stored state of another shape.
pub(super) fn misfit(expected: &str) -> SnapshotError {
    SnapshotError::Mismatch(format!("{expected} was expected"))
}
