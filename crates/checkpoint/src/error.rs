//! Why a checkpoint could not be made or found.

use crate::store::StoreError;
use proxima_event::Generation;
use thiserror::Error;

/// Why a checkpoint could not be made or found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The store failed, also when tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another run of the same job has begun: this one must stop, and nothing that it does counts any more.
    #[error(
        "run {own} is over: run {by} of the same job has begun (two processes must not share one checkpoint folder)"
    )]
    Orphaned {
        /// This run.
        own: u64,
        /// The one that came after it.
        by: u64,
    },
    /// There are checkpoints, and none of them can be read.
    #[error("no checkpoint can be used: {reasons}. Put the missing files back, or start anew with --fresh")]
    Damaged {
        /// What is wrong with each of them, the newest first.
        reasons: String,
    },
    /// The job's number of key groups is fixed when it is created.
    #[error("the state has {stored} key groups and the job {job}: set it back, or start anew with --fresh")]
    KeyGroups {
        /// Of the stored state.
        stored: usize,
        /// Of the job.
        job: usize,
    },
    /// The offsets of a checkpoint could not be told to another store.
    #[error("{0}")]
    Offsets(String),
    /// The run is being stopped.
    #[error("the checkpoint threads have ended")]
    Closed,
}

impl CheckpointError {
    pub(crate) fn orphaned(own: Generation, by: Generation) -> Self {
        Self::Orphaned { own: own.0, by: by.0 }
    }
}
