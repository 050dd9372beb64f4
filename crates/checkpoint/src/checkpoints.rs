//! The checkpoints of a run: what the engine calls, and the threads behind it.

use crate::cuts::{Cut, CutsQueue};
use crate::error::CheckpointError;
use crate::fail::{FailPoint, fail_point};
use crate::run::{Recovery, Restart, Resumption, Run};
use crate::state::{Section, StateKey, within_budget};
use crate::store::Retry;
use crate::writers::Writers;
use parking_lot::Mutex;
use proxima_event::offsets::{Committed, OffsetStore, Outcome};
use proxima_event::{Epoch, Generation, Position};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Checkpoints between two sweeps: a sweep lists the whole store.
const SWEEP_EVERY: u64 = 8;

/// How checkpoints are made.
pub struct CheckpointConfig {
    /// Checkpoints that are kept at the least, in case the newest cannot be read. At least 1.
    pub keep: usize,
    /// Threads that write state. At least 1.
    pub writers: usize,
    /// How often a call to the store is tried again.
    pub retry: Retry,
    /// Who is told the positions after each checkpoint, in this order.
    pub offsets: Vec<Box<dyn OffsetStore>>,
}

impl Default for CheckpointConfig {
    /// Three checkpoints kept, two writers, the usual retries, nobody to tell.
    fn default() -> Self {
        Self { keep: 3, writers: 2, retry: Retry::default(), offsets: Vec::new() }
    }
}

/// A checkpoint, but for its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The epoch that it ends with.
    pub epoch: Epoch,
    /// Where every partition stands at the end of the epoch.
    pub positions: Vec<Position>,
    /// Counts that go on over restarts, as the caller keeps them.
    pub counters: serde_json::Value,
}

/// The checkpoints of a run, as status shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStatus {
    /// How many this run has committed.
    pub committed: u64,
    /// The place of the last one in the log.
    pub seq: u64,
    /// Its epoch.
    pub epoch: Epoch,
    /// When it was committed.
    pub at: Option<SystemTime>,
    /// Bytes of state that it added.
    pub bytes_written: u64,
    /// Bytes of all files that it rests in.
    pub bytes: u64,
    /// How long its commit took, with the wait for its last files.
    pub took: Duration,
}

/// The checkpoints of a run that has begun. Shared by all threads of the run.
pub struct Checkpoints {
    generation: Generation,
    keep: usize,
    run: Mutex<Run>,
    /// The groups that are due to be written in full since the last commit. Workers ask, and must not wait for a commit.
    due: Mutex<Vec<(StateKey, u64)>>,
    offsets: Mutex<Vec<Box<dyn OffsetStore>>>,
    cuts: Arc<CutsQueue>,
    cuts_thread: Option<JoinHandle<()>>,
    writers: Writers,
    status: Mutex<CheckpointStatus>,
}

impl Checkpoints {
    /// Begins the run that a [`Recovery`] has prepared: from here on no earlier run of the job can commit. Nothing may
    /// be read from a source before.
    ///
    /// # Errors
    /// When the store or an offset store fails, or another run begins at the same time.
    pub fn begin(recovery: Recovery, config: CheckpointConfig) -> Result<(Self, Resumption), CheckpointError> {
        let store = recovery.store();
        let Restart { run, cuts_log, resumption } = recovery.begin()?;
        let generation = resumption.generation;
        let cuts = Arc::new(CutsQueue::default());
        let queue = Arc::clone(&cuts);
        let thread = std::thread::Builder::new().name("checkpoint-cuts".to_owned());
        let cuts_thread = Some(thread.spawn(move || queue.run(cuts_log)).expect("the system can start a thread"));
        let checkpoints = Self {
            generation,
            keep: config.keep.max(1),
            due: Mutex::new(run.chains().due()),
            run: Mutex::new(run),
            offsets: Mutex::new(config.offsets),
            cuts,
            cuts_thread,
            writers: Writers::start(store, config.retry, generation, config.writers.max(1)),
            status: Mutex::default(),
        };
        if let Some(found) = &resumption.checkpoint {
            // The run before may have died between its commit and telling of it.
            checkpoints.tell(found.seq(), found.epoch(), found.positions())?;
        }
        Ok((checkpoints, resumption))
    }

    /// The run's number.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Queues the cut of an epoch and returns at once. Cuts come in order; epochs that held nothing need none.
    pub fn append_cut(&self, cut: Cut) {
        self.cuts.push(cut);
    }

    /// Waits until the cuts of all epochs up to this one are durable: only then may a sink write anything of it.
    ///
    /// # Errors
    /// When they cannot be written, another run has begun, or `stopped` says so.
    pub fn wait_cut(&self, epoch: Epoch, stopped: &dyn Fn() -> bool) -> Result<(), CheckpointError> {
        self.cuts.wait(epoch, stopped)
    }

    /// Hands over what a worker holds at the end of an epoch, and returns while it is being written. Waits when all
    /// writers are busy. A worker may come several times for one epoch.
    ///
    /// # Errors
    /// When an earlier one could not be written.
    pub fn write_state(&self, epoch: Epoch, worker: usize, sections: Vec<Section>) -> Result<(), CheckpointError> {
        self.writers.write(epoch, worker, sections)
    }

    /// The groups that should be handed over in full at the next checkpoint, some `budget_bytes` in all: their changes
    /// weigh more than they do, or take long to read back.
    #[must_use]
    pub fn plan_rewrites(&self, budget_bytes: u64) -> Vec<StateKey> {
        within_budget(&self.due.lock(), budget_bytes)
    }

    /// Commits a checkpoint: all state up to this epoch was handed over, all sinks hold the epoch. Waits for what is
    /// still being written, then decides in the log, tells the offset stores, and now and then sweeps.
    ///
    /// # Errors
    /// When anything of it fails, or another run has begun. The run must stop then; whether the checkpoint counts is for
    /// the next one to see.
    pub fn commit(&self, commit: Commit) -> Result<(), CheckpointError> {
        let begun = Instant::now();
        if let Some(error) = self.cuts.error() {
            return Err(error);
        }
        let Commit { epoch, positions, counters } = commit;
        let written = self.writers.take(epoch)?;
        let bytes_written = written.iter().map(|written| written.file.bytes).sum();
        let mut run = self.run.lock();
        let seq = run.commit(epoch, positions.clone(), counters, written)?;
        self.cuts.roll();
        *self.due.lock() = run.chains().due();
        self.tell(seq, epoch, &positions)?;
        let committed = {
            let mut status = self.status.lock();
            let (at, bytes) = (Some(SystemTime::now()), run.chains().bytes());
            let (committed, took) = (status.committed + 1, begun.elapsed());
            *status = CheckpointStatus { committed, seq, epoch, at, bytes_written, bytes, took };
            committed
        };
        if committed % SWEEP_EVERY == 1 {
            run.sweep(self.keep)?;
        }
        Ok(())
    }

    /// Where the partitions stand at the oldest checkpoint that is kept: no restart reads what lies before, unless it
    /// begins from nothing.
    #[must_use]
    pub fn oldest_positions(&self) -> Vec<Position> {
        self.run.lock().oldest_positions().to_vec()
    }

    /// The checkpoints so far.
    #[must_use]
    pub fn status(&self) -> CheckpointStatus {
        self.status.lock().clone()
    }

    /// Tells the offset stores of a checkpoint.
    fn tell(&self, seq: u64, epoch: Epoch, positions: &[Position]) -> Result<(), CheckpointError> {
        let mut positions = positions.to_vec();
        positions.sort_by(|a, b| a.partition.cmp(&b.partition));
        let checkpoint = crate::names::log_entry(seq);
        let committed = Committed { generation: self.generation, checkpoint, epoch, positions };
        for store in self.offsets.lock().iter_mut() {
            let outcome = store.commit(&committed).map_err(|error| CheckpointError::Offsets(error.to_string()))?;
            if let Outcome::Fenced { by } = outcome {
                return Err(CheckpointError::orphaned(self.generation, by));
            }
            fail_point(FailPoint::BetweenOffsets);
        }
        fail_point(FailPoint::AfterOffsets);
        Ok(())
    }
}

impl Drop for Checkpoints {
    /// Waits for the threads; what was handed over and not committed counts for nothing.
    fn drop(&mut self) {
        self.cuts.close();
        if let Some(thread) = self.cuts_thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}
