//! UNNEST: one row for each element of a list.

use arrow::datatypes::SchemaRef;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// What an [`Unnest`] takes apart.
#[derive(Clone, Debug)]
pub struct UnnestSpec {
    /// The list column, which its element replaces.
    pub column: usize,
    /// Whether a row whose list is NULL or empty is kept, with a NULL element.
    pub outer: bool,
    /// The rows that go out.
    pub output: SchemaRef,
}

/// Puts out a row for each element of a list column.
pub struct Unnest {
    spec: UnnestSpec,
}

impl Unnest {
    /// Keeps no state.
    #[must_use]
    pub fn new(spec: UnnestSpec) -> Self {
        Self { spec }
    }
}

impl Operator for Unnest {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}
