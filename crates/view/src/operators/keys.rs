//! The keys of a join, shared by its inputs: key columns to key numbers.

use super::group_table::{Equality, GroupTable};
use super::keyed_rows::LOOSE;
use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;
use proxima_event::Changes;
use proxima_event::hash::hash_columns;

/// Numbers keys; a key with a NULL has none.
pub(super) struct Keys {
    pub(super) table: GroupTable,
}

impl Keys {
    pub(super) fn new(types: Vec<DataType>) -> Self {
        Self { table: GroupTable::new(types, Equality::Grouped, 0) }
    }

    /// The key number of each row of a batch, [`LOOSE`] where a key column is NULL, and the hash of its key.
    pub(super) fn of(&mut self, changes: &Changes, columns: &[usize]) -> (Vec<u32>, ScalarBuffer<u64>) {
        let keys: Vec<ArrayRef> = columns.iter().map(|&column| changes.column(column).clone()).collect();
        let hashes = changes.hashes.clone().unwrap_or_else(|| hash_columns(&keys, changes.len()).into());
        (self.number(&keys, &hashes), hashes)
    }

    /// The key numbers of rows of a snapshot, whose key is in some of their columns.
    pub(super) fn of_loaded(&mut self, rows: &[ArrayRef], columns: &[usize]) -> Vec<u32> {
        let keys: Vec<ArrayRef> = columns.iter().map(|&column| rows[column].clone()).collect();
        let len = rows.first().map_or(0, |column| column.len());
        self.number(&keys, &hash_columns(&keys, len))
    }

    /// The numbers of keys whose hashes are known.
    pub(super) fn number(&mut self, keys: &[ArrayRef], hashes: &[u64]) -> Vec<u32> {
        let valid =
            keys.iter().fold(None, |valid, key| NullBuffer::union(valid.as_ref(), key.logical_nulls().as_ref()));
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        let Some(valid) = valid.filter(|valid| valid.null_count() > 0) else {
            self.table.resolve(keys, hashes, &mut numbers, &mut fresh);
            return numbers;
        };
        let rows: Vec<u32> = valid.valid_indices().map(|row| row as u32).collect();
        let hashes: Vec<u64> = rows.iter().map(|&row| hashes[row as usize]).collect();
        let rows = UInt32Array::from(rows);
        let keys: Vec<ArrayRef> =
            keys.iter().map(|key| take(key, &rows, None).expect("row numbers are within the batch")).collect();
        self.table.resolve(&keys, &hashes, &mut numbers, &mut fresh);
        let mut all = vec![LOOSE; valid.len()];
        for (&row, number) in rows.values().iter().zip(numbers) {
            all[row as usize] = number;
        }
        all
    }

    /// Forgets those of some keys that are no longer in use.
    pub(super) fn retire(&mut self, mut keys: Vec<u32>, is_unused: impl Fn(u32) -> bool) {
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|&key| is_unused(key));
        let hashes = hash_columns(&self.table.columns(&keys), keys.len());
        for (key, hash) in keys.into_iter().zip(hashes) {
            self.table.remove(key, hash as u32);
        }
    }
}
