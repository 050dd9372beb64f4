//! What the protocol knows of a job.

use crate::operators::OperatorFacts;
use proxima_event::Generation;

/// A job, as far as its checkpoints are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFacts {
    /// A digest of the job's definition, for people who read the log.
    pub digest: String,
    /// Worker threads.
    pub workers: usize,
    /// Key groups: fixed when the job is created.
    pub key_groups: usize,
    /// The operators with state.
    pub operators: Vec<OperatorFacts>,
    /// Whether to drop all state and begin from nothing.
    pub fresh: bool,
    /// The highest generation that is known from elsewhere: an offset store, a data folder. The run's is higher.
    pub generation_seen: Generation,
}
