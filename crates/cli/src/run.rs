//! A run from its start to its end: engine, stores, server and progress together.

use crate::failure::Failure;
use crate::job::JobPlan;
use std::path::PathBuf;

/// What to run, and how.
#[derive(Debug)]
pub struct RunRequest {
    /// The job.
    pub plan: JobPlan,
    /// Where its results rest.
    pub data: PathBuf,
    /// Threads that compute.
    pub workers: usize,
    /// Whether to end when every bounded source is read and every result is written.
    pub until_end: bool,
}

/// Runs a job.
///
/// # Errors
/// When it fails, or is interrupted before the end that it was to reach.
pub fn run(request: RunRequest) -> Result<(), Failure> {
    let _ = request;
    Err(Failure::Run(anyhow::anyhow!("the engine is not joined to the command yet")))
}
