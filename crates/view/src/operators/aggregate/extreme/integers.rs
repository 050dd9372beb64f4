//! `min` and `max` of numbers, times and truth values.

use super::{Extreme, Values};
use crate::operators::aggregate::accumulator::{Accumulator, Cells, GroupRun, Input};
use crate::operators::aggregate::values::{from_integers, set_wide, to_integers, wide};
use crate::operators::group_table::GroupTable;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use proxima_engine::SnapshotError;
use proxima_event::{KeyGroup, KeyGroupSet};
use std::ops::Range;

/// `min` or `max` over values that are integers in disguise. Three words: the value (two), and whether there is one.
pub(in crate::operators::aggregate) struct IntegerExtremes {
    output: DataType,
    which: Extreme,
    /// Without it the words are all the state.
    values: Option<Values<i128>>,
}

impl IntegerExtremes {
    pub(in crate::operators::aggregate) fn new(output: DataType, which: Extreme, append_only: bool) -> Self {
        Self { output, which, values: (!append_only).then(|| Values::new(false)) }
    }
}

impl Accumulator for IntegerExtremes {
    fn words(&self) -> usize {
        3
    }

    fn update(&mut self, table: &mut GroupTable, own: Range<usize>, input: &Input<'_>) {
        let numbers = to_integers(input.values());
        if let Some(values) = &mut self.values {
            values.grow(table.bound());
            for (row, group, weight) in input.rows() {
                values.add(self.which, group, numbers[row], weight);
            }
            return;
        }
        for (row, group, _) in input.rows() {
            let words = &mut table.payload_mut(group)[own.clone()];
            if words[2] == 0 || self.which.is_better(&numbers[row], &wide(words[0], words[1])) {
                set_wide(words, numbers[row]);
                words[2] = 1;
            }
        }
    }

    fn settles(&self) -> bool {
        self.values.is_some()
    }

    fn settle(&mut self, group: u32, words: &mut [u64]) {
        if let Some(values) = &mut self.values {
            values.grow(group as usize + 1);
            let value = values.extreme(self.which, group);
            set_wide(words, value.copied().unwrap_or_default());
            words[2] = u64::from(value.is_some());
        }
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        let values: Vec<i128> = cells.iter().map(|words| wide(words[0], words[1])).collect();
        from_integers(&self.output, &values, cells.iter().map(|words| words[2] != 0).collect())
    }

    fn forget(&mut self, groups: &[u32]) {
        if let Some(values) = &mut self.values {
            values.forget(groups);
        }
    }

    fn has_more(&self) -> bool {
        self.values.is_some()
    }

    fn track(&mut self) {
        self.values.iter_mut().for_each(Values::track);
    }

    fn begin_save(&mut self, _rewrite: &KeyGroupSet) {
        self.values.iter_mut().for_each(Values::begin_save);
    }

    fn save(&self, run: &GroupRun<'_>) -> Option<RecordBatch> {
        self.values.as_ref().map(|values| values.save(run))
    }

    fn end_save(&mut self) {
        self.values.iter_mut().for_each(Values::end_save);
    }

    fn load(
        &mut self,
        table: &GroupTable,
        groups: &[u32],
        saved: &RecordBatch,
        _of: KeyGroup,
    ) -> Result<(), SnapshotError> {
        let Some(values) = &mut self.values else { return Ok(()) };
        values.grow(table.bound());
        values.load(groups, saved)
    }

    fn bytes(&self) -> usize {
        self.values.as_ref().map_or(0, Values::bytes)
    }
}
