//! `min` and `max` of strings, bytes and anything else that has an order.

use super::{Extreme, Values};
use crate::operators::aggregate::accumulator::{Accumulator, Cells, GroupRun, Input};
use crate::operators::group_table::GroupTable;
use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use proxima_engine::SnapshotError;
use proxima_event::{KeyGroup, KeyGroupSet};
use std::ops::Range;
use std::sync::Arc;

/// `min` or `max` over strings, bytes, and (in Arrow's row format, which keeps the order) anything else.
/// Three words: place and length of the value in the arena, and whether there is one.
pub(in crate::operators::aggregate) struct ByteExtremes {
    output: DataType,
    which: Extreme,
    values: Values<Box<[u8]>>,
    /// For types that are not strings or bytes.
    converter: Option<RowConverter>,
    /// What the words point at. Nothing is overwritten, for the old words of the epoch point at it too.
    arena: Vec<u8>,
    garbage: usize,
}

impl ByteExtremes {
    pub(in crate::operators::aggregate) fn new(
        argument: &DataType,
        output: DataType,
        which: Extreme,
        append_only: bool,
    ) -> Self {
        let plain = argument.is_string() || argument.is_binary();
        let field = || SortField::new(argument.clone());
        let converter = (!plain).then(|| {
            RowConverter::new(vec![field()]).unwrap_or_else(|_| panic!("the planner refuses min and max of {argument}"))
        });
        Self { output, which, values: Values::new(append_only), converter, arena: Vec::new(), garbage: 0 }
    }

    fn bytes_of(&self, words: &[u64]) -> &[u8] {
        &self.arena[words[0] as usize..][..words[1] as usize]
    }

    /// The values of a batch in the form that keeps their order.
    fn encode(&self, argument: &ArrayRef) -> BinaryArray {
        match &self.converter {
            None => cast(argument, &DataType::Binary).expect("strings become bytes").as_binary().clone(),
            Some(converter) => {
                let rows = converter.convert_columns(&[Arc::clone(argument)]).expect("of the type it was made for");
                BinaryArray::from_iter_values(rows.iter().map(|row| row.data().to_vec()))
            }
        }
    }

    fn decode(&self, values: Vec<Option<&[u8]>>) -> ArrayRef {
        let Some(converter) = &self.converter else {
            if self.output.is_binary() {
                let values: BinaryArray = values.into_iter().collect();
                return cast(&values, &self.output).expect("bytes become bytes");
            }
            let text = |value| std::str::from_utf8(value).expect("only strings are stored");
            let values: StringViewArray = values.into_iter().map(|value| value.map(text)).collect();
            return cast(&values, &self.output).expect("strings become strings");
        };
        let null = converter.convert_columns(&[arrow::array::new_null_array(&self.output, 1)]).expect("of its type");
        let null = null.row(0);
        let rows = BinaryArray::from_iter_values(values.into_iter().map(|value| value.unwrap_or(null.data())));
        converter.convert_rows(&converter.from_binary(rows)).expect("these rows came from this converter").remove(0)
    }
}

impl Accumulator for ByteExtremes {
    fn words(&self) -> usize {
        3
    }

    fn update(&mut self, table: &mut GroupTable, _own: Range<usize>, input: &Input<'_>) {
        self.values.grow(table.bound());
        let values = self.encode(input.values());
        for (row, group, weight) in input.rows() {
            self.values.add(self.which, group, Box::from(values.value(row)), weight);
        }
    }

    fn settles(&self) -> bool {
        true
    }

    fn settle(&mut self, group: u32, words: &mut [u64]) {
        self.values.grow(group as usize + 1);
        let value = self.values.extreme(self.which, group);
        // Words stay as they are while the value does, so that equal words say equal values.
        if value.map(AsRef::as_ref) == (words[2] != 0).then(|| self.bytes_of(words)) {
            return;
        }
        self.garbage += words[1] as usize;
        words.fill(0);
        if let Some(value) = value {
            words.copy_from_slice(&[self.arena.len() as u64, value.len() as u64, 1]);
            self.arena.extend_from_slice(value);
        }
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        self.decode(cells.iter().map(|words| (words[2] != 0).then(|| self.bytes_of(words))).collect())
    }

    fn end_epoch(&mut self, table: &mut GroupTable, own: Range<usize>) {
        // So much that looking at all groups costs a constant for each byte freed.
        let least = (table.bound() * 4).max(1 << 16);
        if self.garbage < least || self.garbage * 2 < self.arena.len() {
            return;
        }
        let mut packed = Vec::with_capacity(self.arena.len().saturating_sub(self.garbage));
        for group in table.groups().collect::<Vec<_>>() {
            let words = &mut table.payload_mut(group)[own.clone()];
            let place = packed.len() as u64;
            packed.extend_from_slice(self.bytes_of(words));
            words[0] = place;
        }
        self.arena = packed;
        self.garbage = 0;
    }

    fn forget(&mut self, groups: &[u32]) {
        for &group in groups {
            self.values.grow(group as usize + 1);
            self.garbage += self.values.extreme(self.which, group).map_or(0, |value| value.len());
        }
        self.values.forget(groups);
    }

    fn has_more(&self) -> bool {
        true
    }

    fn track(&mut self) {
        self.values.track();
    }

    fn begin_save(&mut self, _rewrite: &KeyGroupSet) {
        self.values.begin_save();
    }

    fn save(&self, run: &GroupRun<'_>) -> Option<RecordBatch> {
        Some(self.values.save(run))
    }

    fn end_save(&mut self) {
        self.values.end_save();
    }

    fn load(
        &mut self,
        table: &GroupTable,
        groups: &[u32],
        saved: &RecordBatch,
        _of: KeyGroup,
    ) -> Result<(), SnapshotError> {
        self.values.grow(table.bound());
        self.values.load(groups, saved)
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.arena.capacity()
    }
}
