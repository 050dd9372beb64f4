//! GROUP BY: one row for each group of rows with equal keys.
//!
//! A group's record holds its key, its number of rows and, as far as they have a fixed width, its accumulators; what
//! has not (ordered values, sketches) lies beside it by group number. The first change of a group in an epoch keeps a
//! copy of its payload, so that the end of the epoch can take back the old row and put out the new one.

mod accumulator;
mod call;
mod distinct;
mod emit;
mod exact_float;
mod extreme;
mod operator;
mod sketch;
mod state;
mod sum;
mod values;

#[cfg(test)]
mod tests;

pub use operator::Aggregate;

use super::Expiry;
use arrow::datatypes::{DataType, SchemaRef};

/// What an [`Aggregate`] computes.
#[derive(Clone, Debug)]
pub struct AggregateSpec {
    /// The rows that come in.
    pub input: SchemaRef,
    /// The columns that are grouped by.
    pub keys: Vec<usize>,
    /// The aggregates of each group.
    pub calls: Vec<AggregateCall>,
    /// The rows that go out: the keys, then the calls.
    pub output: SchemaRef,
    /// Whether rows only ever appear: cheaper state, as nothing is taken back.
    pub append_only: bool,
    /// Whether a changed group's new row alone goes out, without the old one: what a sink takes. The old row goes out
    /// only where the group is gone.
    pub upserts: bool,
    /// When groups may be forgotten.
    pub expiry: Option<Expiry>,
}

/// One aggregate of a group.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// What is computed.
    pub function: AggregateFunction,
    /// The column that it is computed over; `None` only for `count(*)`.
    pub argument: Option<usize>,
    /// A BOOLEAN column: rows where it is not true are left out.
    pub filter: Option<usize>,
    /// The type of the result.
    pub output: DataType,
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    /// How many rows, or how many values that are not NULL.
    Count,
    /// How many different values.
    CountDistinct,
    /// The sum, exact; NULL over no values.
    Sum,
    /// The smallest value.
    Min,
    /// The greatest value.
    Max,
    /// The mean, from the exact sum.
    Avg,
    /// How many different values, nearly: HyperLogLog where rows are never taken back, exact otherwise.
    ApproxDistinct,
}
