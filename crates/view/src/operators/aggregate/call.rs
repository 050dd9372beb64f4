//! From a planned call to its accumulator; and the plainest of them, the count.

use super::accumulator::{Accumulator, Cells, Input};
use super::distinct::CountDistinct;
use super::extreme::{ByteExtremes, Extreme, IntegerExtremes};
use super::sketch::Sketches;
use super::sum::{FloatSums, Result, Sum};
use super::values::{from_integers, is_ordered_integer};
use super::{AggregateCall, AggregateFunction};
use crate::operators::group_table::GroupTable;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use std::ops::Range;

/// The accumulator of a call.
pub(super) fn accumulator(call: &AggregateCall, input: &SchemaRef, append_only: bool) -> Box<dyn Accumulator> {
    let output = call.output.clone();
    let argument = || {
        let column = call.argument.expect("the planner gives every function but count(*) an argument");
        input.field(column).data_type().clone()
    };
    match call.function {
        AggregateFunction::Count => Box::new(Count { output }),
        AggregateFunction::Sum => sum(&argument(), output, Result::Sum),
        AggregateFunction::Avg => sum(&argument(), output, Result::Mean),
        AggregateFunction::Min => extreme(&argument(), output, Extreme::Least, append_only),
        AggregateFunction::Max => extreme(&argument(), output, Extreme::Greatest, append_only),
        AggregateFunction::ApproxDistinct if append_only => Box::new(Sketches::new(output)),
        AggregateFunction::CountDistinct | AggregateFunction::ApproxDistinct => {
            Box::new(CountDistinct::new(argument(), output))
        }
    }
}

fn sum(argument: &DataType, output: DataType, result: Result) -> Box<dyn Accumulator> {
    if argument.is_floating() {
        Box::new(FloatSums::new(output, result))
    } else {
        Box::new(Sum::new(argument, output, result))
    }
}

fn extreme(argument: &DataType, output: DataType, which: Extreme, append_only: bool) -> Box<dyn Accumulator> {
    if is_ordered_integer(argument) {
        Box::new(IntegerExtremes::new(output, which, append_only))
    } else {
        Box::new(ByteExtremes::new(argument, output, which, append_only))
    }
}

/// `count(column)`, or `count(*)` with a filter: one word.
struct Count {
    output: DataType,
}

impl Accumulator for Count {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, table: &mut GroupTable, own: Range<usize>, input: &Input<'_>) {
        for (_, group, weight) in input.rows() {
            let word = &mut table.payload_mut(group)[own.start];
            *word = word.wrapping_add_signed(weight);
        }
    }

    fn output(&self, cells: &Cells<'_>) -> ArrayRef {
        counts(&self.output, cells.iter().map(|words| words[0]))
    }
}

/// A column of counts.
pub(super) fn counts(output: &DataType, counts: impl ExactSizeIterator<Item = u64>) -> ArrayRef {
    if matches!(output, DataType::Int64 | DataType::UInt64) {
        let rows = counts.len();
        let buffer = arrow::buffer::Buffer::from_vec(counts.collect::<Vec<u64>>());
        return crate::operators::group_table::primitive(output, rows, buffer, None);
    }
    let counts: Vec<i128> = counts.map(i128::from).collect();
    let valid = vec![true; counts.len()];
    from_integers(output, &counts, valid)
}
