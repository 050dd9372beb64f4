//! Netting without state, where a key holds one row at a time.

use super::{BATCH_ROWS, NetSpec};
use crate::operators::group_table::{Equality, GroupTable};
use crate::operators::ordered::RowOrder;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{interleave, interleave_record_batch};
use proxima_engine::Outbox;
use proxima_event::Changes;
use proxima_event::hash::hash_columns;
use std::collections::BTreeMap;

/// Keys with one row at a time: the row that appears in an epoch is the one that is there at its end.
pub(super) struct Unique {
    spec: NetSpec,
    pub(super) table: GroupTable,
    batches: Vec<Changes>,
    /// The key number of each row of each batch.
    numbers: Vec<Vec<u32>>,
}

/// A row of the epoch: its batch and its place there.
type Place = (usize, usize);

/// A row by its key number and its bytes.
type CrowdedRow = (u32, Box<[u8]>);

/// The row of a key that appears, and the one that goes.
type Decision = (Option<Place>, Option<Place>);

// The words of a key: the row that appears and the row that goes (each as a place + 1), and whether there are more.
const APPEARS: usize = 0;
const GOES: usize = 1;
const MORE: usize = 2;

impl Unique {
    pub(super) fn new(spec: NetSpec) -> Self {
        let types = spec.key.iter().map(|&key| spec.input.field(key).data_type().clone()).collect();
        let table = GroupTable::new(types, Equality::Grouped, 3);
        Self { spec, table, batches: Vec::new(), numbers: Vec::new() }
    }

    pub(super) fn apply(&mut self, changes: Changes) {
        let keys: Vec<ArrayRef> = self.spec.key.iter().map(|&key| changes.column(key).clone()).collect();
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        match &changes.hashes {
            Some(hashes) => self.table.resolve(&keys, hashes, &mut numbers, &mut fresh),
            None => self.table.resolve(&keys, &hash_columns(&keys, changes.len()), &mut numbers, &mut fresh),
        }
        let batch = (self.batches.len() as u64) << 32;
        for (row, &number) in numbers.iter().enumerate() {
            let words = self.table.payload_mut(number);
            let which = if changes.weight(row) > 0 { APPEARS } else { GOES };
            words[MORE] |= u64::from(words[which] != 0 || changes.weight(row).abs() != 1);
            words[which] = batch | (row as u64 + 1);
        }
        self.numbers.push(numbers);
        self.batches.push(changes);
    }

    pub(super) fn finish(&mut self, out: &mut Outbox) {
        let decided = self.decide_crowded();
        let unchanged = self.unchanged();
        let mut chosen: Vec<Place> = Vec::new();
        let mut weights = Vec::new();
        for key in 0..self.table.bound() as u32 {
            let words = self.table.payload(key);
            let (appears, goes) = match decided.get(&key) {
                Some(&places) => places,
                None if unchanged.get(&key) == Some(&true) => continue,
                None => (place(words[APPEARS]), place(words[GOES])),
            };
            let Some(row) = appears.or(goes) else { continue };
            chosen.push(row);
            weights.push(if appears.is_some() { 1 } else { -1 });
        }
        self.emit(&chosen, &weights, out);
        self.table.clear();
        self.batches.clear();
        self.numbers.clear();
    }

    fn emit(&self, chosen: &[Place], weights: &[i64], out: &mut Outbox) {
        let batches: Vec<&RecordBatch> = self.batches.iter().map(|changes| &changes.rows).collect();
        for (chosen, weights) in chosen.chunks(BATCH_ROWS).zip(weights.chunks(BATCH_ROWS)) {
            let rows = interleave_record_batch(&batches, chosen).expect("places are within the epoch's batches");
            out.push(Changes::weighted(rows, weights.to_vec()));
        }
    }

    /// Of the keys where one row goes and one appears: whether both are the same.
    fn unchanged(&self) -> BTreeMap<u32, bool> {
        let both = |&key: &u32| {
            let words = self.table.payload(key);
            words[MORE] == 0 && words[APPEARS] != 0 && words[GOES] != 0
        };
        let keys: Vec<u32> = (0..self.table.bound() as u32).filter(both).collect();
        let places = |which: usize| -> Vec<Place> {
            keys.iter().filter_map(|&key| place(self.table.payload(key)[which])).collect()
        };
        let same = self.same_rows(&places(APPEARS), &places(GOES));
        keys.into_iter().zip(same).filter(|&(_, same)| same).collect()
    }

    /// Compares rows pair by pair.
    fn same_rows(&self, left: &[Place], right: &[Place]) -> Vec<bool> {
        let mut same = vec![true; left.len()];
        if left.is_empty() {
            return same;
        }
        for column in 0..self.spec.input.fields().len() {
            let arrays: Vec<&dyn Array> = self.batches.iter().map(|changes| changes.column(column).as_ref()).collect();
            let of = |places| interleave(&arrays, places).expect("places are within the epoch's batches");
            let equal = equal_values(&of(left), &of(right));
            same.iter_mut().zip(equal.values()).for_each(|(same, equal)| *same &= equal);
        }
        same
    }

    /// Keys with more than one row on a side, as when streams with their own takings back are merged: adds each row's
    /// weights up.
    fn decide_crowded(&self) -> BTreeMap<u32, Decision> {
        let mut weights: BTreeMap<CrowdedRow, (i64, Place)> = BTreeMap::new();
        let order = RowOrder::new(&self.spec.input, &[]);
        for (batch, (changes, numbers)) in self.batches.iter().zip(&self.numbers).enumerate() {
            let crowded = |&row: &usize| self.table.payload(numbers[row])[MORE] != 0;
            let rows: Vec<usize> = (0..numbers.len()).filter(crowded).collect();
            if rows.is_empty() {
                continue;
            }
            let encoded = order.encode(changes.rows.columns());
            for row in rows {
                let key = (numbers[row], Box::from(encoded.row(row).data()));
                weights.entry(key).or_insert((0, (batch, row))).0 += changes.weight(row);
            }
        }
        let mut decided: BTreeMap<u32, Decision> = BTreeMap::new();
        for ((number, _), (weight, place)) in weights {
            let (appears, goes) = decided.entry(number).or_default();
            match weight.signum() {
                1 => *appears = Some(place),
                -1 => *goes = Some(place),
                _ => {}
            }
        }
        decided
    }
}

fn place(word: u64) -> Option<Place> {
    (word != 0).then(|| ((word >> 32) as usize, word as u32 as usize - 1))
}

/// Whether values are the same, NULLs among them.
fn equal_values(left: &ArrayRef, right: &ArrayRef) -> BooleanArray {
    if left.data_type().is_nested() {
        return (0..left.len()).map(|row| Some(left.slice(row, 1) == right.slice(row, 1))).collect();
    }
    not_distinct(left, right).expect("both are of one type")
}
