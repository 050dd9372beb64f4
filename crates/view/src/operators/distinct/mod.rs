//! SELECT DISTINCT: each row that is there, once.
//!
//! Of a row only its digest is kept (ADR 11), and how often it is there if rows are taken back. Nothing is read out of
//! the state: a row goes out as it came in, and one that is taken back comes in whole.

mod state;

#[cfg(test)]
mod tests;

use super::expiry::{Expirer, Expiry, times_us};
use super::group_table::{Digests, Equality, GroupTable};
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KeyGroupSet};
use std::sync::Arc;

/// What a [`Distinct`] tells apart.
#[derive(Clone, Debug)]
pub struct DistinctSpec {
    /// The rows that come in.
    pub input: SchemaRef,
    /// The columns that go out: rows with the same values there are one.
    pub columns: Vec<usize>,
    /// The rows that go out.
    pub output: SchemaRef,
    /// Whether rows only ever appear: they go out as they come, and need not be counted.
    pub append_only: bool,
    /// When rows may be forgotten.
    pub expiry: Option<Expiry>,
}

impl DistinctSpec {
    /// Whether rows with columns of these types can be told apart by their digests, and are long enough for that: short
    /// ones take no more memory than a digest does, and fewer bytes in a checkpoint.
    pub fn takes(types: &[DataType]) -> bool {
        types.iter().all(Digests::are_of) && Digests::words_of(types) > WORDS_MAX
    }
}

/// Puts out each row once, however often it is there.
pub struct Distinct {
    spec: DistinctSpec,
    digests: Digests,
    /// Digests, in two columns.
    table: GroupTable,
    words: Words,
    expirer: Option<Expirer>,
    touched: Touched,
    /// Rows that have not gone out yet: where rows are taken back those of `touched`, in their order.
    held: Vec<RecordBatch>,
    held_rows: usize,
    groups: Vec<u32>,
    fresh: Vec<u32>,
}

/// Where the words of a row lie in its payload.
struct Words {
    /// How often it is there.
    count: Option<usize>,
    /// Its time in microseconds.
    time: Option<usize>,
}

impl Words {
    fn len(&self) -> usize {
        usize::from(self.count.is_some()) + usize::from(self.time.is_some())
    }
}

/// The rows that the epoch has changed, in the order of their first change, where they are counted.
#[derive(Default)]
struct Touched {
    groups: Vec<u32>,
    /// How often each was there before the epoch.
    before: Vec<u64>,
}

/// Words of the longest rows that are kept themselves.
const WORDS_MAX: usize = 4;

/// Rows that go out in one batch, about: of the size at which batches are cheapest to pass on.
const BATCH_ROWS: usize = 1024;

/// The time of a row without one: it is never over.
const NO_TIME: i64 = i64::MAX;

impl Distinct {
    /// Holds no rows.
    #[must_use]
    pub fn new(spec: DistinctSpec) -> Self {
        let types = spec.columns.iter().map(|&column| spec.input.field(column).data_type().clone()).collect();
        let count = (!spec.append_only).then_some(0);
        let words = Words { count, time: spec.expiry.as_ref().map(|_| usize::from(count.is_some())) };
        Self {
            digests: Digests::new(types),
            table: GroupTable::new(vec![DataType::UInt64; 2], Equality::Exact, words.len()),
            words,
            expirer: spec.expiry.clone().map(Expirer::new),
            touched: Touched::default(),
            held: Vec::new(),
            held_rows: 0,
            groups: Vec::new(),
            fresh: Vec::new(),
            spec,
        }
    }

    fn fold(&mut self, changes: &Changes, out: &mut Outbox) {
        let columns: Vec<ArrayRef> = self.spec.columns.iter().map(|&column| changes.column(column).clone()).collect();
        let hashes =
            changes.hashes.clone().unwrap_or_else(|| ScalarBuffer::from(hash_columns(&columns, changes.len())));
        self.digests.take(&columns, changes.len());
        self.resolve(&hashes);
        let rows = match self.words.count {
            Some(count) => self.count(count, changes),
            None => self.first_rows(),
        };
        self.time_rows(changes);
        self.hold(columns, &rows);
        if self.spec.append_only && self.held_rows >= BATCH_ROWS {
            self.emit_appeared(out);
        }
    }

    /// Looks digests up. Their tags are of the digest, which is saved; the key group is that of the row.
    fn resolve(&mut self, hashes: &[u64]) {
        let low = &self.digests.low;
        let places: Vec<u64> =
            hashes.iter().zip(low).map(|(hash, low)| hash >> 32 << 32 | u64::from(*low as u32)).collect();
        let column = |words: &[u64]| Arc::new(UInt64Array::from(words.to_vec())) as ArrayRef;
        let keys = [column(low), column(&self.digests.high)];
        self.fresh.clear();
        self.table.resolve(&keys, &places, &mut self.groups, &mut self.fresh);
        if let Some(expirer) = &mut self.expirer {
            expirer.added(self.fresh.len());
        }
    }

    /// The places of the rows that are new, each once.
    fn first_rows(&self) -> Vec<u32> {
        let mut fresh = self.fresh.iter().peekable();
        let is_new = |(_, group): &(u32, &u32)| fresh.next_if(|fresh| fresh == group).is_some();
        (0..).zip(&self.groups).filter(is_new).map(|(row, _)| row).collect()
    }

    /// Counts rows; gives the places of those that had not changed in this epoch, each once.
    fn count(&mut self, count: usize, changes: &Changes) -> Vec<u32> {
        let mut rows = Vec::new();
        for (row, &group) in self.groups.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(group);
            if !mark.is_on() {
                mark.turn_on();
                self.touched.groups.push(group);
                self.touched.before.push(payload[count]);
                rows.push(row as u32);
            }
            payload[count] = payload[count].wrapping_add_signed(changes.weight(row));
        }
        rows
    }

    /// Notes the times of rows that are new.
    fn time_rows(&mut self, changes: &Changes) {
        let (Some(word), Some(expirer)) = (self.words.time, &self.expirer) else { return };
        let column = changes.column(expirer.expiry.column);
        let times = times_us(column);
        for row in self.first_rows() {
            let time = if column.is_null(row as usize) { NO_TIME } else { times[row as usize] };
            self.table.payload_mut(self.groups[row as usize])[word] = time as u64;
        }
    }

    /// Keeps some rows of a batch until they go out.
    fn hold(&mut self, columns: Vec<ArrayRef>, rows: &[u32]) {
        if rows.is_empty() {
            return;
        }
        let mut batch = RecordBatch::try_new(Arc::clone(&self.spec.output), columns).expect("the columns go out");
        if rows.len() < batch.num_rows() {
            batch = take(&batch, rows);
        }
        self.held_rows += rows.len();
        self.held.push(batch);
    }

    /// The rows that are held, as one batch.
    fn take_held(&mut self) -> RecordBatch {
        self.held_rows = 0;
        let mut held = std::mem::take(&mut self.held);
        match held.len() {
            1 => held.remove(0),
            _ => concat_batches(&self.spec.output, &held).expect("all have the same columns"),
        }
    }

    fn emit_appeared(&mut self, out: &mut Outbox) {
        if self.held_rows > 0 {
            out.push(Changes::inserts(self.take_held()));
        }
    }

    /// Puts out the rows that have come and those that are gone.
    fn emit_changed(&mut self, count: usize, out: &mut Outbox) {
        let Touched { groups, before } = &self.touched;
        let is_there = |count: u64| i64::from(count as i64 > 0);
        let change = |(group, before): (&u32, &u64)| is_there(self.table.payload(*group)[count]) - is_there(*before);
        let changed = (0..).zip(groups.iter().zip(before).map(change)).filter(|(_, change)| *change != 0);
        let (rows, weights): (Vec<u32>, Vec<i64>) = changed.unzip();
        let held = self.take_held();
        for (rows, weights) in rows.chunks(BATCH_ROWS).zip(weights.chunks(BATCH_ROWS)) {
            out.push(Changes::weighted(take(&held, rows), weights.to_vec()));
        }
    }

    /// Forgets the rows that are no longer there, and clears the marks of the others.
    fn end_epoch(&mut self, count: usize) {
        let noted_below = self.table.noted_below();
        for group in std::mem::take(&mut self.touched.groups) {
            let (mut mark, payload) = self.table.marked_mut(group);
            mark.turn_off();
            let is_gone = payload[count] == 0;
            if group < noted_below && mark.make_dirty() {
                self.table.note_dirty(group);
            }
            if is_gone {
                self.forget(group);
            }
        }
        self.touched = Touched::default();
    }

    fn forget(&mut self, group: u32) {
        self.table.remove(group, self.tag(group));
    }

    /// The lower half of the hash that a digest is looked up by.
    fn tag(&self, group: u32) -> u32 {
        self.table.key_word(group, 0).expect("no digest is NULL") as u32
    }

    /// Forgets the rows whose time is over.
    fn expire(&mut self) {
        let (Some(word), Some(expirer)) = (self.words.time, &mut self.expirer) else { return };
        if !expirer.is_due(self.table.len()) {
            return;
        }
        let is_over = |&group: &u32| expirer.is_over(self.table.payload(group)[word] as i64);
        let over: Vec<u32> = self.table.groups().filter(is_over).collect();
        over.into_iter().for_each(|group| self.forget(group));
    }
}

fn take(batch: &RecordBatch, rows: &[u32]) -> RecordBatch {
    take_record_batch(batch, &UInt32Array::from(rows.to_vec())).expect("row numbers are within the batch")
}

impl Operator for Distinct {
    fn apply(&mut self, input: usize, changes: Changes, out: &mut Outbox) {
        match &mut self.expirer {
            Some(expirer) if expirer.expiry.input == input => expirer.raise(&changes),
            _ => self.fold(&changes, out),
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        match self.words.count {
            None => self.emit_appeared(out),
            Some(count) if self.held_rows > 0 => {
                self.emit_changed(count, out);
                self.end_epoch(count);
            }
            Some(_) => {}
        }
        self.expire();
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.table.track();
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        self.write_state(rewrite, out);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.read_state(state)
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { keys: self.table.len() as u64, bytes: self.table.bytes() as u64, ..OperatorStats::default() }
    }
}
