//! `count(DISTINCT …)`, exact: one table of (group, value) pairs with the weight of each.

use super::accumulator::{Accumulator, Cells, Input, mismatch, saved_batch, saved_groups};
use super::call::counts;
use crate::operators::group_table::{Equality, GroupTable};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use proxima_engine::SnapshotError;
use proxima_event::hash::hash_columns;
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
        }
    }

    fn pair_hashes(groups: &[u32], values: &ArrayRef) -> Vec<u64> {
        let hashes = hash_columns(std::slice::from_ref(values), values.len());
        groups.iter().zip(hashes).map(|(&group, hash)| pair_hash(group, hash)).collect()
    }

    /// Adds pairs with their weights; says by how much each group's number of values changes.
    fn add(&mut self, groups: Vec<u32>, values: &ArrayRef, weights: &[i64], mut count: impl FnMut(u32, i64)) {
        let hashes = Self::pair_hashes(&groups, values);
        let keys = [Arc::new(UInt32Array::from(groups.clone())) as ArrayRef, Arc::clone(values)];
        let mut numbers = std::mem::take(&mut self.numbers);
        self.fresh.clear();
        self.pairs.resolve(&keys, &hashes, &mut numbers, &mut self.fresh);
        let mut gone = Vec::new();
        for (row, (&number, &weight)) in numbers.iter().zip(weights).enumerate() {
            let held = &mut self.pairs.payload_mut(number)[0];
            let before = *held;
            *held = before.wrapping_add_signed(weight);
            let change = i64::from(*held != 0) - i64::from(before != 0);
            if change < 0 {
                gone.push((number, hashes[row] as u32));
            }
            count(groups[row], change);
            let count = &mut self.held[groups[row] as usize];
            *count = count.wrapping_add_signed(change as i32);
        }
        self.numbers = numbers;
        self.remove(gone);
    }

    /// Removes those pairs that still weigh nothing, each once.
    fn remove(&mut self, mut gone: Vec<(u32, u32)>) {
        gone.sort_unstable();
        gone.dedup();
        for (number, tag) in gone {
            if self.pairs.payload(number)[0] == 0 {
                self.pairs.remove(number, tag);
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
        self.add(groups, &values, &weights, |group, change| {
            let word = &mut table.payload_mut(group)[own.start];
            *word = word.wrapping_add_signed(change);
        });
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

    fn save(&self, groups: &[u32]) -> Option<RecordBatch> {
        let bound = groups.iter().max().map_or(0, |&group| group as usize + 1);
        let mut place_of = vec![u32::MAX; bound];
        for (place, &group) in (0..).zip(groups) {
            place_of[group as usize] = place;
        }
        let place = |number| place_of.get(self.group_of(number) as usize).copied().filter(|&place| place != u32::MAX);
        let mut pairs: Vec<(u32, u32)> =
            self.pairs.groups().filter_map(|number| Some((place(number)?, number))).collect();
        pairs.sort_unstable();
        let (places, numbers): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let weights: Int64Array = numbers.iter().map(|&number| self.pairs.payload(number)[0] as i64).collect();
        let values = self.pairs.column(1, &numbers);
        Some(saved_batch(places, vec![("value", values), ("weight", Arc::new(weights))]))
    }

    fn load(
        &mut self,
        table: &mut GroupTable,
        _own: Range<usize>,
        groups: &[u32],
        saved: &RecordBatch,
    ) -> Result<(), SnapshotError> {
        self.held.resize(table.bound().max(self.held.len()), 0);
        let weights = saved.column(2).as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch("a column of weights"))?;
        let groups = saved_groups(groups, saved)?;
        // The counts were taken back with the words.
        self.add(groups, saved.column(1), weights.values(), |_, _| {});
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.pairs.bytes() + self.held.capacity() * 4
    }
}
