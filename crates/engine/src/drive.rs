//! One operator inside timely: batches come in epoch by epoch, and what it puts out goes on.

use crate::batch::{Batch, key_hashes};
use crate::operator::{EpochEnd, Operator, Outbox};
use crate::status::Counters;
use crate::topology::Route;
use proxima_event::{Changes, Epoch, KeyGroupSet};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::NoopBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, OutputBuilderSession};
use timely::progress::frontier::MutableAntichain;

/// How often an operator's stats are published.
const STATS_EVERY: Duration = Duration::from_millis(500);

/// Batches that an operator works on before it lets others run: some ten milliseconds of work.
const BATCHES_PER_ACTIVATION: usize = 64;

/// The first epoch that some input may still bring, `None` when all inputs are closed.
pub(crate) fn first_open(frontiers: &[MutableAntichain<u64>]) -> Option<u64> {
    frontiers.iter().filter_map(|input| input.frontier().first().copied()).min()
}

/// Batches that wait for their epoch's turn, in the order they came.
#[derive(Default)]
pub(crate) struct Waiting {
    epochs: BTreeMap<u64, VecDeque<(usize, Changes)>>,
}

impl Waiting {
    pub(crate) fn push(&mut self, epoch: u64, input: usize, changes: Changes) {
        self.epochs.entry(epoch).or_default().push_back((input, changes));
    }

    pub(crate) fn pop(&mut self, epoch: u64) -> Option<(usize, Changes)> {
        let batches = self.epochs.get_mut(&epoch)?;
        let batch = batches.pop_front();
        if batches.is_empty() {
            self.epochs.remove(&epoch);
        }
        batch
    }
}

/// Carries one operator through the epochs.
pub(crate) struct Driver {
    operator: Box<dyn Operator>,
    routes: Vec<Route>,
    waiting: Waiting,
    outbox: Outbox,
    /// For the epoch that is being worked on; dropped when all inputs are closed.
    capability: Option<Capability<u64>>,
    counters: Arc<Counters>,
    name: String,
    /// The key groups of this worker.
    owned: KeyGroupSet,
    /// Those that were never saved, before the first save.
    unsaved: Option<KeyGroupSet>,
    worker: usize,
    index: usize,
    published: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(
        operator: Box<dyn Operator>,
        routes: Vec<Route>,
        capability: Capability<u64>,
        counters: Arc<Counters>,
        (worker, index, owned): (usize, usize, KeyGroupSet),
        is_loaded: bool,
    ) -> Self {
        let (waiting, outbox) = (Waiting::default(), Outbox::default());
        let (capability, name) = (Some(capability), counters.operators[index].clone());
        let unsaved = (!is_loaded).then_some(owned);
        Self {
            operator,
            routes,
            waiting,
            outbox,
            capability,
            counters,
            name,
            owned,
            unsaved,
            worker,
            index,
            published: None,
        }
    }

    /// A batch arrived; it waits until [`advance`](Self::advance) comes to it.
    pub(crate) fn receive(&mut self, epoch: u64, input: usize, changes: Changes) {
        self.waiting.push(epoch, input, changes);
    }

    /// Works on the batches of the current epoch, and finishes each epoch that no input can bring any more.
    /// Returns whether it stopped because it had done enough for one activation.
    pub(crate) fn advance(
        &mut self,
        frontiers: &[MutableAntichain<u64>],
        output: &mut OutputBuilder<u64, NoopBuilder<Batch>>,
    ) -> bool {
        let first_open = first_open(frontiers);
        let mut budget = BATCHES_PER_ACTIVATION;
        let mut finished = false;
        let mut output = output.activate();
        while let Some(current) = self.capability.as_ref().map(|capability| *capability.time()) {
            while let Some((input, changes)) = self.waiting.pop(current) {
                self.apply(input, changes);
                self.send(&mut output);
                budget -= 1;
                if budget == 0 {
                    return true;
                }
            }
            if !self.is_over(current, first_open) {
                break;
            }
            self.finish(current, &mut output);
            finished = true;
        }
        if first_open.is_none() {
            self.capability = None;
        }
        if finished {
            self.publish(first_open.is_none());
        }
        false
    }

    fn is_over(&self, epoch: u64, first_open: Option<u64>) -> bool {
        let last = self.counters.intake.last();
        first_open.map_or(last != u64::MAX && epoch <= last, |open| epoch < open)
    }

    fn finish(&mut self, epoch: u64, output: &mut OutputBuilderSession<'_, u64, NoopBuilder<Batch>>) {
        let intake = &self.counters.intake;
        let last = epoch == intake.last() && !intake.is_closing();
        self.operator.finish(EpochEnd { epoch: Epoch(epoch), last }, &mut self.outbox);
        self.send(output);
        self.save(epoch);
        self.capability.as_mut().expect("held until the inputs close").downgrade(&(epoch + 1));
    }

    /// Hands over the state, if the epoch becomes a checkpoint.
    fn save(&mut self, epoch: u64) {
        let intake = &self.counters.intake;
        let Some(checkpoints) = intake.checkpointer().filter(|checkpoints| checkpoints.is_checkpoint(epoch)) else {
            return;
        };
        let rewritten = self.unsaved.take().unwrap_or_else(|| checkpoints.rewrites(&self.name));
        let rewritten = rewritten.intersection(&self.owned);
        let mut state = checkpoints.writer();
        self.operator.save(&rewritten, &mut state);
        checkpoints.save(self.worker, epoch, (&self.name, rewritten), state);
    }

    fn apply(&mut self, input: usize, mut changes: Changes) {
        match &self.routes[input] {
            Route::ByKey(columns) if changes.hashes.is_none() => {
                changes.hashes = Some(key_hashes(&changes, columns).into());
            }
            Route::ByKey(_) => {}
            // Hashes over another operator's key mean nothing here.
            Route::Local | Route::Broadcast => changes.hashes = None,
        }
        self.operator.apply(input, changes, &mut self.outbox);
    }

    fn send(&mut self, output: &mut OutputBuilderSession<'_, u64, NoopBuilder<Batch>>) {
        let capability = self.capability.as_ref().expect("held until the inputs close");
        for mut changes in self.outbox.drain() {
            changes.hashes = None;
            output.session_with_builder(&capability).give_container(&mut Batch::new(changes));
        }
    }

    fn publish(&mut self, always: bool) {
        if always || self.published.is_none_or(|at| at.elapsed() >= STATS_EVERY) {
            self.counters.stats[self.worker].lock()[self.index] = self.operator.stats();
            self.published = Some(Instant::now());
        }
    }
}
