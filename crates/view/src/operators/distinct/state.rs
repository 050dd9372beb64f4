//! What a checkpoint holds of the rows: a batch with the digests of those that are gone, a batch with the digests of those
//! that are there, how often each is, and its time; all this once or several times.

use super::Distinct;
use crate::operators::group_table::BatchForm;
use crate::operators::snapshot::{Part, misfit, next_rows, runs, words_column};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use proxima_engine::{SnapshotError, StateReader, StateWriter};
use proxima_event::{KeyGroup, KeyGroupSet};

/// Columns of a digest.
const DIGEST: usize = 2;

impl Distinct {
    pub(super) fn write_state(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let saves = self.table.begin_save_in_pieces(rewrite);
        let mut gone = BatchForm::of_keys(0..DIGEST);
        let mut there = BatchForm::of_keys(0..DIGEST).with_words(0..self.words.len(), &DataType::UInt64);
        for save in &saves {
            save.tell_replaced(out);
            for run in runs(&[save]) {
                run.write(&self.table, save, [(Part::Gone, &mut gone), (Part::There, &mut there)], out);
            }
        }
        self.table.end_save();
    }

    /// Takes back one section.
    pub(super) fn read_state(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        while let Some(gone) = state.next_batch()? {
            if gone.num_rows() > 0 {
                self.unload(&gone)?;
            }
            if let Some(there) = next_rows(state)? {
                self.load_rows(&there, state.group())?;
            }
        }
        Ok(())
    }

    fn load_rows(&mut self, batch: &RecordBatch, of: KeyGroup) -> Result<(), SnapshotError> {
        let groups = self.numbers(batch, self.words.len())?;
        self.table.loaded(&groups, of);
        for word in 0..self.words.len() {
            for (&group, &value) in groups.iter().zip(words_column(batch, DIGEST + word)?) {
                self.table.payload_mut(group)[word] = value;
            }
        }
        Ok(())
    }

    fn unload(&mut self, gone: &RecordBatch) -> Result<(), SnapshotError> {
        for group in self.numbers(gone, 0)? {
            self.table.unload(group, self.tag(group));
        }
        Ok(())
    }

    /// The numbers of the digests in a batch, which has so many words behind them.
    fn numbers(&mut self, batch: &RecordBatch, words: usize) -> Result<Vec<u32>, SnapshotError> {
        if batch.num_columns() != DIGEST + words {
            return Err(misfit("digests of rows"));
        }
        let low = words_column(batch, 0)?.to_vec();
        words_column(batch, 1)?;
        let (mut groups, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(&batch.columns()[..DIGEST], &low, &mut groups, &mut fresh);
        Ok(groups)
    }
}
