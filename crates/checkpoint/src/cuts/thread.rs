//! The queue in front of the thread that makes cuts durable: many cuts share one write.

use super::Cut;
use super::write::CutsLog;
use crate::error::CheckpointError;
use crate::fail::{FailPoint, fail_point};
use parking_lot::{Condvar, Mutex};
use proxima_event::Epoch;
use std::time::Duration;

/// How often a waiting thread looks whether the run ends.
const WAIT: Duration = Duration::from_millis(50);

#[derive(Default)]
struct State {
    queue: Vec<Cut>,
    /// The first epoch of those that are being written.
    writing: Option<Epoch>,
    /// The next write goes to a new file.
    roll: bool,
    closed: bool,
    error: Option<CheckpointError>,
}

impl State {
    /// The first epoch that is not durable, if any waits.
    fn first_waiting(&self) -> Option<Epoch> {
        self.writing.or_else(|| self.queue.first().map(|cut| cut.epoch))
    }
}

/// Takes cuts from any thread and tells when they are durable.
#[derive(Default)]
pub(crate) struct CutsQueue {
    state: Mutex<State>,
    /// There is something to write, or the end has come.
    work: Condvar,
    /// More is durable, or nothing more will be.
    done: Condvar,
}

impl CutsQueue {
    /// Queues a cut and returns at once. The engine keeps few epochs on their way, and with them the queue short.
    pub(crate) fn push(&self, cut: Cut) {
        let mut state = self.state.lock();
        if let Some(last) = state.queue.last() {
            assert!(last.epoch < cut.epoch, "epochs are cut one after another");
        }
        state.queue.push(cut);
        self.work.notify_one();
    }

    /// Waits until every cut up to that of `epoch` is durable, or until `stopped`.
    pub(crate) fn wait(&self, epoch: Epoch, stopped: &dyn Fn() -> bool) -> Result<(), CheckpointError> {
        let mut state = self.state.lock();
        while state.first_waiting().is_some_and(|first| first <= epoch) {
            if let Some(error) = &state.error {
                return Err(error.clone());
            }
            if stopped() {
                return Err(CheckpointError::Closed);
            }
            self.done.wait_for(&mut state, WAIT);
        }
        Ok(())
    }

    /// What stopped the thread, if it has failed.
    pub(crate) fn error(&self) -> Option<CheckpointError> {
        self.state.lock().error.clone()
    }

    /// The next write goes to a new file.
    pub(crate) fn roll(&self) {
        self.state.lock().roll = true;
    }

    /// Ends the thread once everything queued is written.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_one();
    }

    /// Writes what is queued, until the queue is closed or a write fails.
    pub(crate) fn run(&self, mut log: CutsLog) {
        while let Some((cuts, roll)) = self.take() {
            if roll {
                log.roll();
            }
            fail_point(FailPoint::BeforeCut);
            let written = log.write(&cuts);
            fail_point(FailPoint::AfterCut);
            let mut state = self.state.lock();
            match written {
                Ok(()) => state.writing = None,
                Err(error) => state.error = Some(error),
            }
            let failed = state.error.is_some();
            self.done.notify_all();
            if failed {
                return;
            }
        }
    }

    /// Waits for cuts; `None` when the queue is closed and empty.
    fn take(&self) -> Option<(Vec<Cut>, bool)> {
        let mut state = self.state.lock();
        while state.queue.is_empty() {
            if state.closed {
                return None;
            }
            self.work.wait(&mut state);
        }
        state.writing = state.queue.first().map(|cut| cut.epoch);
        let roll = std::mem::take(&mut state.roll);
        Some((std::mem::take(&mut state.queue), roll))
    }
}
