//! Equi-join of two streams, inner and outer.

use super::Expiry;
use arrow::datatypes::SchemaRef;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// Which rows without a match are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left input.
    Left,
    /// Those of the right input.
    Right,
    /// Those of both inputs.
    Full,
}

/// What a [`Join`] joins. The left rows come on input 0, the right rows on input 1, each routed by its keys.
#[derive(Clone, Debug)]
pub struct JoinSpec {
    /// The rows of input 0.
    pub left: SchemaRef,
    /// The rows of input 1.
    pub right: SchemaRef,
    /// The key columns of the left rows.
    pub left_keys: Vec<usize>,
    /// The key columns of the right rows, of the same types.
    pub right_keys: Vec<usize>,
    /// Which rows without a match are kept.
    pub kind: JoinKind,
    /// The rows that go out: the left columns, then the right columns.
    pub output: SchemaRef,
    /// When left rows may be forgotten.
    pub left_expiry: Option<Expiry>,
    /// When right rows may be forgotten.
    pub right_expiry: Option<Expiry>,
}

/// Joins two streams by equal keys.
pub struct Join {
    spec: JoinSpec,
}

impl Join {
    /// A join that has seen no rows.
    #[must_use]
    pub fn new(spec: JoinSpec) -> Self {
        Self { spec }
    }
}

impl Operator for Join {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}
