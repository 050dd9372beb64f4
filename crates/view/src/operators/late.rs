//! Lateness: how old a record may be, and what happens to those that are older.
//!
//! [`MaxTime`] watches the newest time of each worker's rows and tells all workers the bound that follows from it.
//! [`DropLate`] drops rows older than the newest bound of earlier epochs.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;
use std::sync::Arc;

/// The columns of a stream of bounds: `bound`, a TIMESTAMP in microseconds.
#[must_use]
pub fn bound_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("bound", DataType::Timestamp(TimeUnit::Microsecond, None), false)]))
}

/// What a [`MaxTime`] watches.
#[derive(Clone, Debug)]
pub struct TimeBoundSpec {
    /// The column with a row's time: TIMESTAMP or DATE.
    pub time: usize,
    /// How much older than the newest row a row may be, in microseconds.
    pub lifetime_us: i64,
}

/// Puts out the bound of this worker's rows, at the end of each epoch in which it rose.
pub struct MaxTime {
    spec: TimeBoundSpec,
}

impl MaxTime {
    /// Has seen no rows and puts out no bound yet.
    #[must_use]
    pub fn new(spec: TimeBoundSpec) -> Self {
        Self { spec }
    }
}

impl Operator for MaxTime {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}

/// What a [`DropLate`] looks at: rows on input 0, bounds on input 1.
#[derive(Clone, Debug)]
pub struct DropLateSpec {
    /// The rows of input 0.
    pub input: SchemaRef,
    /// The column with a row's time.
    pub time: usize,
}

/// Drops and counts the rows that are older than the bound known at the end of the epoch before.
pub struct DropLate {
    spec: DropLateSpec,
}

impl DropLate {
    /// Knows no bound: passes everything on.
    #[must_use]
    pub fn new(spec: DropLateSpec) -> Self {
        Self { spec }
    }
}

impl Operator for DropLate {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {
        unimplemented!("{:?}", self.spec)
    }
}
