//! `count(DISTINCT …)`, exact: one table of (group, value) pairs with the weight of each.

use super::accumulator::{Accumulator, Cells, GroupRun, Input, mismatch, saved_batch, saved_groups};
use super::call::counts;
use crate::operators::group_table::{Equality, GroupTable};
use crate::operators::snapshot::Save;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use proxima_engine::SnapshotError;
use proxima_event::hash::hash_columns;
use proxima_event::{KeyGroup, KeyGroupSet};
use std::ops::Range;
use std::sync::Arc;

/// Counts different values. One word: how many there are.
pub(super) struct CountDistinct {
    output: DataType,
    /// (group, value) → weight.
    pairs: GroupTable,
    /// How many pairs each group has.
    held: Vec<u32>,
    numbers: Vec<u32>,
    fresh: Vec<u32>,
    /// During a save: what it has to write of the pairs.
    saving: Save,
}

/// The hash of a pair, all of whose bits depend on both.
fn pair_hash(group: u32, value: u64) -> u64 {
    // The constants are odd and have no structure of their own; the hash is never stored.
    let group = u64::from(group).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd6e8_feb8_6659_fd93;
    let product = u128::from(value ^ 0xa076_1d64_78bd_642f) * u128::from(group | 1);
    (product >> 64) as u64 ^ product as u64
}

impl CountDistinct {
    pub(super) fn new(argument: DataType, output: DataType) -> Self {
        Self {
            output,
            pairs: GroupTable::new(vec![DataType::UInt32, argument], Equality::Grouped, 1),
            held: Vec::new(),
            numbers: Vec::new(),
            fresh: Vec::new(),
            saving: Save::default(),
        }
    }

    fn pair_hashes(groups: &[u32], values: &ArrayRef) -> Vec<u64> {
        let hashes = hash_columns(std::slice::from_ref(values), values.len());
        groups.iter().zip(hashes).map(|(&group, hash)| pair_hash(group, hash)).collect()
    }

    /// The pairs of some groups and values, and their hashes; new ones belong to the key groups of their groups.
    fn number(&mut self, table: &GroupTable, groups: &[u32], values: &ArrayRef, numbers: &mut Vec<u32>) -> Vec<u64> {
        let hashes = Self::pair_hashes(groups, values);
        let keys = [Arc::new(UInt32Array::from(groups.to_vec())) as ArrayRef, Arc::clone(values)];
        self.fresh.clear();
        self.pairs.resolve(&keys, &hashes, numbers, &mut self.fresh);
        if self.pairs.is_tracked() {
            for &number in &self.fresh {
                let group = self.pairs.key_word(number, 0).expect("a group is never NULL") as u32;
                self.pairs.set_key_group(number, table.key_group(group));
            }
        }
        hashes
    }

    /// Sets a pair's weight; says by how much its group's number of values changes.
    fn set(&mut self, group: u32, number: u32, weight: impl Fn(u64) -> u64) -> i64 {
        let held = &mut self.pairs.payload_mut(number)[0];
        let before = *held;
        *held = weight(before);
        let change = i64::from(*held != 0) - i64::from(before != 0);
        let count = &mut self.held[group as usize];
        *count = count.wrapping_add_signed(change as i32);
        change
    }

    /// Removes those pairs that still weigh nothing, each once.
    fn remove(&mut self, mut gone: Vec<(u32, u32)>, remove: impl Fn(&mut GroupTable, u32, u32)) {
        gone.sort_unstable();
        gone.dedup();
        for (number, tag) in gone {
            if self.pairs.payload(number)[0] == 0 {
                remove(&mut self.pairs, number, tag);
            }
        }
    }

    /// The group of a pair.
    fn group_of(&self, number: u32) -> u32 {
        self.pairs.key_word(number, 0).expect("a group is never NULL") as u32
    }
}

impl Accumulator for CountDistinct {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, table: &mut GroupTable, own: Range<usize>, input: &Input<'_>) {
        self.held.resize(table.bound().max(self.held.len()), 0);
        let (mut groups, mut rows, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (row, group, weight) in input.rows() {
            groups.push(group);
            rows.push(row as u32);
            weights.push(weight);
        }
        let all = rows.len() == input.groups.len();
        let taken = || take(input.values(), &UInt32Array::from(rows), None).expect("row numbers are within the batch");
        let values = if all { Arc::clone(input.values()) } else { taken() };
        let mut numbers = std::mem::take(&mut self.numbers);
        let hashes = self.number(table, &groups, &values, &mut numbers);
        let mut gone = Vec::new();
        for (row, &number) in numbers.iter().enumerate() {
            let change = self.set(groups[row], number, |held| held.wrapping_add_signed(weights[row]));
            self.pairs.touch(number);
            if change < 0 {
                gone.push((number, hashes[row] as u32));
            }
            let word = &mut table.payload_mut(groups[row])[own.start];
            *word = word.wrapping_add_signed(change);
        }
        self.numbers = numbers;
        self.remove(gone, GroupTable::remove);
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        counts(&self.output, cells.iter().map(|words| words[0]))
    }

    fn forget(&mut self, groups: &[u32]) {
        let held = |&&group: &&u32| self.held.get(group as usize).is_some_and(|&held| held > 0);
        let doomed: std::collections::HashSet<u32> = groups.iter().filter(held).copied().collect();
        if doomed.is_empty() {
            return;
        }
        let numbers: Vec<u32> = self.pairs.groups().filter(|&number| doomed.contains(&self.group_of(number))).collect();
        let columns = self.pairs.columns(&numbers);
        let hashes = Self::pair_hashes(columns[0].as_primitive::<UInt32Type>().values(), &columns[1]);
        for (number, hash) in numbers.into_iter().zip(hashes) {
            self.pairs.remove(number, hash as u32);
        }
        for group in doomed {
            self.held[group as usize] = 0;
        }
    }

    fn has_more(&self) -> bool {
        true
    }

    fn track(&mut self) {
        self.pairs.track();
    }

    fn begin_save(&mut self, rewrite: &KeyGroupSet) {
        self.saving = self.pairs.begin_save(rewrite);
    }

    /// The values of each group with their weights; weight 0 is gone.
    fn save(&self, run: &GroupRun<'_>) -> Option<RecordBatch> {
        let (there, gone) = self.saving.of(run.kind, run.span.clone());
        // A value that went and came again has two numbers: the one that is there stands behind, and counts.
        let gone = self.pairs.ahead(gone).map(|number| (number, 0));
        let there = self.pairs.ahead(there).map(|number| (number, self.pairs.payload(number)[0] as i64));
        let pairs = gone.chain(there);
        // Pairs of a group that is gone are gone with it.
        let mut pairs: Vec<(u32, u32, i64)> =
            pairs.filter_map(|(number, weight)| Some((run.place(self.group_of(number))?, number, weight))).collect();
        pairs.sort_by_key(|&(place, ..)| place);
        let numbers: Vec<u32> = pairs.iter().map(|&(_, number, _)| number).collect();
        let weights: Int64Array = pairs.iter().map(|&(.., weight)| weight).collect();
        let values = self.pairs.column(1, &numbers);
        let places = pairs.into_iter().map(|(place, ..)| place).collect();
        Some(saved_batch(places, vec![("value", values), ("weight", Arc::new(weights))]))
    }

    fn end_save(&mut self) {
        self.saving = Save::default();
        self.pairs.end_save();
    }

    fn load(
        &mut self,
        table: &GroupTable,
        groups: &[u32],
        saved: &RecordBatch,
        of: KeyGroup,
    ) -> Result<(), SnapshotError> {
        self.held.resize(table.bound().max(self.held.len()), 0);
        let weights = saved.column(2).as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch("a column of weights"))?;
        let groups = saved_groups(groups, saved)?;
        let mut numbers = Vec::new();
        let hashes = self.number(table, &groups, saved.column(1), &mut numbers);
        self.pairs.loaded(&numbers, of);
        let mut gone = Vec::new();
        for (row, &number) in numbers.iter().enumerate() {
            // The counts were taken back with the words.
            self.set(groups[row], number, |_| weights.value(row) as u64);
            if weights.value(row) == 0 {
                gone.push((number, hashes[row] as u32));
            }
        }
        self.remove(gone, GroupTable::unload);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.pairs.bytes() + self.held.capacity() * 4
    }
}
