//! One input of a join: its rows by key, and their state in a checkpoint.

use crate::operators::expiry::{Expirer, word_us};
use crate::operators::keyed_rows::{KeyedRows, LOOSE, Loaded};
use crate::operators::keys::Keys;
use crate::operators::snapshot::{misfit, next_rows, weights_column};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use proxima_engine::{SnapshotError, StateReader};
use proxima_event::Changes;

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
    /// Takes in rows with their key numbers and the hashes of their keys. Rows whose key has a NULL match nothing: an
    /// outer side passes them through, the other drops them.
    pub(super) fn take_in(&mut self, changes: Changes, keys: Vec<u32>, hashes: &[u64]) {
        if self.outer || !keys.contains(&LOOSE) {
            return self.rows.change(&changes, &keys, hashes);
        }
        let kept: Vec<u32> = (0..changes.len() as u32).filter(|&row| keys[row as usize] != LOOSE).collect();
        let keys: Vec<u32> = kept.iter().map(|&row| keys[row as usize]).collect();
        let hashes: Vec<u64> = kept.iter().map(|&row| hashes[row as usize]).collect();
        self.rows.change(&changes.take(&kept), &keys, &hashes);
    }

    /// The time of a row, where rows have one that they are forgotten by.
    pub(super) fn time_us(&self, row: u32) -> Option<i64> {
        let column = self.expirer.as_ref()?.expiry.column;
        let word = self.rows.table.key_word(row, column)?;
        Some(word_us(self.schema.field(column).data_type(), word))
    }

    /// Whether a row of this time was over before the epoch began.
    pub(super) fn was_over(&self, time_us: Option<i64>) -> bool {
        self.expirer.as_ref().zip(time_us).is_some_and(|(expirer, time_us)| expirer.was_over(time_us))
    }

    pub(super) fn expire(&mut self, keys: &mut Vec<u32>) {
        let Some(expirer) = &mut self.expirer else { return };
        expirer.settle();
        expirer.added(self.rows.take_added());
        if !expirer.is_due(self.rows.table.len()) {
            return;
        }
        let Some(expirer) = &self.expirer else { return };
        let is_over = |&row: &u32| self.time_us(row).is_some_and(|time_us| expirer.is_over(time_us));
        let rows: Vec<u32> = self.rows.table.groups().filter(is_over).collect();
        self.rows.remove(&rows, |key| keys.push(key));
    }

    /// Takes back a side's part of a section. `retired` hears the keys that may be out of use.
    pub(super) fn load(
        &mut self,
        keys: &mut Keys,
        state: &mut StateReader<'_>,
        retired: &mut Vec<u32>,
    ) -> Result<(), SnapshotError> {
        let width = self.schema.fields().len();
        let of = state.group();
        if let Some(gone) = next_rows(state)? {
            let columns = self.loaded_columns(&gone, width)?;
            let key_of = keys.of_loaded(columns, &self.keys);
            self.rows.unload(&Loaded { columns, key_of: &key_of, of }, |key| retired.push(key));
        }
        if let Some(batch) = next_rows(state)? {
            let columns = self.loaded_columns(&batch, width + 2)?;
            let key_of = keys.of_loaded(columns, &self.keys);
            let (weights, shown) = (weights_column(&batch, width)?, weights_column(&batch, width + 1)?);
            self.rows.restore(&Loaded { columns, key_of: &key_of, of }, weights, Some(shown));
        }
        Ok(())
    }

    fn loaded_columns<'a>(&self, batch: &'a RecordBatch, width: usize) -> Result<&'a [ArrayRef], SnapshotError> {
        let columns = batch.columns().get(..self.schema.fields().len());
        columns.filter(|_| batch.num_columns() == width).ok_or_else(|| misfit("the rows of a join"))
    }
}
