//! `min` and `max`. Where rows only appear, the best value so far is enough; otherwise all values of a group are kept
//! in order, so that the next best is at hand when the best goes.

use super::accumulator::{Accumulator, Cells, Input, mismatch, saved_batch, saved_groups};
use super::values::{from_integers, set_wide, to_integers, wide};
use crate::operators::group_table::GroupTable;
use arrow::array::{ArrayRef, AsArray, BinaryArray, Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use proxima_engine::SnapshotError;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

/// Which end of the order is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

impl Extreme {
    fn is_better<K: Ord>(self, new: &K, old: &K) -> bool {
        match self {
            Self::Least => new < old,
            Self::Greatest => new > old,
        }
    }

    fn of<K: Ord>(self, values: &BTreeMap<K, i64>) -> Option<&K> {
        // Inside an epoch a value may be taken back before it appears; at its end no weight is negative.
        let mut there = values.iter().filter(|&(_, &weight)| weight > 0).map(|(value, _)| value);
        match self {
            Self::Least => there.next(),
            Self::Greatest => there.next_back(),
        }
    }
}

/// A value in the order of its type.
pub(super) trait Value: Ord + Clone {
    fn column<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;
    fn from_column(column: &ArrayRef) -> Option<Vec<Self>>;
    fn heap_bytes(&self) -> usize;
}

impl Value for i128 {
    fn column<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(values.copied().collect::<Decimal128Array>())
    }

    fn from_column(column: &ArrayRef) -> Option<Vec<Self>> {
        Some(column.as_primitive_opt::<Decimal128Type>()?.values().to_vec())
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Value for Box<[u8]> {
    fn column<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(values))
    }

    fn from_column(column: &ArrayRef) -> Option<Vec<Self>> {
        column.as_binary_opt::<i32>()?.iter().map(|value| value.map(Box::from)).collect()
    }

    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

/// The values of each group.
enum Values<K> {
    Best(Vec<Option<K>>),
    All(Vec<BTreeMap<K, i64>>),
}

impl<K: Value> Values<K> {
    fn new(append_only: bool) -> Self {
        if append_only { Self::Best(Vec::new()) } else { Self::All(Vec::new()) }
    }

    fn grow(&mut self, groups: usize) {
        match self {
            Self::Best(best) => best.resize(groups.max(best.len()), None),
            Self::All(all) => all.resize(groups.max(all.len()), BTreeMap::new()),
        }
    }

    fn add(&mut self, which: Extreme, group: u32, value: K, weight: i64) {
        match self {
            Self::Best(best) => {
                let best = &mut best[group as usize];
                if best.as_ref().is_none_or(|best| which.is_better(&value, best)) {
                    *best = Some(value);
                }
            }
            Self::All(all) => match all[group as usize].entry(value) {
                Entry::Vacant(entry) => {
                    entry.insert(weight);
                }
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += weight;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            },
        }
    }

    fn extreme(&self, which: Extreme, group: u32) -> Option<&K> {
        match self {
            Self::Best(best) => best[group as usize].as_ref(),
            Self::All(all) => which.of(&all[group as usize]),
        }
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups.iter().map(|&group| group as usize) {
            match self {
                Self::Best(best) if group < best.len() => best[group] = None,
                Self::All(all) if group < all.len() => all[group] = BTreeMap::new(),
                _ => {}
            }
        }
    }

    fn save(&self, groups: &[u32]) -> RecordBatch {
        let mut held: Vec<(u32, &K, i64)> = Vec::new();
        for (place, &group) in (0..).zip(groups) {
            match self {
                Self::Best(best) => held.extend(best[group as usize].iter().map(|value| (place, value, 1))),
                Self::All(all) => {
                    held.extend(all[group as usize].iter().map(|(value, &weight)| (place, value, weight)))
                }
            }
        }
        let weights: ArrayRef = Arc::new(held.iter().map(|&(.., weight)| weight).collect::<Int64Array>());
        let values = K::column(held.iter().map(|&(_, value, _)| value));
        let places = held.iter().map(|&(place, ..)| place).collect();
        saved_batch(places, vec![("value", values), ("weight", weights)])
    }

    fn load(&mut self, which: Extreme, groups: &[u32], saved: &RecordBatch) -> Result<(), SnapshotError> {
        let values = K::from_column(saved.column(1)).ok_or_else(|| mismatch("a column of values"))?;
        let weights = saved.column(2).as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch("a column of weights"))?;
        let groups = saved_groups(groups, saved)?;
        for ((group, value), &weight) in groups.into_iter().zip(values).zip(weights.values()) {
            self.add(which, group, value, weight);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Best(best) => {
                best.iter().map(|best| size_of::<Option<K>>() + best.as_ref().map_or(0, K::heap_bytes)).sum()
            }
            Self::All(all) => {
                let of_value = |value: &K| size_of::<(K, i64)>() + value.heap_bytes();
                all.iter().map(|values| size_of_val(values) + values.keys().map(of_value).sum::<usize>()).sum()
            }
        }
    }
}

/// `min` or `max` over values that are integers in disguise. Three words: the value (two), and whether there is one.
pub(super) struct IntegerExtremes {
    output: DataType,
    which: Extreme,
    /// Without it the words are all the state.
    values: Option<Values<i128>>,
}

impl IntegerExtremes {
    pub(super) fn new(output: DataType, which: Extreme, append_only: bool) -> Self {
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

    fn save(&self, groups: &[u32]) -> Option<RecordBatch> {
        self.values.as_ref().map(|values| values.save(groups))
    }

    fn load(
        &mut self,
        table: &mut GroupTable,
        _own: Range<usize>,
        groups: &[u32],
        saved: &RecordBatch,
    ) -> Result<(), SnapshotError> {
        let Some(values) = &mut self.values else { return Ok(()) };
        values.grow(table.bound());
        values.load(self.which, groups, saved)
    }

    fn bytes(&self) -> usize {
        self.values.as_ref().map_or(0, Values::bytes)
    }
}

/// `min` or `max` over strings, bytes, and (in Arrow's row format, which keeps the order) anything else.
/// Three words: place and length of the value in the arena, and whether there is one.
pub(super) struct ByteExtremes {
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
    pub(super) fn new(argument: &DataType, output: DataType, which: Extreme, append_only: bool) -> Self {
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
        if self.garbage * 2 < self.arena.len() || self.arena.len() < 1 << 16 {
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

    fn save(&self, groups: &[u32]) -> Option<RecordBatch> {
        Some(self.values.save(groups))
    }

    fn load(
        &mut self,
        table: &mut GroupTable,
        own: Range<usize>,
        groups: &[u32],
        saved: &RecordBatch,
    ) -> Result<(), SnapshotError> {
        self.values.grow(table.bound());
        self.values.load(self.which, groups, saved)?;
        for &group in groups {
            let words = &mut table.payload_mut(group)[own.clone()];
            words.fill(0);
            self.settle(group, words);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.arena.capacity()
    }
}
