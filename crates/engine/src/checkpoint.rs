//! Checkpoints: what a run hands over at the end of an epoch, and when that is complete.
//!
//! The intake decides at a cut that the epoch becomes a checkpoint and notes where all partitions stand. Each operator
//! saves its state when it finishes that epoch, each worker says what it had counted, the sinks hold the epoch. When all
//! of this has come the checkpoint is committed. The stores behind the traits do the writing.

use crate::snapshot::{Bundle, SavedMemory, StateWriter};
use parking_lot::{Condvar, Mutex};
use proxima_event::{Epoch, Health, KeyGroupSet, Position, Release};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a waiting thread looks whether the run ends.
const WAIT: Duration = Duration::from_millis(50);

/// The most from one checkpoint to the next while a source asks for them, because it can take nothing more: with three
/// that are kept and a sweep at every eighth it waits for eleven at the most, some four seconds.
const WANTED_EVERY: Duration = Duration::from_millis(300);

/// What an epoch held, in the sources' terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The epoch that ended.
    pub epoch: Epoch,
    /// The partitions that moved in it, and where they stand at its end.
    pub positions: Vec<Position>,
}

/// What has been read of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Records decoded, rejected ones included.
    pub records: u64,
    /// Records rejected.
    pub rejected: u64,
}

/// What one operator saved on one worker.
#[derive(Clone, Debug)]
pub struct OperatorState {
    /// The operator's name in the topology, unique there.
    pub operator: String,
    /// The key groups that were saved whole: nothing that was saved of them before counts any more, also where they
    /// have no section now.
    pub rewritten: KeyGroupSet,
    /// The state. A key group may have part in several, which count in this order.
    pub bundles: Vec<Bundle>,
}

/// A checkpoint, but for the state.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The epoch that it ends with.
    pub epoch: Epoch,
    /// Where every partition stands.
    pub positions: Vec<Position>,
    /// What has been read of each source, by name.
    pub counts: BTreeMap<String, SourceCounts>,
}

/// Where a run keeps what it needs to go on after its end.
pub trait CheckpointStore: Send + Sync {
    /// Notes the cut of an epoch, and returns at once. Cuts come in order.
    fn append_cut(&self, cut: Cut);

    /// Waits until the cut of this epoch, which was appended, would survive a crash. Gives up when `stopped` says so.
    ///
    /// # Errors
    /// When it cannot be written.
    fn wait_cut(&self, epoch: Epoch, stopped: &dyn Fn() -> bool) -> Result<(), String>;

    /// The key groups of an operator that are to be saved whole next, so that chains of changes do not grow for ever.
    fn rewrites(&self, _operator: &str) -> KeyGroupSet {
        KeyGroupSet::default()
    }

    /// Writes what a worker holds at the end of a checkpoint's epoch.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write_state(&self, epoch: Epoch, worker: usize, state: Vec<OperatorState>) -> Result<(), String>;

    /// Commits a checkpoint, once every worker's state is written and every sink holds its epoch. Gives the positions of
    /// the oldest checkpoint that is kept: no run will read what lies before them.
    ///
    /// # Errors
    /// When it cannot be written, or another run has succeeded this one.
    fn commit(&self, checkpoint: Commit) -> Result<Vec<Position>, String>;

    /// What its waiting is told to, where it waits for something outside of the process.
    fn health(&self) -> Option<Health> {
        None
    }
}

/// Bundles that are read one by one.
pub type Bundles<'a> = Box<dyn Iterator<Item = Bundle> + 'a>;

/// The state of a committed checkpoint.
pub trait SavedState: Send + Sync {
    /// What to load of some of an operator's key groups, in this order: their chains. Of the key groups that a bundle says
    /// it holds those count that are asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    fn bundles<'a>(&'a self, operator: &str, groups: &KeyGroupSet) -> Result<Bundles<'a>, String>;
}

/// What a run goes on from.
#[derive(Clone, Default)]
pub struct Restored {
    /// The checkpoint, if there is one; cuts alone are there when a run ended before its first.
    pub checkpoint: Option<Commit>,
    /// Its state.
    pub state: Option<Arc<dyn SavedState>>,
    /// The epochs behind it that sinks may hold parts of, in order. An epoch that is not among them held nothing.
    pub cuts: Vec<Cut>,
}

impl Restored {
    /// Where the checkpoint's partitions stand.
    pub(crate) fn positions(&self) -> impl Iterator<Item = &Position> {
        self.checkpoint.iter().flat_map(|checkpoint| &checkpoint.positions)
    }

    /// The first epoch of a run that goes on from here.
    #[must_use]
    pub fn next_epoch(&self) -> Epoch {
        self.checkpoint.as_ref().map_or(Epoch(0), |checkpoint| checkpoint.epoch.next())
    }
}

/// How a run makes checkpoints.
#[derive(Clone)]
pub struct Checkpointing {
    /// Where they go.
    pub store: Arc<dyn CheckpointStore>,
    /// How long from one to the next, while something comes. Less while a source asks for them
    /// ([`Intake::want_checkpoint`](proxima_event::Intake::want_checkpoint)).
    pub every: Duration,
    /// Whether the first is made though nothing comes: the run goes on with other results than its checkpoint holds.
    pub wanted: bool,
}

/// The checkpoints of a run, as status shows them.
#[derive(Clone, Debug, Default)]
pub struct CheckpointStatus {
    /// How many this run has committed.
    pub committed: u64,
    /// The epoch of the last one, or of the one that it goes on from.
    pub epoch: u64,
    /// When it was committed, by this run.
    pub at: Option<Instant>,
    /// How long it took, from the cut to the commit.
    pub took: Duration,
    /// Bytes of state that it wrote.
    pub bytes: u64,
    /// What the next one waits for, if the store does not take it.
    pub waits_for: Option<String>,
}

/// A checkpoint in the making.
struct Pending {
    begun: Instant,
    positions: Vec<Position>,
    workers: Vec<Part>,
    /// Whether all sinks hold the epoch.
    held: bool,
    bytes: u64,
}

/// What one worker gives to a checkpoint.
#[derive(Default)]
struct Part {
    state: Vec<Saved>,
    /// How many operators have saved.
    saved: usize,
    counts: Option<Vec<SourceCounts>>,
    written: bool,
}

/// What one operator saved, not all of it encoded yet.
struct Saved {
    operator: String,
    rewritten: KeyGroupSet,
    state: StateWriter,
}

impl Saved {
    /// What is to be written, if there is anything.
    fn encode(self) -> Result<Option<OperatorState>, String> {
        let Self { operator, rewritten, state } = self;
        let bundles = state.bundles().map_err(|error| format!("the state of {operator} cannot be encoded: {error}"))?;
        let is_empty = bundles.is_empty() && rewritten.is_empty();
        Ok((!is_empty).then_some(OperatorState { operator, rewritten, bundles }))
    }
}

/// Brings the parts of checkpoints together.
pub(crate) struct Checkpointer {
    config: Checkpointing,
    workers: usize,
    operators: usize,
    sources: Vec<String>,
    pending: Mutex<BTreeMap<u64, Pending>>,
    changed: Condvar,
    /// Epochs that held something and whose cut is not known to be durable.
    cuts: Mutex<BTreeSet<u64>>,
    /// The least epoch in `pending`, so that those who ask at every epoch need no lock.
    first: AtomicU64,
    finished: AtomicBool,
    begun: Mutex<Begun>,
    status: Mutex<CheckpointStatus>,
    memory: Arc<SavedMemory>,
}

/// When the last checkpoint began, and what calls for the next one.
struct Begun {
    at: Instant,
    /// Something came since.
    moved: bool,
    /// A source has asked for it.
    wanted: bool,
}

impl Begun {
    fn now() -> Self {
        Self { at: Instant::now(), moved: false, wanted: false }
    }

    /// Whether it is time for the next one.
    fn is_over(&self, every: Duration) -> bool {
        let every = if self.wanted { every.min(WANTED_EVERY) } else { every };
        self.at.elapsed() >= every
    }
}

impl Checkpointer {
    pub(crate) fn new(
        config: Checkpointing,
        workers: usize,
        operators: usize,
        sources: Vec<String>,
        restored: &Restored,
    ) -> Self {
        let epoch = restored.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.epoch.0);
        let begun = Mutex::new(Begun { wanted: config.wanted, ..Begun::now() });
        Self {
            config,
            workers,
            operators,
            sources,
            pending: Mutex::default(),
            changed: Condvar::new(),
            cuts: Mutex::default(),
            first: AtomicU64::new(u64::MAX),
            finished: AtomicBool::new(false),
            begun,
            status: Mutex::new(CheckpointStatus { epoch, ..CheckpointStatus::default() }),
            memory: Arc::default(),
        }
    }

    /// For what an operator is about to save.
    pub(crate) fn writer(&self) -> StateWriter {
        StateWriter::new(&self.memory)
    }

    /// An epoch was cut; `moved` are the partitions that it moved. Decides whether it becomes a checkpoint.
    pub(crate) fn cut(&self, epoch: u64, moved: Vec<Position>, last: bool, all: impl FnOnce() -> Vec<Position>) {
        let mut begun = self.begun.lock();
        if !moved.is_empty() {
            begun.moved = true;
            self.cuts.lock().insert(epoch);
            self.config.store.append_cut(Cut { epoch: Epoch(epoch), positions: moved });
        }
        let mut pending = self.pending.lock();
        let due = last || begun.is_over(self.config.every) && pending.is_empty();
        if !(begun.moved || begun.wanted) || !due {
            return;
        }
        *begun = Begun::now();
        let workers = (0..self.workers).map(|_| Part::default()).collect();
        pending.insert(epoch, Pending { begun: begun.at, positions: all(), workers, held: false, bytes: 0 });
        self.first.fetch_min(epoch, Ordering::AcqRel);
    }

    /// A source asks for a checkpoint, also if nothing comes.
    pub(crate) fn want(&self) {
        self.begun.lock().wanted = true;
    }

    /// Whether an epoch that was cut becomes a checkpoint.
    pub(crate) fn is_checkpoint(&self, epoch: u64) -> bool {
        epoch >= self.first.load(Ordering::Acquire) && self.pending.lock().contains_key(&epoch)
    }

    /// The key groups of an operator that are to be saved whole next.
    pub(crate) fn rewrites(&self, operator: &str) -> KeyGroupSet {
        self.config.store.rewrites(operator)
    }

    /// What an operator saved at the end of a checkpoint's epoch; `rewritten` are the key groups that it saved whole.
    pub(crate) fn save(
        &self,
        worker: usize,
        epoch: u64,
        (operator, rewritten): (&str, KeyGroupSet),
        state: StateWriter,
    ) {
        let mut pending = self.pending.lock();
        let Some(checkpoint) = pending.get_mut(&epoch) else { return };
        let part = &mut checkpoint.workers[worker];
        part.saved += 1;
        part.state.push(Saved { operator: operator.to_owned(), rewritten, state });
        if part.saved == self.operators {
            self.changed.notify_all();
        }
    }

    /// Encodes and writes what a worker has saved.
    fn write(&self, epoch: u64, worker: usize, saved: Vec<Saved>) -> Result<(), String> {
        let state = saved.into_iter().filter_map(|saved| saved.encode().transpose()).collect::<Result<Vec<_>, _>>()?;
        let bundles = state.iter().flat_map(|state| &state.bundles);
        let bytes: u64 = bundles.map(|bundle| bundle.bytes.len() as u64).sum();
        self.config.store.write_state(Epoch(epoch), worker, state)?;
        if let Some(checkpoint) = self.pending.lock().get_mut(&epoch) {
            checkpoint.bytes += bytes;
            checkpoint.workers[worker].written = true;
        }
        Ok(())
    }

    /// What a worker has counted of each source up to the end of the epochs `from..to`.
    pub(crate) fn counted(&self, worker: usize, from: u64, to: u64, counts: &[SourceCounts]) {
        if to <= self.first.load(Ordering::Acquire) {
            return;
        }
        for (_, checkpoint) in self.pending.lock().range_mut(from..to) {
            checkpoint.workers[worker].counts = Some(counts.to_vec());
            self.changed.notify_all();
        }
    }

    /// All sinks hold the epochs before `done`.
    pub(crate) fn held(&self, done: u64) {
        if done <= self.first.load(Ordering::Acquire) {
            return;
        }
        for (_, checkpoint) in self.pending.lock().range_mut(..done).filter(|(_, checkpoint)| !checkpoint.held) {
            checkpoint.held = true;
            self.changed.notify_all();
        }
    }

    /// Waits until a sink may write this epoch: a run that follows this one would cut it in the same way.
    pub(crate) fn wait_cut(&self, epoch: u64, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        let Some(last) = self.cuts.lock().range(..=epoch).next_back().copied() else { return Ok(()) };
        self.config.store.wait_cut(Epoch(last), stopped)?;
        let mut cuts = self.cuts.lock();
        *cuts = cuts.split_off(&(last + 1));
        Ok(())
    }

    /// Tells the store how to find out that the run is ending.
    pub(crate) fn stop_when(&self, stopped: impl Fn() -> bool + Send + Sync + 'static) {
        if let Some(health) = self.config.store.health() {
            health.stop_when(stopped);
        }
    }

    /// Nothing more comes: what is pending is complete or never will be.
    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// The checkpoints so far.
    pub(crate) fn status(&self) -> CheckpointStatus {
        let waits_for = self.config.store.health().and_then(|health| health.waits_for());
        CheckpointStatus { waits_for, ..self.status.lock().clone() }
    }

    /// Writes and commits until [`finish`](Self::finish) or `stopped`. Sources hear of each checkpoint that they need
    /// not keep anything for any more.
    pub(crate) fn run(
        &self,
        restored: &BTreeMap<String, SourceCounts>,
        releases: &[Release],
        stopped: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let mut released = Vec::new();
        while !stopped() {
            match self.next() {
                Some(Step::Write(epoch, worker, saved)) => self.write(epoch, worker, saved)?,
                Some(Step::Commit(epoch)) => {
                    let oldest = self.commit(epoch, restored)?;
                    if oldest != released {
                        releases.iter().for_each(|release| release(&oldest));
                        released = oldest;
                    }
                }
                None if self.finished.load(Ordering::Acquire) => return Ok(()),
                None => {
                    let mut pending = self.pending.lock();
                    self.changed.wait_for(&mut pending, WAIT);
                }
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<Step> {
        let mut pending = self.pending.lock();
        let (&epoch, checkpoint) = pending.iter_mut().next()?;
        for (worker, part) in checkpoint.workers.iter_mut().enumerate() {
            if part.saved == self.operators && !part.written {
                return Some(Step::Write(epoch, worker, std::mem::take(&mut part.state)));
            }
        }
        let complete = checkpoint.held && checkpoint.workers.iter().all(|part| part.written && part.counts.is_some());
        complete.then_some(Step::Commit(epoch))
    }

    fn commit(&self, epoch: u64, restored: &BTreeMap<String, SourceCounts>) -> Result<Vec<Position>, String> {
        let (positions, counts, begun, bytes) = {
            let mut pending = self.pending.lock();
            let checkpoint = pending.get_mut(&epoch).expect("it is committed once");
            let counts = self.sum(&checkpoint.workers, restored);
            (std::mem::take(&mut checkpoint.positions), counts, checkpoint.begun, checkpoint.bytes)
        };
        let oldest = self.config.store.commit(Commit { epoch: Epoch(epoch), positions, counts })?;
        let mut status = self.status.lock();
        *status = CheckpointStatus {
            committed: status.committed + 1,
            epoch,
            at: Some(Instant::now()),
            took: begun.elapsed(),
            bytes,
            waits_for: None,
        };
        let mut pending = self.pending.lock();
        pending.remove(&epoch);
        let first = pending.keys().next().copied().unwrap_or(u64::MAX);
        self.first.store(first, Ordering::Release);
        Ok(oldest)
    }

    fn sum(&self, workers: &[Part], restored: &BTreeMap<String, SourceCounts>) -> BTreeMap<String, SourceCounts> {
        let mut counts = restored.clone();
        for part in workers.iter().filter_map(|part| part.counts.as_ref()) {
            for (source, part) in self.sources.iter().zip(part) {
                let sum = counts.entry(source.clone()).or_default();
                sum.records += part.records;
                sum.rejected += part.rejected;
            }
        }
        counts
    }
}

/// What the checkpoint thread does next.
enum Step {
    Write(u64, usize, Vec<Saved>),
    Commit(u64),
}
