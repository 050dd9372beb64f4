//! Lookup join: facts meet the row of a dimension as it is in their epoch (`FOR SYSTEM_TIME AS OF`).
//!
//! The changes of the dimension apply before the facts of the same epoch, which are held back until then. What a fact
//! has met stands, whatever becomes of the dimension; where facts can be taken back, what each has met is remembered,
//! and the last that came is the first that goes.

use crate::operators::group_table::{Equality, GroupTable};
use crate::operators::keyed_rows::{KeyedRows, LOOSE};
use crate::operators::keys::Keys;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use memory::{Memory, Met, NONE};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, KeyGroupSet};
use std::collections::BTreeMap;
use std::sync::Arc;

mod memory;
mod state;

#[cfg(test)]
mod tests;

/// What a [`Lookup`] joins. The facts come on input 0, the changes of the dimension on input 1, each routed by its keys.
#[derive(Clone, Debug)]
pub struct LookupSpec {
    /// The facts.
    pub left: SchemaRef,
    /// The rows of the dimension.
    pub dimension: SchemaRef,
    /// The key columns of the facts.
    pub left_keys: Vec<usize>,
    /// The key columns of the dimension, of the same types.
    pub dimension_keys: Vec<usize>,
    /// Whether facts without a match are kept, with NULLs.
    pub outer: bool,
    /// Whether facts are never taken back: then no fact is remembered.
    pub left_append_only: bool,
    /// The rows that go out: the columns of the fact, then those of the dimension.
    pub output: SchemaRef,
}

/// A batch of facts that waits for the end of the epoch: with the key number of each and the hash of its key.
struct Facts {
    changes: Changes,
    keys: Vec<u32>,
    hashes: ScalarBuffer<u64>,
}

/// Rows that go out in one batch, about.
const BATCH_ROWS: usize = 1024;

/// Joins facts with a dimension as of their epoch.
pub struct Lookup {
    spec: LookupSpec,
    keys: Keys,
    /// The dimension. A row's own word counts the remembered facts that have met it.
    dimension: KeyedRows,
    facts: Vec<Facts>,
    /// Where facts can be taken back: what they have met.
    memory: Option<Memory>,
}

impl Lookup {
    /// A lookup with an empty dimension.
    ///
    /// # Panics
    /// When the key columns of both sides are not of the same types.
    #[must_use]
    pub fn new(spec: LookupSpec) -> Self {
        let types = |schema: &SchemaRef, keys: &[usize]| -> Vec<DataType> {
            keys.iter().map(|&key| schema.field(key).data_type().clone()).collect()
        };
        let key_types = types(&spec.left, &spec.left_keys);
        let dimension_types = types(&spec.dimension, &spec.dimension_keys);
        assert_eq!(key_types, dimension_types, "the planner casts join keys to one type");
        let all: Vec<usize> = (0..spec.left.fields().len()).collect();
        let memory = (!spec.left_append_only).then(|| Memory {
            table: GroupTable::new(types(&spec.left, &all), Equality::Exact, 1),
            met: Vec::new(),
            changed: Vec::new(),
        });
        Self { keys: Keys::new(key_types), dimension: KeyedRows::new(&spec.dimension), facts: Vec::new(), memory, spec }
    }

    /// Brings the dimension to the state that the facts of this epoch see. Gives the keys of what changed.
    fn commit_dimension(&mut self) -> Vec<u32> {
        let mut keys = Vec::new();
        self.dimension.commit(|remembered| remembered > 0, |key| keys.push(key));
        keys
    }

    fn retire(&mut self, mut keys: Vec<u32>) {
        keys.retain(|&key| key != LOOSE);
        let dimension = &self.dimension;
        self.keys.retire(keys, |key| dimension.is_empty(key));
    }

    /// The rows of the dimension with a key, each with its weight; none stands for NULLs where the join is outer.
    fn matches(&self, key: u32) -> Vec<(u32, i64)> {
        let rows = if key == LOOSE { NONE } else { key };
        let rows = (rows != NONE).then(|| self.dimension.of_key(rows)).into_iter().flatten();
        let mut matches: Vec<(u32, i64)> =
            rows.map(|row| (row, self.dimension.weight(row).0)).filter(|&(_, weight)| weight > 0).collect();
        if matches.is_empty() && self.spec.outer {
            matches.push((NONE, 1));
        }
        matches
    }

    /// Puts out facts that are never taken back: nothing is remembered.
    fn pass(&mut self, out: &mut Outbox) {
        for Facts { changes, keys, .. } in std::mem::take(&mut self.facts) {
            let (mut facts, mut rows, mut weights) = (Vec::new(), Vec::new(), Vec::new());
            for (fact, &key) in keys.iter().enumerate() {
                for (row, weight) in self.matches(key) {
                    facts.push(fact as u32);
                    rows.push(row);
                    weights.push(weight * changes.weight(fact));
                }
            }
            if rows.is_empty() {
                continue;
            }
            let facts = UInt32Array::from(facts);
            let columns = changes.rows.columns().iter();
            let columns = columns.map(|column| take(column, &facts, None).expect("fact numbers are within the batch"));
            let batch = self.batch(columns.collect(), &rows);
            out.push(Changes::weighted(batch, weights));
        }
    }

    fn batch(&self, mut columns: Vec<ArrayRef>, rows: &[u32]) -> RecordBatch {
        columns.extend(self.dimension.table.columns(rows));
        let batch = RecordBatch::try_new(Arc::clone(&self.spec.output), columns);
        batch.expect("the output is the fact's columns, then the dimension's")
    }

    /// Puts out the net change of facts, and remembers what they met. Gives the keys that may be out of use.
    fn settle(&mut self, memory: &mut Memory, out: &mut Outbox) -> Vec<u32> {
        for facts in std::mem::take(&mut self.facts) {
            memory.note(&facts);
        }
        let mut keys = Vec::new();
        let mut pairs: Vec<(u32, u32, i64)> = Vec::new();
        let changed = std::mem::take(&mut memory.changed);
        for &(fact, _, key) in &changed {
            let delta = memory.take_delta(fact);
            if delta != 0 {
                memory.table.touch(fact);
            }
            let met = &mut memory.met[fact as usize];
            let changes = if delta > 0 { self.meet(met, key, delta) } else { self.part(met, -delta, &mut keys) };
            pairs.extend(changes.into_iter().map(|(row, weight)| (fact, row, weight)));
        }
        for pairs in pairs.chunks(BATCH_ROWS) {
            let facts: Vec<u32> = pairs.iter().map(|&(fact, ..)| fact).collect();
            let rows: Vec<u32> = pairs.iter().map(|&(_, row, _)| row).collect();
            let batch = self.batch(memory.table.columns(&facts), &rows);
            out.push(Changes::weighted(batch, pairs.iter().map(|&(.., weight)| weight).collect()));
        }
        memory.forget(&changed);
        self.drop_unmet(&keys)
    }

    /// So many more of a fact meet the dimension of now.
    fn meet(&mut self, met: &mut Vec<Met>, key: u32, count: i64) -> BTreeMap<u32, i64> {
        let rows: Box<[(u32, i64)]> = self.matches(key).into();
        match met.last_mut() {
            Some(last) if last.rows == rows => last.count += count,
            _ => {
                for &(row, _) in rows.iter().filter(|&&(row, _)| row != NONE) {
                    self.dimension.set_own(row, self.dimension.own(row) + 1);
                }
                met.push(Met { count, rows: rows.clone() });
            }
        }
        rows.iter().map(|&(row, weight)| (row, weight * count)).collect()
    }

    /// So many of a fact go, the last first, with what they met. `rows` hears what may be needed no more.
    fn part(&mut self, met: &mut Vec<Met>, mut count: i64, unmet: &mut Vec<u32>) -> BTreeMap<u32, i64> {
        let mut changes = BTreeMap::new();
        while count > 0 {
            // A fact that never came cannot be taken back.
            let Some(last) = met.last_mut() else { break };
            let taken = last.count.min(count);
            last.count -= taken;
            count -= taken;
            for &(row, weight) in &last.rows {
                *changes.entry(row).or_insert(0) -= weight * taken;
            }
            if last.count == 0 {
                for &(row, _) in last.rows.iter().filter(|&&(row, _)| row != NONE) {
                    self.dimension.set_own(row, self.dimension.own(row) - 1);
                    unmet.push(row);
                }
                met.pop();
            }
        }
        changes
    }

    /// Drops the rows of the dimension that are gone and that no fact remembers.
    fn drop_unmet(&mut self, rows: &[u32]) -> Vec<u32> {
        let is_over = |row: u32| self.dimension.own(row) == 0 && self.dimension.weight(row).0 == 0;
        let mut rows: Vec<u32> = rows.iter().copied().filter(|&row| is_over(row)).collect();
        rows.sort_unstable();
        rows.dedup();
        let mut keys = Vec::new();
        self.dimension.remove(&rows, |key| keys.push(key));
        keys
    }
}

impl Operator for Lookup {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if input == 0 {
            let (keys, hashes) = self.keys.of(&changes, &self.spec.left_keys);
            self.facts.push(Facts { changes, keys, hashes });
            return;
        }
        let (keys, hashes) = self.keys.of(&changes, &self.spec.dimension_keys);
        let kept: Vec<u32> = (0..changes.len() as u32).filter(|&row| keys[row as usize] != LOOSE).collect();
        let keys: Vec<u32> = kept.iter().map(|&row| keys[row as usize]).collect();
        let hashes: Vec<u64> = kept.iter().map(|&row| hashes[row as usize]).collect();
        self.dimension.change(&changes.take(&kept), &keys, &hashes);
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let used: Vec<u32> = self.facts.iter().flat_map(|facts| facts.keys.iter().copied()).collect();
        let mut keys = self.commit_dimension();
        match self.memory.take() {
            None => self.pass(out),
            Some(mut memory) => {
                keys.extend(self.settle(&mut memory, out));
                self.memory = Some(memory);
            }
        }
        keys.extend(used);
        self.retire(keys);
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.dimension.track();
        self.memory.iter_mut().for_each(|memory| memory.table.track());
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        self.write_state(rewrite, out);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.read_state(state)
    }

    fn stats(&self) -> OperatorStats {
        let (facts, bytes) = self.memory.as_ref().map_or((0, 0), |memory| {
            (memory.table.len(), memory.table.bytes() + memory.met.capacity() * size_of::<Vec<Met>>() * 2)
        });
        let bytes = bytes + self.dimension.bytes() + self.keys.table.bytes();
        OperatorStats {
            keys: (facts + self.dimension.table.len()) as u64,
            bytes: bytes as u64,
            ..OperatorStats::default()
        }
    }
}
