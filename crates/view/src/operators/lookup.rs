//! Lookup join: facts meet the row of a dimension as it is in their epoch (`FOR SYSTEM_TIME AS OF`).
//!
//! The changes of the dimension apply before the facts of the same epoch, which are held back until then. What a fact
//! has met stands, whatever becomes of the dimension; where facts can be taken back, what each has met is remembered,
//! and the last that came is the first that goes.

use super::group_table::{Equality, GroupTable, NO_GROUP};
use super::keyed_rows::{KeyedRows, LOOSE};
use super::keys::Keys;
use super::snapshot::{by_key_group, misfit, state_batch, weights_array, weights_column, words_column};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KeyGroup};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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

/// Rows that go out in one batch, about.
const BATCH_ROWS: usize = 1024;

/// Joins facts with a dimension as of their epoch.
pub struct Lookup {
    spec: LookupSpec,
    keys: Keys,
    /// The dimension. A row's own word counts the remembered facts that have met it.
    dimension: KeyedRows,
    facts: Vec<(Changes, Vec<u32>)>,
    /// Where facts can be taken back: what they have met.
    memory: Option<Memory>,
}

/// What the facts have met that can still be taken back.
struct Memory {
    /// The facts; the payload is the weight that the epoch adds.
    table: GroupTable,
    /// For each fact what it has met, the last at the end.
    met: Vec<Vec<Met>>,
    /// The facts that the epoch has changed, each with the lower half of its hash and its key number.
    changed: Vec<(u32, u32, u32)>,
}

/// So many of a fact met these rows of the dimension, each with its weight. None: it went out with NULLs, or not.
#[derive(Clone, Debug, PartialEq)]
struct Met {
    count: i64,
    rows: Box<[(u32, i64)]>,
}

/// The row of the dimension that stands for none.
const NONE: u32 = NO_GROUP;

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

    /// Items of a table by the key groups of some of its columns.
    fn group_keys(&self, items: &[u32], table: Option<&GroupTable>, keys: &[usize]) -> BTreeMap<KeyGroup, Vec<u32>> {
        let Some(table) = table else { return BTreeMap::new() };
        let columns: Vec<ArrayRef> = keys.iter().map(|&key| table.column(key, items)).collect();
        let sorted = by_key_group(items, &hash_columns(&columns, items.len()));
        sorted.groups.into_iter().map(|(group, range)| (group, sorted.items[range].to_vec())).collect()
    }

    /// Puts out facts that are never taken back: nothing is remembered.
    fn pass(&mut self, out: &mut Outbox) {
        for (changes, keys) in std::mem::take(&mut self.facts) {
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
        for (changes, keys) in std::mem::take(&mut self.facts) {
            memory.note(&changes, &keys);
        }
        let mut keys = Vec::new();
        let mut pairs: Vec<(u32, u32, i64)> = Vec::new();
        let changed = std::mem::take(&mut memory.changed);
        for &(fact, _, key) in &changed {
            let delta = memory.take_delta(fact);
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

impl Memory {
    fn note(&mut self, changes: &Changes, keys: &[u32]) {
        let columns = changes.rows.columns();
        let hashes = hash_columns(columns, changes.len());
        let (mut facts, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(columns, &hashes, &mut facts, &mut fresh);
        self.met.resize(self.table.bound().max(self.met.len()), Vec::new());
        for (row, &fact) in facts.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(fact);
            payload[0] = payload[0].wrapping_add_signed(changes.weight(row));
            if mark.get() == 0 {
                mark.set(1);
                self.changed.push((fact, hashes[row] as u32, keys[row]));
            }
        }
    }

    fn take_delta(&mut self, fact: u32) -> i64 {
        let (mut mark, payload) = self.table.marked_mut(fact);
        mark.set(0);
        std::mem::take(&mut payload[0]) as i64
    }

    fn forget(&mut self, changed: &[(u32, u32, u32)]) {
        for &(fact, tag, _) in changed {
            if self.met[fact as usize].is_empty() {
                self.met[fact as usize] = Vec::new();
                self.table.remove(fact, tag);
            }
        }
    }
}

impl Operator for Lookup {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if input == 0 {
            let keys = self.keys.of(&changes, &self.spec.left_keys);
            self.facts.push((changes, keys));
            return;
        }
        let keys = self.keys.of(&changes, &self.spec.dimension_keys);
        let kept: Vec<u32> = (0..changes.len() as u32).filter(|&row| keys[row as usize] != LOOSE).collect();
        let keys: Vec<u32> = kept.iter().map(|&row| keys[row as usize]).collect();
        self.dimension.change(&changes.take(&kept), &keys);
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let used: Vec<u32> = self.facts.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
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

    fn save(&self, out: &mut StateWriter) {
        let facts = self.memory.as_ref().map(|memory| memory.table.groups().collect::<Vec<_>>()).unwrap_or_default();
        let mut facts = self.group_keys(&facts, self.memory.as_ref().map(|memory| &memory.table), &self.spec.left_keys);
        let rows: Vec<u32> = self.dimension.table.groups().collect();
        let mut rows = self.group_keys(&rows, Some(&self.dimension.table), &self.spec.dimension_keys);
        let groups: BTreeSet<KeyGroup> = facts.keys().chain(rows.keys()).copied().collect();
        for group in groups {
            let (rows, facts) = (rows.remove(&group).unwrap_or_default(), facts.remove(&group).unwrap_or_default());
            let mut columns = self.dimension.table.columns(&rows);
            columns.push(weights_array(rows.iter().map(|&row| self.dimension.weight(row).0)));
            out.write(group, state_batch(columns, Vec::new()));
            if let Some(memory) = &self.memory {
                out.write(group, state_batch(memory.table.columns(&facts), Vec::new()));
                out.write(group, memory.save(&facts, &rows));
            }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let Some(batch) = state.next_batch()? else { return Ok(()) };
        let width = self.spec.dimension.fields().len();
        let weights = weights_column(&batch, width)?;
        let columns = &batch.columns()[..width];
        let keys: Vec<ArrayRef> = self.spec.dimension_keys.iter().map(|&key| columns[key].clone()).collect();
        let keys = self.keys.number(&keys, &hash_columns(&keys, batch.num_rows()));
        let rows = self.dimension.restore(columns, &keys, weights, &vec![0; weights.len()]);
        let Some(memory) = &mut self.memory else { return Ok(()) };
        let missing = || misfit("the facts of a lookup");
        let facts = state.next_batch()?.ok_or_else(missing)?;
        let met = state.next_batch()?.ok_or_else(missing)?;
        memory.load(&facts, &met, &rows, &mut self.dimension)
    }

    fn stats(&self) -> OperatorStats {
        let (facts, bytes) = self.memory.as_ref().map_or((0, 0), |memory| {
            (memory.table.len(), memory.table.bytes() + memory.met.capacity() * size_of::<Vec<Met>>() * 2)
        });
        let bytes = bytes + self.dimension.bytes() + self.keys.table.bytes();
        OperatorStats { keys: (facts + self.dimension.table.len()) as u64, bytes: bytes as u64, late: 0 }
    }
}

// The columns of what facts have met, a line for each row of the dimension.
const FACT: usize = 0;
const PLACE: usize = 1;
const COUNT: usize = 2;
const ROW: usize = 3;
const ROW_WEIGHT: usize = 4;
/// In place of a row's number: went out with NULLs; did not go out.
const WITH_NULLS: u64 = u64::MAX;
const NOT_OUT: u64 = u64::MAX - 1;

impl Memory {
    fn save(&self, facts: &[u32], rows: &[u32]) -> RecordBatch {
        let place_of: HashMap<u32, u64> = rows.iter().copied().zip(0..).collect();
        let mut lines: [Vec<u64>; 5] = Default::default();
        let mut line = |values: [u64; 5]| lines.iter_mut().zip(values).for_each(|(line, value)| line.push(value));
        for (at, &fact) in facts.iter().enumerate() {
            for (place, met) in self.met[fact as usize].iter().enumerate() {
                let head = [at as u64, place as u64, met.count as u64];
                for &(row, weight) in &met.rows {
                    let row = if row == NONE { WITH_NULLS } else { place_of[&row] };
                    line([head[0], head[1], head[2], row, weight as u64]);
                }
                if met.rows.is_empty() {
                    line([head[0], head[1], head[2], NOT_OUT, 0]);
                }
            }
        }
        state_batch(Vec::new(), lines.into())
    }

    fn load(
        &mut self,
        facts: &RecordBatch,
        met: &RecordBatch,
        rows: &[u32],
        dimension: &mut KeyedRows,
    ) -> Result<(), SnapshotError> {
        let hashes = hash_columns(facts.columns(), facts.num_rows());
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(facts.columns(), &hashes, &mut numbers, &mut fresh);
        self.met.resize(self.table.bound().max(self.met.len()), Vec::new());
        let column = |at| words_column(met, at);
        let lines = [column(FACT)?, column(PLACE)?, column(COUNT)?, column(ROW)?, column(ROW_WEIGHT)?];
        let lines: Vec<[u64; 5]> = (0..met.num_rows()).map(|line| lines.map(|column| column[line])).collect();
        for lines in lines.chunk_by(|a, b| a[..ROW] == b[..ROW]) {
            let fact = numbers.get(lines[0][FACT] as usize).ok_or_else(|| misfit("the number of a fact"))?;
            let row_of = |line: &[u64; 5]| match line[ROW] {
                WITH_NULLS => Some(NONE),
                row => rows.get(row as usize).copied(),
            };
            let there = lines.iter().filter(|line| line[ROW] != NOT_OUT);
            let met = there.map(|line| Some((row_of(line)?, line[ROW_WEIGHT] as i64))).collect::<Option<Box<[_]>>>();
            let met = met.ok_or_else(|| misfit("the number of a row"))?;
            for &(row, _) in met.iter().filter(|&&(row, _)| row != NONE) {
                dimension.set_own(row, dimension.own(row) + 1);
            }
            self.met[*fact as usize].push(Met { count: lines[0][COUNT] as i64, rows: met });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{Bag, Driver, Row, Stream, V, add, any, any_text, schema};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn row(rng: &mut ChaCha8Rng) -> Row {
        vec![any_text(rng), any(rng, &[V::Int(1), V::Int(2)])]
    }

    fn spec(outer: bool, left_append_only: bool) -> LookupSpec {
        let types = [DataType::Utf8View, DataType::Int64];
        LookupSpec {
            left: schema(&types),
            dimension: schema(&types),
            left_keys: vec![0],
            dimension_keys: vec![0],
            outer,
            left_append_only,
            output: schema(&[types.clone(), types].concat()),
        }
    }

    fn outputs(fact: &Row, dimension: &Bag, outer: bool) -> Bag {
        let matches = dimension.iter().filter(|(row, _)| row[0] == fact[0] && row[0] != V::Null);
        let mut outputs: Bag = matches.map(|(row, &weight)| ([fact.clone(), row.clone()].concat(), weight)).collect();
        if outputs.is_empty() && outer {
            outputs.insert([fact.clone(), vec![V::Null, V::Null]].concat(), 1);
        }
        outputs
    }

    fn check(seed: u64, outer: bool, append_only: bool) {
        let spec = spec(outer, append_only);
        let make = || Box::new(Lookup::new(spec.clone())) as Box<dyn Operator>;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut facts = Stream::new(spec.left.clone(), &[0], append_only, row);
        let mut dimension = Stream::new(spec.dimension.clone(), &[0], false, row);
        let mut driver = Driver::new(1, &make);
        // For each fact what each time it came has put out, the last at the end.
        let mut met: BTreeMap<Row, Vec<Bag>> = BTreeMap::new();
        for epoch in 0..40 {
            let rows = dimension.epoch(&mut rng);
            let changes = facts.epoch(&mut rng);
            let mut net = Bag::new();
            changes.iter().for_each(|(fact, weight)| add(&mut net, fact.clone(), *weight));
            for (fact, weight) in net {
                let met = met.entry(fact.clone()).or_default();
                (0..weight).for_each(|_| met.push(outputs(&fact, &dimension.bag, outer)));
                (0..-weight).for_each(|_| drop(met.pop().unwrap()));
            }
            driver.epoch(&[(&facts, changes), (&dimension, rows)], &mut rng);
            let mut expected = Bag::new();
            for (row, weight) in met.values().flatten().flatten() {
                add(&mut expected, row.clone(), *weight);
            }
            assert_eq!(driver.result, expected, "seed {seed} epoch {epoch}");
            if rng.random_ratio(1, 6) {
                driver.restart(rng.random_range(1..=4));
            }
        }
    }

    #[test]
    fn facts_meet_the_dimension_of_their_epoch_and_part_from_the_same() {
        for seed in 0..3 {
            for outer in [false, true] {
                check(seed, outer, false);
                check(seed, outer, true);
            }
        }
    }
}
