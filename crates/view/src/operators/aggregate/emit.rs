//! What goes out of an aggregate: changed rows at the end of an epoch, and the whole state for a checkpoint.

use super::accumulator::{Cells, mismatch};
use super::call::counts;
use super::operator::{Aggregate, Call, ROWS};
use crate::operators::snapshot::{by_key_group, misfit, state_batch, words_column};
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};
use proxima_engine::{Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::Changes;
use proxima_event::hash::hash_columns;
use std::sync::Arc;

/// Groups put out in one batch: of the size at which batches are cheapest to pass on.
const BATCH_GROUPS: usize = 1024;

/// How many groups ahead a record is fetched.
const AHEAD: usize = 16;

/// The rows of one output batch.
#[derive(Default)]
struct Rows {
    groups: Vec<u32>,
    weights: Vec<i64>,
    /// The payload of each row.
    words: Vec<u64>,
}

impl Rows {
    fn push(&mut self, group: u32, weight: i64, words: &[u64]) {
        self.groups.push(group);
        self.weights.push(weight);
        self.words.extend_from_slice(words);
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.weights.clear();
        self.words.clear();
    }
}

impl Aggregate {
    /// Puts out, for each group that the epoch changed, the row that goes and the row that appears.
    pub(super) fn emit(&mut self, out: &mut Outbox) {
        if self.stride == 0 {
            for groups in self.touched.groups.chunks(BATCH_GROUPS) {
                out.push(Changes::inserts(self.batch(groups, &[])));
            }
            return;
        }
        let mut rows = Rows::default();
        for start in (0..self.touched.groups.len()).step_by(BATCH_GROUPS) {
            self.collect_changes(start, &mut rows);
            if !rows.groups.is_empty() {
                let batch = self.batch(&rows.groups, &rows.words);
                out.push(Changes::weighted(batch, rows.weights.clone()));
            }
            rows.clear();
        }
        self.global_shown |= self.spec.keys.is_empty() && !self.touched.groups.is_empty();
    }

    fn collect_changes(&self, start: usize, rows: &mut Rows) {
        let groups = &self.touched.groups;
        for at in start..groups.len().min(start + BATCH_GROUPS) {
            if let Some(&ahead) = groups.get(at + AHEAD) {
                self.table.prefetch(ahead);
            }
            let group = groups[at];
            let old = &self.touched.old[at * self.stride..][..self.stride];
            let new = self.table.payload(group);
            let (shown, shows) = (self.is_shown(old, self.global_shown), self.is_shown(new, true));
            if shown && shows && self.is_same(old, new) {
                continue;
            }
            if shown && !(shows && self.spec.upserts) {
                rows.push(group, -1, old);
            }
            if shows {
                rows.push(group, 1, new);
            }
        }
    }

    /// Whether a group with this payload has a row. `global` answers for the group without key.
    fn is_shown(&self, payload: &[u64], global: bool) -> bool {
        if self.spec.keys.is_empty() { global } else { payload[ROWS] as i64 > 0 }
    }

    fn is_same(&self, old: &[u64], new: &[u64]) -> bool {
        old == new
            || self.calls.iter().all(|call| match call {
                Call::Rows => old[ROWS] == new[ROWS],
                Call::Own(accumulator, own) => accumulator.same(&old[own.clone()], &new[own.clone()]),
            })
    }

    /// The output rows of some groups with these payloads.
    fn batch(&self, groups: &[u32], words: &[u64]) -> RecordBatch {
        let mut columns = self.table.columns(groups);
        for (call, field) in self.calls.iter().zip(self.spec.output.fields().iter().skip(columns.len())) {
            let column = match call {
                Call::Rows => counts(&DataType::Int64, words.chunks_exact(self.stride).map(|payload| payload[ROWS])),
                Call::Own(accumulator, own) => {
                    accumulator.output(&Cells { words, stride: self.stride, own: own.clone() })
                }
            };
            debug_assert_eq!(column.data_type(), field.data_type(), "the planner names the type of {}", field.name());
            columns.push(column);
        }
        RecordBatch::try_new(Arc::clone(&self.spec.output), columns).expect("the output is keys, then calls")
    }

    /// Writes each key group as one batch of keys and payload words, then one batch for each accumulator that has
    /// state beside the words.
    pub(super) fn write_state(&self, out: &mut StateWriter) {
        let groups: Vec<u32> = self.table.groups().collect();
        let sorted = by_key_group(&groups, &hash_columns(&self.table.columns(&groups), groups.len()));
        let beside: Vec<Option<RecordBatch>> = self
            .calls
            .iter()
            .map(|call| match call {
                Call::Rows => None,
                Call::Own(accumulator, _) => accumulator.save(&sorted.items),
            })
            .collect();
        for (key_group, range) in sorted.groups {
            let groups = &sorted.items[range.clone()];
            let words =
                (0..self.stride).map(|word| groups.iter().map(|&group| self.table.payload(group)[word]).collect());
            let mut columns = self.table.columns(groups);
            if columns.is_empty() {
                // Arrow's format forgets the number of rows of a batch without columns.
                columns.push(Arc::new(UInt32Array::from(vec![0; groups.len()])));
            }
            out.full(key_group, &state_batch(columns, words.collect()));
            for batch in beside.iter().flatten() {
                out.full(key_group, &rows_of_groups(batch, range.clone()));
            }
        }
    }

    /// Takes back one key group.
    pub(super) fn read_state(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let Some(batch) = state.next_batch()? else { return Ok(()) };
        let keys = self.key_types.len();
        if batch.num_columns() != keys.max(1) + self.stride {
            return Err(misfit("keys and accumulators"));
        }
        let columns = typed(&batch.columns()[..keys], &self.key_types)?;
        let hashes = hash_columns(&columns, batch.num_rows());
        let (mut groups, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(&columns, &hashes, &mut groups, &mut fresh);
        for word in 0..self.stride {
            let values = words_column(&batch, keys.max(1) + word)?;
            for (&group, &value) in groups.iter().zip(values) {
                self.table.payload_mut(group)[word] = value;
            }
        }
        for call in &mut self.calls {
            let Call::Own(accumulator, own) = call else { continue };
            if accumulator.has_more() {
                let saved = state.next_batch()?.ok_or_else(|| mismatch("a batch for each accumulator"))?;
                if saved.num_rows() > 0 {
                    accumulator.load(&mut self.table, own.clone(), &groups, &saved)?;
                }
            }
        }
        self.global_shown |= keys == 0 && !groups.is_empty();
        Ok(())
    }
}

/// The rows that belong to a range of groups, with their places counted from its start.
fn rows_of_groups(batch: &RecordBatch, range: std::ops::Range<usize>) -> RecordBatch {
    let places = batch.column(0).as_primitive::<UInt32Type>().values();
    let row_of = |place: usize| places.partition_point(|&other| (other as usize) < place);
    let (start, end) = (row_of(range.start), row_of(range.end));
    let slice = batch.slice(start, end - start);
    let places: UInt32Array = places[start..end].iter().map(|place| place - range.start as u32).collect();
    let mut columns = slice.columns().to_vec();
    columns[0] = Arc::new(places);
    RecordBatch::try_new(slice.schema(), columns).expect("only the places changed")
}

/// Columns of the types that they were saved with.
fn typed(columns: &[ArrayRef], types: &[DataType]) -> Result<Vec<ArrayRef>, SnapshotError> {
    let typed = columns.iter().zip(types).map(|(column, data_type)| cast(column, data_type));
    Ok(typed.collect::<Result<_, _>>()?)
}
