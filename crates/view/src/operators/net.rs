//! What a sink is given: at most one change for each key in an epoch.

use arrow::datatypes::SchemaRef;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// What a [`Net`] nets.
#[derive(Clone, Debug)]
pub struct NetSpec {
    /// The rows that come in and go out.
    pub input: SchemaRef,
    /// The key columns of the target.
    pub key: Vec<usize>,
    /// Whether a key holds at most one row at a time, as the planner has proved: then no state is kept.
    pub unique: bool,
}

/// Nets the changes of an epoch by key: +1 the row that the key holds now, −1 the key holds none any more.
pub struct Net {
    spec: NetSpec,
}

impl Net {
    /// Holds no keys.
    #[must_use]
    pub fn new(spec: NetSpec) -> Self {
        Self { spec }
    }
}

impl Operator for Net {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}
