//! Epochs, keyed operators, flow control and the run loop, on timely dataflow.
//!
//! No type of timely shows in this crate's interface. A job is a [`Topology`]: sources, operators and sinks joined by
//! [`Route`]s. [`run`] carries it out on a number of workers until it is stopped or all bounded sources are read.

pub mod operator;
pub mod snapshot;
pub mod topology;

pub use operator::{EpochEnd, Operator, OperatorStats, Outbox};
pub use snapshot::{SnapshotError, StateReader, StateWriter};
pub use topology::{MakeDecoder, NodeId, Route, SinkNode, SourceId, SourceNode, Topology};
