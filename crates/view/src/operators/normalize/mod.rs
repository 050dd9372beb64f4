//! Changelog normalisation: a table with a key is what the newest record of each key says.
//!
//! Records of changes may come twice, come again, or come before the bootstrap that repeats them. Each says where it
//! stood among those that its source has read, so that of an epoch's records the last of each key is known, in whatever order
//! their batches come; and later epochs hold later records. What goes out is the difference to the row that the key held before.

use super::group_table::BatchForm;
use super::keyed_rows::{KeyedRows, Loaded};
use super::keys::Keys;
use super::snapshot::{Part, misfit, next_rows, runs};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, UInt64Type};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KeyGroup, KeyGroupSet};
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
        Self { spec, keys, rows, batches, newest: Vec::new(), touched: Vec::new() }
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
        self.rows.change(&departures, &gone, &[]);
        let keys: Vec<ArrayRef> = self.spec.key.iter().map(|&key| Arc::clone(arrivals.column(key))).collect();
        let tracked = self.rows.table.is_tracked();
        let hashes = if tracked { hash_columns(&keys, arrivals.num_rows()) } else { Vec::new() };
        self.rows.change(&Changes::inserts(arrivals), arrived, &hashes);
    }

    /// Takes back saved rows in the places of all rows of their keys and of the keys that are gone.
    fn take_back(
        &mut self,
        rows: Option<RecordBatch>,
        gone: Option<RecordBatch>,
        of: KeyGroup,
    ) -> Result<(), SnapshotError> {
        let width =
            |batch: &Option<RecordBatch>, width| batch.as_ref().is_none_or(|batch| batch.num_columns() == width);
        if !width(&rows, self.spec.output.fields().len()) || !width(&gone, self.spec.key.len()) {
            return Err(misfit("the rows of a keyed table"));
        }
        let all: Vec<usize> = (0..self.spec.key.len()).collect();
        let mut key_of = |batch: &Option<RecordBatch>, columns: &[usize]| {
            batch.as_ref().map(|batch| self.keys.of_loaded(batch.columns(), columns)).unwrap_or_default()
        };
        let (gone, arrived) = (key_of(&gone, &all), key_of(&rows, &self.spec.key));
        let mut touched = [gone, arrived.clone()].concat();
        touched.sort_unstable();
        touched.dedup();
        let going: Vec<u32> = touched.iter().flat_map(|&key| self.rows.of_key(key)).collect();
        self.rows.unload_rows(&going);
        if let Some(rows) = rows {
            let loaded = Loaded { columns: rows.columns(), key_of: &arrived, of };
            self.rows.restore(&loaded, &vec![1; rows.num_rows()], None);
        }
        self.keys.retire(touched, |key| self.rows.is_empty(key));
        Ok(())
    }
}

impl Operator for Normalize {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        let (keys, _) = self.keys.of(&changes, &self.spec.key);
        self.newest.resize(self.keys.table.bound().max(self.newest.len()), Newest::default());
        let sequences = changes.column(self.spec.output.fields().len()).as_primitive::<UInt64Type>();
        let batch = self.batches.len() as u32;
        for (row, (&key, &sequence)) in keys.iter().zip(sequences.values()).enumerate() {
            let newest = &mut self.newest[key as usize];
            if newest.row == 0 {
                self.touched.push(key);
            }
            // Equal ones are of one record and in its order. Sequences begin again at their end.
            let is_newer = sequence.wrapping_sub(newest.sequence) < 1 << 63;
            if newest.row == 0 || is_newer {
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
        self.rows.commit(|_| false, |_| {});
        for &key in &touched {
            self.newest[key as usize] = Newest::default();
        }
        self.batches.clear();
        self.keys.retire(touched, |key| self.rows.is_empty(key));
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.rows.track();
    }

    /// A section has the rows, and the keys of those that are gone, which may have another row now.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let save = self.rows.table.begin_save(rewrite);
        save.tell_replaced(out);
        for run in runs(&[&save]) {
            let mut rows = BatchForm::of_keys(0..self.spec.output.fields().len());
            let mut keys = BatchForm::of_keys(self.spec.key.iter().copied());
            run.write(&self.rows.table, &save, [(Part::There, &mut rows), (Part::Gone, &mut keys)], out);
        }
        self.rows.table.end_save();
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let (rows, gone) = (next_rows(state)?, next_rows(state)?);
        self.take_back(rows, gone, state.group())
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
