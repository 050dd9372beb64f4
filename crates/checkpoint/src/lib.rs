//! The state protocol: what a checkpoint is, how it is committed, found again and swept away.
//!
//! Everything rests in a [`Store`]: a folder, an object store, or a table of rows such as HBase has.
//!
//! 1. A restart reads the log for the newest checkpoint that is whole ([`Recovery::read`]), and begins a run by an entry
//!    there ([`Checkpoints::begin`]). No earlier run can commit any more. Then it reads how the runs before cut their
//!    epochs behind the checkpoint, and follows them.
//! 2. The end of each epoch is made durable ([`Checkpoints::append_cut`]) before a sink writes anything of it
//!    ([`Checkpoints::wait_cut`]).
//! 3. At a checkpoint the workers hand over what has changed ([`Checkpoints::write_state`]). When all sinks hold the
//!    epoch, an entry in the log makes it a checkpoint ([`Checkpoints::commit`]).
//! 4. What no restart will look at is deleted.
//!
//! Decisions are functions of stored facts: `lineage` (which checkpoint), `cuts::replay` (which cuts), `state::chains`
//! (which files), `sweep` (what may go). The reasons are in ADR 5 and 6.

mod checkpoints;
mod cuts;
mod error;
mod fail;
mod job;
mod lineage;
mod log;
mod names;
mod nonce;
mod operators;
mod run;
#[cfg(test)]
mod simulation;
mod state;
pub mod store;
mod sweep;
mod writers;

pub use checkpoints::{CheckpointConfig, CheckpointStatus, Checkpoints, Commit};
pub use cuts::Cut;
pub use error::CheckpointError;
pub use fail::{FAIL_VARIABLE, FailPoint};
pub use job::JobFacts;
pub use operators::{Fit, OperatorFacts, OperatorId};
pub use run::{Recovery, Resumption};
pub use state::{Kind, Restored, Section, StateKey, StoredSection};
pub use store::{LocalStore, ObjectStore, ObjectStoreConfig, Patient, Retry, Store, StoreError};
