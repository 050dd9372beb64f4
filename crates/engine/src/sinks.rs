//! Sinks: each writes on a thread of its own; an epoch is done when the sink has made it durable and visible.

use crate::drive::{Waiting, first_open};
use crate::intake::EpochIntake;
use crate::run::KeepRejectedWrites;
use crate::status::SinkCounters;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use proxima_event::{Changes, Epoch, Generation, Sink, SinkError, Version};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use timely::dataflow::operators::Capability;
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::SyncActivator;

/// One worker's changes of one epoch, for a sink.
pub(crate) struct Write {
    epoch: u64,
    changes: Vec<Changes>,
    /// Nothing follows: no use in waiting for more before the flush.
    last: bool,
    /// A checkpoint counts on it.
    checkpoint: bool,
    ack: Arc<Ack>,
}

/// How a sink thread tells a worker what it holds.
pub(crate) struct Ack {
    /// Every write of an epoch before this one is durable.
    epochs: AtomicU64,
    activator: SyncActivator,
}

impl Ack {
    pub(crate) fn new(activator: SyncActivator) -> Self {
        Self { epochs: AtomicU64::new(0), activator }
    }
}

/// The sink's end of the dataflow on one worker: hands whole epochs to the sink thread and holds them open until they
/// are acknowledged. At most as many epochs are on their way as the flow control lets in, so the queue is bounded.
pub(crate) struct SinkDriver {
    waiting: Waiting,
    /// The next epoch to hand over.
    next: u64,
    /// Epochs handed over and not acknowledged.
    sent: VecDeque<u64>,
    capability: Option<Capability<u64>>,
    queue: Sender<Write>,
    ack: Arc<Ack>,
    intake: Arc<EpochIntake>,
    counters: Arc<SinkCounters>,
}

impl SinkDriver {
    pub(crate) fn new(
        mut capability: Capability<u64>,
        queue: Sender<Write>,
        ack: Arc<Ack>,
        (intake, counters): (Arc<EpochIntake>, Arc<SinkCounters>),
        next: u64,
    ) -> Self {
        capability.downgrade(&next);
        let (waiting, sent) = (Waiting::default(), VecDeque::new());
        Self { waiting, next, sent, capability: Some(capability), queue, ack, intake, counters }
    }

    pub(crate) fn receive(&mut self, epoch: u64, changes: Changes) {
        self.waiting.push(epoch, 0, changes);
    }

    /// Hands over what is complete, lets go of what is acknowledged. Returns whether something is still on its way.
    pub(crate) fn advance(&mut self, frontiers: &[MutableAntichain<u64>]) -> bool {
        let open = first_open(frontiers);
        let end = open.unwrap_or_else(|| self.intake.last().saturating_add(1));
        while self.next < end && end != u64::MAX {
            self.hand_over(self.next);
            self.next += 1;
        }
        let acknowledged = self.ack.epochs.load(Ordering::Acquire);
        while self.sent.front().is_some_and(|&epoch| epoch < acknowledged) {
            self.sent.pop_front();
        }
        let held = self.sent.front().copied().unwrap_or(self.next);
        if open.is_none() && self.sent.is_empty() {
            self.capability = None;
        } else if let Some(capability) = &mut self.capability {
            capability.downgrade(&held);
        }
        !self.sent.is_empty()
    }

    fn hand_over(&mut self, epoch: u64) {
        let changes: Vec<_> = std::iter::from_fn(|| self.waiting.pop(epoch)).map(|(_, changes)| changes).collect();
        let checkpoint = self.intake.checkpointer().is_some_and(|checkpoints| checkpoints.is_checkpoint(epoch));
        if changes.is_empty() && !checkpoint {
            return;
        }
        let last = epoch == self.intake.last();
        self.counters.given.fetch_add(rows(&changes), Ordering::Relaxed);
        let write = Write { epoch, changes, last, checkpoint, ack: Arc::clone(&self.ack) };
        // A closed queue means that the sink thread failed: the run is ending.
        if self.queue.send(write).is_ok() {
            self.sent.push_back(epoch);
        }
    }
}

/// A sink on its thread.
pub(crate) struct SinkThread {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) queue: Receiver<Write>,
    pub(crate) generation: Generation,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) rejected: KeepRejectedWrites,
}

impl SinkThread {
    /// Writes until the workers are gone or the run is stopped. What is acknowledged was flushed.
    pub(crate) fn run(mut self, intake: &EpochIntake) -> Result<(), SinkError> {
        let mut unflushed = Unflushed::default();
        let mut flushed_at = None;
        loop {
            let due = match self.queue.recv_timeout(self.patience(&unflushed, flushed_at)) {
                Ok(write) => {
                    let last = write.last;
                    if !self.write(write, intake, &mut unflushed)? {
                        return Ok(());
                    }
                    // While writes wait there is no use in making the first ones visible alone.
                    self.queue.is_empty() && (last || self.patience(&unflushed, flushed_at).is_zero())
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => return self.flush(&mut unflushed),
            };
            if due && !unflushed.acks.is_empty() {
                self.flush(&mut unflushed)?;
                flushed_at = Some(Instant::now());
            }
            if intake.is_stopped() {
                return Ok(());
            }
        }
    }

    /// How long to wait for more before a flush.
    fn patience(&self, unflushed: &Unflushed, flushed_at: Option<Instant>) -> Duration {
        const IDLE: Duration = Duration::from_millis(100);
        if unflushed.acks.is_empty() {
            return IDLE;
        }
        flushed_at.map_or(Duration::ZERO, |at| self.sink.flush_interval().saturating_sub(at.elapsed()))
    }

    /// Writes an epoch's changes, unless the run ends before it may.
    fn write(&mut self, write: Write, intake: &EpochIntake, unflushed: &mut Unflushed) -> Result<bool, SinkError> {
        if let Some(checkpoints) = intake.checkpointer() {
            let waited = checkpoints.wait_cut(write.epoch, &|| intake.is_stopped());
            waited.map_err(|reason| SinkError {
                tried: "note the cut of",
                target: format!("epoch {}", write.epoch),
                reason,
            })?;
            if intake.is_stopped() {
                return Ok(false);
            }
        }
        let version = Version::new(self.generation, Epoch(write.epoch));
        self.sink.write(version, &write.changes)?;
        let rows = rows(&write.changes);
        self.counters.rows.fetch_add(rows, Ordering::Relaxed);
        unflushed.rows += rows;
        unflushed.checkpoint |= write.checkpoint;
        unflushed.acks.push((write.epoch, write.ack));
        Ok(true)
    }

    fn flush(&mut self, unflushed: &mut Unflushed) -> Result<(), SinkError> {
        if unflushed.acks.is_empty() {
            return Ok(());
        }
        self.sink.flush()?;
        let rejected = self.sink.take_rejected();
        if !rejected.is_empty() {
            self.counters.rejected.fetch_add(rejected.len() as u64, Ordering::Relaxed);
            (self.rejected)(&rejected);
        }
        if std::mem::take(&mut unflushed.checkpoint) {
            self.sink.sync()?;
        }
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        self.counters.held.fetch_add(std::mem::take(&mut unflushed.rows), Ordering::Relaxed);
        for (epoch, ack) in unflushed.acks.drain(..) {
            ack.epochs.fetch_max(epoch + 1, Ordering::AcqRel);
            self.counters.epochs.fetch_max(epoch + 1, Ordering::Relaxed);
            // The worker may be gone already when the run is being stopped.
            let _ = ack.activator.activate();
        }
        Ok(())
    }
}

fn rows(changes: &[Changes]) -> u64 {
    changes.iter().map(|changes| changes.len() as u64).sum()
}

/// What was written since the last flush.
#[derive(Default)]
struct Unflushed {
    rows: u64,
    acks: Vec<(u64, Arc<Ack>)>,
    /// Whether a checkpoint counts on it.
    checkpoint: bool,
}
