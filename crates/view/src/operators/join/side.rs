//! One input of a join: its rows by key, and their state in a checkpoint.

use crate::operators::expiry::{Expirer, word_us};
use crate::operators::keyed_rows::{KeyedRows, LOOSE};
use crate::operators::keys::Keys;
use crate::operators::snapshot::{by_key_group, misfit, state_batch, weights_array, weights_column};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use proxima_engine::SnapshotError;
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KeyGroup};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One input of the join.
pub(super) struct Side {
    pub(super) schema: SchemaRef,
    pub(super) keys: Vec<usize>,
    /// Whether its rows without a match are kept. A row's own word in [`KeyedRows`] says how often it is shown so.
    pub(super) outer: bool,
    pub(super) rows: KeyedRows,
    pub(super) expirer: Option<Expirer>,
}

impl Side {
    /// Rows whose key has a NULL match nothing: an outer side passes them through, the other drops them.
    pub(super) fn take_in(&mut self, changes: Changes, keys: Vec<u32>) {
        if self.outer || !keys.contains(&LOOSE) {
            return self.rows.change(&changes, &keys);
        }
        let kept: Vec<u32> = (0..changes.len() as u32).filter(|&row| keys[row as usize] != LOOSE).collect();
        let keys: Vec<u32> = kept.iter().map(|&row| keys[row as usize]).collect();
        self.rows.change(&changes.take(&kept), &keys);
    }

    pub(super) fn expire(&mut self, keys: &mut Vec<u32>) {
        let Some(expirer) = &mut self.expirer else { return };
        expirer.added(self.rows.take_added());
        if !expirer.is_due(self.rows.table.len()) {
            return;
        }
        let column = expirer.expiry.column;
        let data_type = self.schema.field(column).data_type();
        let is_over = |&row: &u32| {
            let word = self.rows.table.key_word(row, column);
            word.is_some_and(|word| expirer.is_over(word_us(data_type, word)))
        };
        let rows: Vec<u32> = self.rows.table.groups().filter(is_over).collect();
        self.rows.remove(&rows, |key| keys.push(key));
    }

    /// The state of each key group: the rows, their weights, and how often they are shown without a match.
    pub(super) fn save(&self) -> BTreeMap<KeyGroup, RecordBatch> {
        let rows: Vec<u32> = self.rows.table.groups().collect();
        let key_columns: Vec<ArrayRef> = self.keys.iter().map(|&key| self.rows.table.column(key, &rows)).collect();
        let sorted = by_key_group(&rows, &hash_columns(&key_columns, rows.len()));
        sorted.groups.into_iter().map(|(group, range)| (group, self.save_rows(&sorted.items[range]))).collect()
    }

    pub(super) fn save_rows(&self, rows: &[u32]) -> RecordBatch {
        let mut columns = self.rows.table.columns(rows);
        columns.push(weights_array(rows.iter().map(|&row| self.rows.weight(row).0)));
        columns.push(weights_array(rows.iter().map(|&row| self.rows.own(row))));
        state_batch(columns, Vec::new())
    }

    pub(super) fn load(&mut self, keys: &mut Keys, batch: &RecordBatch) -> Result<(), SnapshotError> {
        let width = self.schema.fields().len();
        if batch.num_columns() != width + 2 {
            return Err(misfit("the rows of a join"));
        }
        let columns = &batch.columns()[..width];
        let key_columns: Vec<ArrayRef> = self.keys.iter().map(|&key| Arc::clone(&columns[key])).collect();
        let numbers = keys.number(&key_columns, &hash_columns(&key_columns, batch.num_rows()));
        let (weights, shown) = (weights_column(batch, width)?, weights_column(batch, width + 1)?);
        self.rows.restore(columns, &numbers, weights, shown);
        Ok(())
    }
}
