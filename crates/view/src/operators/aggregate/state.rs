//! An aggregate's state in a checkpoint.
//!
//! A section of a key group has a batch with the keys of groups that are gone, a batch with the keys and words of those
//! that are there, and for each accumulator that has state beside its words a batch of that; all this once or, where no
//! accumulator has, several times. Words that an accumulator settles at the end of an epoch follow from the state beside
//! them and are not saved.

use super::accumulator::{GroupRun, mismatch};
use super::operator::{Aggregate, Call, ROWS};
use crate::operators::group_table::BatchForm;
use crate::operators::snapshot::{Part, Run, Save, misfit, next_rows, runs, words_column};
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};
use proxima_engine::{SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{KeyGroup, KeyGroupSet};
use std::ops::Range;
use std::sync::Arc;

impl Aggregate {
    pub(super) fn track_changes(&mut self) {
        self.table.track();
        self.calls.iter_mut().filter_map(Call::own).for_each(|(accumulator, _)| accumulator.track());
    }

    pub(super) fn write_state(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let beside = self.calls.iter().filter_map(Call::own_ref).any(|(accumulator, _)| accumulator.has_more());
        let saves = match beside {
            true => vec![self.table.begin_save(rewrite)],
            false => self.table.begin_save_in_pieces(rewrite),
        };
        self.calls.iter_mut().filter_map(Call::own).for_each(|(accumulator, _)| accumulator.begin_save(rewrite));
        for save in &saves {
            save.tell_replaced(out);
            runs(&[save]).iter().for_each(|run| self.write_run(run, save, out));
        }
        self.table.end_save();
        self.calls.iter_mut().filter_map(Call::own).for_each(|(accumulator, _)| accumulator.end_save());
    }

    fn write_run(&self, run: &Run, save: &Save, out: &mut StateWriter) {
        let keys = || BatchForm::of_keys(0..self.key_types.len());
        let mut there = keys().with_words(self.saved_words(), &DataType::UInt64);
        run.write(&self.table, save, [(Part::Gone, &mut keys()), (Part::There, &mut there)], out);
        let groups = save.of(run.kind, run.span.clone()).0;
        let of_groups = run.ranges(|span| save.of(run.kind, span).0.len());
        let rows = GroupRun::new(run.kind, run.span.clone(), groups);
        for (accumulator, _) in self.calls.iter().filter_map(Call::own_ref) {
            if let Some(batch) = accumulator.save(&rows) {
                let (batch, ranges) = by_section(&batch, &of_groups);
                out.rows(run.kind, &batch, &ranges);
            }
        }
    }

    /// The words of a payload that are saved.
    fn saved_words(&self) -> Vec<usize> {
        let rows = (self.stride > 0).then_some(ROWS);
        let own = self.calls.iter().filter_map(Call::own_ref).filter(|(accumulator, _)| !accumulator.settles());
        rows.into_iter().chain(own.flat_map(|(_, own)| own.clone())).collect()
    }

    /// Takes back one section.
    pub(super) fn read_state(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        while let Some(gone) = state.next_batch()? {
            if gone.num_rows() > 0 {
                self.unload(&gone)?;
            }
            if let Some(batch) = next_rows(state)? {
                self.read_groups(&batch, state)?;
            }
        }
        Ok(())
    }

    /// Takes back some groups, and what stands behind them in the section.
    fn read_groups(&mut self, batch: &RecordBatch, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let groups = self.load_rows(batch, state.group())?;
        for call in &mut self.calls {
            let Some((accumulator, own)) = call.own() else { continue };
            if accumulator.has_more() {
                let saved = state.next_batch()?.ok_or_else(|| mismatch("a batch for each accumulator"))?;
                if saved.num_rows() > 0 {
                    accumulator.load(&self.table, &groups, &saved, state.group())?;
                }
            }
            if accumulator.settles() {
                for &group in &groups {
                    accumulator.settle(group, &mut self.table.payload_mut(group)[own.clone()]);
                }
            }
        }
        self.global_shown |= self.key_types.is_empty() && !groups.is_empty();
        Ok(())
    }

    fn load_rows(&mut self, batch: &RecordBatch, of: KeyGroup) -> Result<Vec<u32>, SnapshotError> {
        let (keys, words) = (self.key_types.len(), self.saved_words());
        if batch.num_columns() != keys + words.len() {
            return Err(misfit("keys and accumulators"));
        }
        let (groups, _) = self.numbers(batch)?;
        self.table.loaded(&groups, of);
        for (column, word) in words.into_iter().enumerate() {
            let values = words_column(batch, keys + column)?;
            for (&group, &value) in groups.iter().zip(values) {
                self.table.payload_mut(group)[word] = value;
            }
        }
        Ok(groups)
    }

    /// Forgets the groups whose keys are the rows of a batch.
    fn unload(&mut self, gone: &RecordBatch) -> Result<(), SnapshotError> {
        if gone.num_columns() != self.key_types.len() {
            return Err(misfit("the keys of groups that are gone"));
        }
        let (groups, hashes) = self.numbers(gone)?;
        for (accumulator, _) in self.calls.iter_mut().filter_map(Call::own) {
            accumulator.forget(&groups);
        }
        for (group, hash) in groups.into_iter().zip(hashes) {
            self.table.unload(group, hash as u32);
        }
        Ok(())
    }

    /// The groups of keys in the first columns of a batch, and the keys' hashes.
    fn numbers(&mut self, batch: &RecordBatch) -> Result<(Vec<u32>, Vec<u64>), SnapshotError> {
        let typed = batch.columns().iter().zip(&self.key_types).map(|(column, data_type)| cast(column, data_type));
        let columns = typed.collect::<Result<Vec<ArrayRef>, _>>()?;
        let hashes = hash_columns(&columns, batch.num_rows());
        let (mut groups, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(&columns, &hashes, &mut groups, &mut fresh);
        Ok((groups, hashes))
    }
}

/// Ranges of a batch for the sections of a run.
type Ranges = Vec<(KeyGroup, Range<usize>)>;

/// The rows of a batch for each section, their places counted from the section's first group. The places are ascending;
/// `of_groups` says which of them belong to each section.
fn by_section(batch: &RecordBatch, of_groups: &[(KeyGroup, Range<usize>)]) -> (RecordBatch, Ranges) {
    let places = batch.column(0).as_primitive::<UInt32Type>().values();
    let row_of = |place: usize| places.partition_point(|&other| (other as usize) < place);
    let mut counted = Vec::with_capacity(places.len());
    let mut ranges = Vec::with_capacity(of_groups.len());
    for (group, of) in of_groups {
        let rows = row_of(of.start)..row_of(of.end);
        counted.extend(places[rows.clone()].iter().map(|place| place - of.start as u32));
        ranges.push((*group, rows));
    }
    let mut columns = batch.columns().to_vec();
    columns[0] = Arc::new(UInt32Array::from(counted));
    (RecordBatch::try_new(batch.schema(), columns).expect("only the places changed"), ranges)
}
