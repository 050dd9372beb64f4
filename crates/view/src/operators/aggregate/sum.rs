//! `sum` and `avg`, exact whatever the order: over integers and decimals in 192 bits, over floats see
//! [`exact_float`](super::exact_float).

use super::accumulator::{Accumulator, Cells, GroupRun, Input, mismatch, saved_batch, saved_groups};
use super::exact_float::ExactFloat;
use super::values::{from_integers, set_wide, to_doubles, to_integers, wide};
use crate::operators::group_table::GroupTable;
use arrow::array::{ArrayRef, AsArray, BinaryBuilder, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use proxima_engine::SnapshotError;
use proxima_event::KeyGroup;
use std::ops::Range;
use std::sync::Arc;

/// Which result of a sum and a count is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    Sum,
    Mean,
}

/// Sums integers or decimals. Four words: the sum (192 bits, lowest first) and how many values it has.
///
/// A result that does not fit its type is NULL: it neither wraps around nor stops at the greatest number.
pub(super) struct Sum {
    output: DataType,
    result: Result,
    /// What the sum is multiplied by to have the scale of a decimal mean.
    factor: i128,
}

const COUNT: usize = 3;

impl Sum {
    pub(super) fn new(argument: &DataType, output: DataType, result: Result) -> Self {
        let factor = match (argument, &output) {
            (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) if result == Result::Mean => {
                10i128.pow(u32::try_from(to - from).expect("a mean has no fewer digits than its values"))
            }
            _ => 1,
        };
        Self { output, result, factor }
    }

    /// The result as an integer of the output's type; `None` is NULL.
    fn integer(&self, words: &[u64]) -> Option<i128> {
        let sum = total(words)?;
        match self.result {
            Result::Sum => Some(sum),
            Result::Mean => Some(sum.checked_mul(self.factor)? / i128::from(words[COUNT] as i64)),
        }
        .filter(|&value| fits(&self.output, value))
    }

    fn double(&self, words: &[u64]) -> Option<f64> {
        let sum = total(words)? as f64;
        Some(match self.result {
            Result::Sum => sum,
            Result::Mean => sum / words[COUNT] as i64 as f64,
        })
    }
}

/// The sum, if there are values and it fits 128 bits.
fn total(words: &[u64]) -> Option<i128> {
    let low = wide(words[0], words[1]);
    let fits = words[2] as i64 == (low >> 127) as i64;
    (words[COUNT] != 0 && fits).then_some(low)
}

/// Whether a value can be shown in a type.
fn fits(data_type: &DataType, value: i128) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => value.unsigned_abs() < 10u128.pow(u32::from(*precision)),
        DataType::Int64 | DataType::Duration(_) => i64::try_from(value).is_ok(),
        DataType::UInt64 => u64::try_from(value).is_ok(),
        _ => true,
    }
}

/// Adds a product to the sum.
#[inline(always)]
fn add(words: &mut [u64], value: i128, weight: i64) {
    let (low, high) = match value.checked_mul(i128::from(weight)) {
        Some(product) => (product, (product >> 127) as i64),
        None => wide_product(value, weight),
    };
    let (sum, carry) = (wide(words[0], words[1]) as u128).overflowing_add(low as u128);
    set_wide(words, sum as i128);
    words[2] = (words[2] as i64).wrapping_add(high).wrapping_add(i64::from(carry)) as u64;
}

/// A product of more than 128 bits: the lower 128 and the next 64.
fn wide_product(value: i128, weight: i64) -> (i128, i64) {
    let (low, high) = (value as u64, value >> 64);
    let low = i128::from(low) * i128::from(weight);
    let high = high * i128::from(weight) + (low >> 64);
    (wide(low as u64, high as u64), (high >> 64) as i64)
}

impl Accumulator for Sum {
    fn words(&self) -> usize {
        4
    }

    fn update(&mut self, table: &mut GroupTable, own: Range<usize>, input: &Input<'_>) {
        let values = to_integers(input.values());
        for (row, group, weight) in input.rows() {
            let words = &mut table.payload_mut(group)[own.clone()];
            add(words, values[row], weight);
            words[COUNT] = words[COUNT].wrapping_add_signed(weight);
        }
    }

    fn same(&self, old: &[u64], new: &[u64]) -> bool {
        if self.output.is_floating() {
            return self.double(old).map(f64::to_bits) == self.double(new).map(f64::to_bits);
        }
        self.integer(old) == self.integer(new)
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        if self.output.is_floating() {
            return doubles(&self.output, cells.iter().map(|words| self.double(words)).collect());
        }
        let values: Vec<Option<i128>> = cells.iter().map(|words| self.integer(words)).collect();
        let valid = values.iter().map(Option::is_some).collect();
        let values: Vec<i128> = values.into_iter().map(Option::unwrap_or_default).collect();
        from_integers(&self.output, &values, valid)
    }
}

fn doubles(output: &DataType, values: Float64Array) -> ArrayRef {
    cast(&values, output).expect("a double becomes any number")
}

/// Sums floats exactly. Two words: the result's bits, and whether there is one.
pub(super) struct FloatSums {
    output: DataType,
    result: Result,
    sums: Vec<ExactFloat>,
}

impl FloatSums {
    pub(super) fn new(output: DataType, result: Result) -> Self {
        Self { output, result, sums: Vec::new() }
    }
}

impl Accumulator for FloatSums {
    fn words(&self) -> usize {
        2
    }

    fn update(&mut self, table: &mut GroupTable, _own: Range<usize>, input: &Input<'_>) {
        self.sums.resize_with(table.bound().max(self.sums.len()), ExactFloat::default);
        let values = to_doubles(input.values());
        for (row, group, weight) in input.rows() {
            self.sums[group as usize].add(values[row], weight);
        }
    }

    fn settles(&self) -> bool {
        true
    }

    fn settle(&mut self, group: u32, words: &mut [u64]) {
        let sum = &self.sums[group as usize];
        let value = match self.result {
            Result::Sum => sum.value(),
            Result::Mean => sum.value() / sum.count() as f64,
        };
        let some = sum.count() != 0;
        words[0] = if some { value.to_bits() } else { 0 };
        words[1] = u64::from(some);
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        let value = |words: &[u64]| (words[1] != 0).then(|| f64::from_bits(words[0]));
        doubles(&self.output, cells.iter().map(value).collect())
    }

    fn forget(&mut self, groups: &[u32]) {
        for &group in groups {
            if let Some(sum) = self.sums.get_mut(group as usize) {
                *sum = ExactFloat::default();
            }
        }
    }

    fn has_more(&self) -> bool {
        true
    }

    fn save(&self, run: &GroupRun<'_>) -> Option<RecordBatch> {
        let mut sums = BinaryBuilder::new();
        let mut bytes = Vec::new();
        for &group in run.groups {
            bytes.clear();
            self.sums[group as usize].write_to(&mut bytes);
            sums.append_value(&bytes);
        }
        Some(saved_batch(run.places(), vec![("sum", Arc::new(sums.finish()))]))
    }

    fn load(
        &mut self,
        table: &GroupTable,
        groups: &[u32],
        saved: &RecordBatch,
        _of: KeyGroup,
    ) -> std::result::Result<(), SnapshotError> {
        self.sums.resize_with(table.bound().max(self.sums.len()), ExactFloat::default);
        let sums = saved.column(1).as_binary_opt::<i32>().ok_or_else(|| mismatch("a column of sums"))?;
        for (group, bytes) in saved_groups(groups, saved)?.into_iter().zip(sums) {
            self.sums[group as usize] =
                bytes.and_then(ExactFloat::from_bytes).ok_or_else(|| mismatch("the bytes of a sum"))?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        // A sum of values of like magnitude has room for four limbs.
        self.sums.capacity() * (size_of::<ExactFloat>() + 32)
    }
}
