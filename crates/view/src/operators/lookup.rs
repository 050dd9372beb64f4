//! Lookup join: facts meet the row of a dimension as it is in their epoch (`FOR SYSTEM_TIME AS OF`).

use arrow::datatypes::SchemaRef;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// What a [`Lookup`] joins. The facts come on input 0, the changes of the dimension on input 1, each routed by its keys.
#[derive(Clone, Debug)]
pub struct LookupSpec {
    /// The facts.
    pub left: SchemaRef,
    /// The rows of the dimension.
    pub dimension: SchemaRef,
    /// The key columns of the facts.
    pub left_keys: Vec<usize>,
    /// The key columns of the dimension, of the same types.
    pub dimension_keys: Vec<usize>,
    /// Whether facts without a match are kept, with NULLs.
    pub outer: bool,
    /// Whether facts are never taken back: then no fact is remembered.
    pub left_append_only: bool,
    /// The rows that go out: the columns of the fact, then those of the dimension.
    pub output: SchemaRef,
}

/// Joins facts with a dimension as of their epoch.
pub struct Lookup {
    spec: LookupSpec,
}

impl Lookup {
    /// A lookup with an empty dimension.
    #[must_use]
    pub fn new(spec: LookupSpec) -> Self {
        Self { spec }
    }
}

impl Operator for Lookup {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}
