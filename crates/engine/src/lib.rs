//! Epochs, keyed operators, flow control and the run loop, on timely dataflow.
//!
//! No type of timely shows in this crate's interface. A job is a [`Topology`]: sources, operators and sinks joined by
//! [`Route`]s. [`run`] carries it out on a number of workers until it is stopped or all bounded sources are read.

mod arrivals;
mod assemble;
mod batch;
pub mod checkpoint;
mod drive;
mod fetch;
pub mod flow;
mod intake;
pub mod operator;
mod reader;
mod replay;
pub mod run;
mod sinks;
pub mod snapshot;
pub mod status;
pub mod topology;

pub use checkpoint::{
    Bundles, CheckpointStatus, CheckpointStore, Checkpointing, Commit, Cut, OperatorState, Restored, SavedState,
    SourceCounts,
};
pub use flow::EpochConfig;
pub use intake::PartitionStatus;
pub use run::{KeepRejected, KeepRejectedWrites, RunConfig, RunControl, RunError, RunHandle, run};
pub use status::{OperatorStatus, RunStatus, SinkStatus, SourceStatus};

pub use operator::{EpochEnd, Operator, OperatorStats, Outbox};
pub use snapshot::{
    ALL_ADDED, BatchWriter, Bundle, ColumnType, Section, SectionKind, SnapshotError, StateReader, StateWriter, Strings,
    Values,
};
pub use topology::{
    MakeDecoder, MakeSourceDecoder, NewestTime, NodeId, OperatorInfo, Route, SinkNode, SourceId, SourceNode, Topology,
};
