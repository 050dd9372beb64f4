//! The first n rows of each partition in an order: top-n, and dedupe with n = 1.

use super::Expiry;
use arrow::datatypes::SchemaRef;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortColumn {
    /// The column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// NULLs come before all values.
    pub nulls_first: bool,
}

/// What a [`TopN`] keeps.
#[derive(Clone, Debug)]
pub struct TopNSpec {
    /// The rows that come in.
    pub input: SchemaRef,
    /// The columns of the partition.
    pub partition: Vec<usize>,
    /// The order in a partition. Rows that it leaves equal are ordered by all their columns, ascending, NULLs first.
    pub order: Vec<SortColumn>,
    /// How many rows of each partition go out.
    pub limit: usize,
    /// Whether a row's number, from 1, is appended.
    pub row_number: bool,
    /// The rows that go out.
    pub output: SchemaRef,
    /// When rows may be forgotten.
    pub expiry: Option<Expiry>,
}

/// Keeps the first rows of each partition.
pub struct TopN {
    spec: TopNSpec,
}

impl TopN {
    /// Holds no rows.
    #[must_use]
    pub fn new(spec: TopNSpec) -> Self {
        Self { spec }
    }
}

impl Operator for TopN {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}
