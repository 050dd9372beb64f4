//! Changelog normalisation: a table with a key is what the newest record of each key says.
//!
//! Records of changes may come twice, come again, or come before the bootstrap that repeats them. Each says where it
//! stood in its partition, so that of an epoch's records the last of each key is known, in whatever order their batches
//! come; and later epochs hold later records. What goes out is the difference to the row that the key held before.

use super::keyed_rows::KeyedRows;
use super::keys::Keys;
use super::snapshot::{by_key_group, misfit, state_batch};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, UInt64Type};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KeyGroupSet};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// What a [`Normalize`] normalises.
#[derive(Clone, Debug)]
pub struct NormalizeSpec {
    /// The rows that go out. Those that come in have one more column behind, which says where they stood.
    pub output: SchemaRef,
    /// The key columns, none of which is ever NULL.
    pub key: Vec<usize>,
}

/// Rows that go out in one batch.
const BATCH_ROWS: usize = 1024;

/// Keeps the newest row of each key. A row of weight +1 is the key's row from there on, one of −1 says that it has none.
pub struct Normalize {
    spec: NormalizeSpec,
    keys: Keys,
    rows: KeyedRows,
    batches: Vec<Changes>,
    /// By key number, the newest record of the epoch.
    newest: Vec<Newest>,
    /// The keys that the epoch has records of.
    touched: Vec<u32>,
    /// The keys whose rows have changed since the last save, if there will be one.
    unsaved: Option<Vec<u32>>,
}

/// A record of the epoch: where it stood, and its place among the batches.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    sequence: u64,
    batch: u32,
    /// The row of the batch + 1; 0 where the epoch has no record of the key.
    row: u32,
}

impl Normalize {
    /// Holds no rows.
    #[must_use]
    pub fn new(spec: NormalizeSpec) -> Self {
        let types = spec.key.iter().map(|&key| spec.output.field(key).data_type().clone()).collect();
        let rows = KeyedRows::new(&spec.output);
        let (keys, batches) = (Keys::new(types), Vec::new());
        Self { spec, keys, rows, batches, newest: Vec::new(), touched: Vec::new(), unsaved: None }
    }

    /// The rows that take their keys' places, with the numbers of these keys.
    fn arrivals(&self, touched: &[u32]) -> (RecordBatch, Vec<u32>) {
        let (mut places, mut keys) = (Vec::new(), Vec::new());
        for &key in touched {
            let Newest { batch, row, .. } = self.newest[key as usize];
            let (batch, row) = (batch as usize, row as usize - 1);
            if self.batches[batch].weight(row) > 0 {
                places.push((batch, row));
                keys.push(key);
            }
        }
        let width: Vec<usize> = (0..self.spec.output.fields().len()).collect();
        let visible = |changes: &Changes| changes.rows.project(&width).expect("the sequence is one column more");
        let batches: Vec<RecordBatch> = self.batches.iter().map(visible).collect();
        if places.is_empty() {
            return (RecordBatch::new_empty(Arc::clone(&self.spec.output)), keys);
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        (interleave_record_batch(&batches, &places).expect("places are within the epoch's batches"), keys)
    }

    fn emit(&self, out: &mut Outbox) {
        let changed = self.rows.changed().iter().map(|changed| (changed.row, self.rows.weight(changed.row).1));
        let changed: Vec<(u32, i64)> = changed.filter(|&(_, delta)| delta != 0).collect();
        for part in changed.chunks(BATCH_ROWS) {
            let rows: Vec<u32> = part.iter().map(|&(row, _)| row).collect();
            out.push(Changes::weighted(self.batch(&rows), part.iter().map(|&(_, delta)| delta).collect()));
        }
    }

    fn batch(&self, rows: &[u32]) -> RecordBatch {
        let columns = self.rows.table.columns(rows);
        RecordBatch::try_new(Arc::clone(&self.spec.output), columns).expect("rows come back as they went in")
    }

    /// Takes the rows of some keys out and puts those that have arrived in their places, as changes of the epoch.
    fn replace(&mut self, touched: &[u32], arrivals: RecordBatch, arrived: &[u32]) {
        let held = |&key: &u32| self.rows.of_key(key).map(move |row| (row, key));
        let (going, gone): (Vec<u32>, Vec<u32>) = touched.iter().flat_map(held).unzip();
        let departures = Changes::weighted(self.batch(&going), vec![-1; going.len()]);
        self.rows.change(&departures, &gone);
        self.rows.change(&Changes::inserts(arrivals), arrived);
    }

    /// Notes the keys whose rows the epoch changes, each once, and marks them: they are kept until they are saved.
    fn note_unsaved(&mut self) {
        let Some(unsaved) = &mut self.unsaved else { return };
        for changed in self.rows.changed() {
            let (row, key) = (changed.row, self.rows.key(changed.row));
            let (mut mark, _) = self.keys.table.marked_mut(key);
            if self.rows.weight(row).1 != 0 && mark.get() == 0 {
                mark.set(1);
                unsaved.push(key);
            }
        }
    }

    /// Rows as they are saved.
    fn state(&self, rows: &[u32]) -> RecordBatch {
        state_batch(self.rows.table.columns(rows), Vec::new())
    }

    /// Saved rows with the numbers of their keys.
    fn restored(&mut self, rows: RecordBatch) -> Result<(RecordBatch, Vec<u32>), SnapshotError> {
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.output), rows.columns().to_vec())
            .map_err(|_| misfit("the rows of a keyed table"))?;
        let keys: Vec<ArrayRef> = self.spec.key.iter().map(|&key| Arc::clone(rows.column(key))).collect();
        let keys = self.keys.number(&keys, &hash_columns(&keys, rows.num_rows()));
        Ok((rows, keys))
    }
}

impl Operator for Normalize {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        let keys = self.keys.of(&changes, &self.spec.key);
        self.newest.resize(self.keys.table.bound().max(self.newest.len()), Newest::default());
        let sequences = changes.column(self.spec.output.fields().len()).as_primitive::<UInt64Type>();
        let batch = self.batches.len() as u32;
        for (row, (&key, &sequence)) in keys.iter().zip(sequences.values()).enumerate() {
            let newest = &mut self.newest[key as usize];
            if newest.row == 0 {
                self.touched.push(key);
            }
            // Equal ones are of one record and in its order.
            if newest.row == 0 || sequence >= newest.sequence {
                *newest = Newest { sequence, batch, row: row as u32 + 1 };
            }
        }
        self.batches.push(changes);
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        if self.touched.is_empty() {
            return;
        }
        let touched = std::mem::take(&mut self.touched);
        let (arrivals, arrived) = self.arrivals(&touched);
        self.replace(&touched, arrivals, &arrived);
        self.emit(out);
        self.note_unsaved();
        self.rows.commit(|_| false, |_| {});
        for &key in &touched {
            self.newest[key as usize] = Newest::default();
        }
        self.batches.clear();
        let unsaved = |key| self.keys.table.mark(key) != 0;
        let over: Vec<u32> = touched.into_iter().filter(|&key| self.rows.is_empty(key) && !unsaved(key)).collect();
        self.keys.retire(over, |_| true);
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.unsaved = Some(Vec::new());
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        if !rewrite.is_empty() {
            let rows: Vec<u32> = self.rows.table.groups().collect();
            let keys: Vec<ArrayRef> = self.spec.key.iter().map(|&key| self.rows.table.column(key, &rows)).collect();
            let sorted = by_key_group(&rows, &hash_columns(&keys, rows.len()));
            for (group, range) in sorted.groups.into_iter().filter(|(group, _)| rewrite.contains(*group)) {
                out.full(group, &self.state(&sorted.items[range]));
            }
        }
        let Some(unsaved) = self.unsaved.as_mut().map(std::mem::take) else { return };
        let sorted = by_key_group(&unsaved, &hash_columns(&self.keys.table.columns(&unsaved), unsaved.len()));
        for (group, range) in sorted.groups.into_iter().filter(|(group, _)| !rewrite.contains(*group)) {
            let (gone, held): (Vec<u32>, Vec<u32>) =
                sorted.items[range].iter().partition(|&&key| self.rows.is_empty(key));
            let rows: Vec<u32> = held.iter().flat_map(|&key| self.rows.of_key(key)).collect();
            out.changes(group, &self.state(&rows));
            out.changes(group, &state_batch(self.keys.table.columns(&gone), Vec::new()));
        }
        for &key in &unsaved {
            self.keys.table.marked_mut(key).0.set(0);
        }
        self.keys.retire(unsaved, |key| self.rows.is_empty(key));
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let (arrivals, arrived) = match state.next_batch()?.filter(|rows| rows.num_rows() > 0) {
            Some(rows) => self.restored(rows)?,
            None => (RecordBatch::new_empty(Arc::clone(&self.spec.output)), Vec::new()),
        };
        let gone = match state.next_batch()?.filter(|gone| gone.num_rows() > 0) {
            Some(gone) if gone.num_columns() != self.spec.key.len() => {
                return Err(misfit("the keys of rows that went"));
            }
            Some(gone) => self.keys.number(gone.columns(), &hash_columns(gone.columns(), gone.num_rows())),
            None => Vec::new(),
        };
        let touched = [arrived.clone(), gone].concat();
        self.replace(&touched, arrivals, &arrived);
        self.rows.commit(|_| false, |_| {});
        self.keys.retire(touched, |key| self.rows.is_empty(key));
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let newest = self.newest.capacity() * size_of::<Newest>();
        OperatorStats {
            keys: self.rows.table.len() as u64,
            bytes: (self.rows.bytes() + self.keys.table.bytes() + newest) as u64,
            ..OperatorStats::default()
        }
    }
}
