//! Where sources meet workers: a bounded queue for each worker, and the one place where epochs are cut.
//!
//! A chunk gets its epoch here, under one lock, in the order of its partition. So the chunks of the epochs up to `e`
//! are a prefix of every partition, whichever worker they went to: that is what a checkpoint needs to resume from.

use crate::arrivals::{Arrivals, Place};
use crate::checkpoint::{Checkpointer, Cut, Restored};
use crate::flow::{self, EpochConfig, EpochFacts};
use crate::replay::Replay;
use crate::topology::SourceNode;
use parking_lot::{Condvar, Mutex, MutexGuard};
use proxima_event::{Chunk, Intake, PartitionId, Payload, Position, Resume, Stopped};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Chunks that wait for one worker at the most. Two keep it busy while the source reads the next.
const QUEUED_MAX: usize = 3;
/// The same for chunks that the worker reads itself, which hold nothing yet: where all cores are busy, each waking of a
/// source takes a worker off its core, so it shall have something to do for a while.
const UNREAD_MAX: usize = 8;
/// A worker wakes waiting sources when it has so many left.
const QUEUED_WAKE: usize = 1;
/// How often a waiting source looks whether it should stop.
const WAIT: Duration = Duration::from_millis(50);

/// A source that waits so long waits for something: shorter is how sources and workers keep step.
const NOTICED: Duration = Duration::from_secs(1);

/// Why the records of a source are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeldBack {
    /// This dimension is read first.
    Dimension(Arc<str>),
    /// So many epochs are on their way, and no more may be.
    Epochs(u64),
}

/// How far a partition has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The position behind the last record that was taken in.
    pub position: Position,
    /// The end of the partition, as far as the source knows it.
    pub end: Option<u64>,
    /// Records taken in.
    pub records: u64,
    /// Where it was opened, until it moves.
    pub(crate) opened: Option<Position>,
    /// Whether it moved since the last cut.
    pub(crate) moved: bool,
    /// The lane that its chunks are numbered in.
    lane: usize,
}

/// A chunk on its way to a worker.
pub(crate) struct Item {
    pub(crate) epoch: u64,
    pub(crate) source: usize,
    pub(crate) place: Place,
    pub(crate) chunk: Chunk,
}

/// What a worker does next.
pub(crate) struct Work {
    pub(crate) item: Option<Item>,
    /// No chunk of an epoch before this one will come to this worker, but for `item`.
    pub(crate) open: u64,
    /// No further chunk will come at all once `open` is reached.
    pub(crate) ended: bool,
}

struct SourceState {
    name: Arc<str>,
    dimension: bool,
    /// The lane of all its partitions, if it reads them one after another.
    lane: Option<usize>,
    caught_up: bool,
    ended: bool,
    resume: Resume,
    /// Whether it has announced all partitions that it goes on with.
    resumed: bool,
    /// Since when its next chunk is not taken, if it waits.
    waits_since: Option<Instant>,
    /// How many chunks have come.
    chunks: u64,
}

struct State {
    queues: Vec<VecDeque<Item>>,
    /// The worker that gets the next chunk when all have as much to do.
    turn: usize,
    open: u64,
    done: u64,
    records: usize,
    opened_at: Instant,
    sources: Vec<SourceState>,
    partitions: BTreeMap<Arc<PartitionId>, PartitionStatus>,
    /// How many chunks have come in each lane.
    lanes: Vec<u64>,
    /// What the checkpoint holds that the run goes on from.
    restored: BTreeMap<Arc<PartitionId>, Position>,
    /// The cuts of an earlier run that are still to be made again.
    replay: Option<Replay>,
    ended: bool,
    error: Option<String>,
}

/// The shared intake of a process.
pub(crate) struct EpochIntake {
    config: EpochConfig,
    /// The epoch that the run begins with.
    first: u64,
    state: Mutex<State>,
    room: Condvar,
    workers: Mutex<Vec<Option<Thread>>>,
    stopped: AtomicBool,
    closing: AtomicBool,
    /// The last epoch, once it is known.
    last: AtomicU64,
    checkpointer: Option<Checkpointer>,
    /// What the times of the chunks were, once they are decoded.
    pub(crate) arrivals: Arrivals,
}

impl EpochIntake {
    /// An intake for so many workers and sources.
    pub(crate) fn new(
        config: EpochConfig,
        workers: usize,
        sources: &[SourceNode],
        restored: &Restored,
        checkpointer: Option<Checkpointer>,
    ) -> Self {
        let mut lanes = Vec::new();
        let source = |node: &SourceNode| SourceState {
            name: Arc::clone(&node.name),
            dimension: node.dimension,
            lane: node.source.is_sequence().then(|| new_lane(&mut lanes)),
            caught_up: false,
            ended: false,
            resume: resume_of(&node.name, restored),
            resumed: false,
            waits_since: None,
            chunks: 0,
        };
        let sources: Vec<_> = sources.iter().map(source).collect();
        let replay = Replay::new(&restored.cuts, sources.len());
        let first = replay.as_ref().map_or(restored.next_epoch().0, Replay::epoch);
        let state = State {
            queues: (0..workers).map(|_| VecDeque::new()).collect(),
            turn: 0,
            open: first,
            done: first,
            records: 0,
            opened_at: Instant::now(),
            replay,
            sources,
            partitions: BTreeMap::new(),
            lanes,
            restored: restored
                .positions()
                .map(|position| (Arc::clone(&position.partition), position.clone()))
                .collect(),
            ended: false,
            error: None,
        };
        Self {
            config,
            first,
            state: Mutex::new(state),
            room: Condvar::new(),
            workers: Mutex::new(vec![None; workers]),
            stopped: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            last: AtomicU64::new(u64::MAX),
            checkpointer,
            arrivals: Arrivals::default(),
        }
    }

    /// The checkpoints of the run, if it makes any.
    pub(crate) fn checkpointer(&self) -> Option<&Checkpointer> {
        self.checkpointer.as_ref()
    }

    /// The epoch that the run begins with.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The last epoch, or `u64::MAX` while more may come.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// Makes the calling thread the one that is woken when worker `index` has work.
    pub(crate) fn register_worker(&self, index: usize) {
        self.workers.lock()[index] = Some(std::thread::current());
    }

    /// Takes the next chunk for a worker, and learns how far its inputs may advance.
    pub(crate) fn take(&self, worker: usize) -> Work {
        let mut state = self.state.lock();
        let item = state.queues[worker].pop_front();
        let open = state.queues[worker].front().map_or(state.open, |next| next.epoch);
        let ended = state.ended && state.queues[worker].is_empty();
        // Not for each chunk: a source that is woken offers several.
        if item.is_some() && state.queues[worker].len() <= QUEUED_WAKE {
            self.room.notify_all();
        }
        Work { item, open, ended }
    }

    /// Tells that the sinks hold every epoch before `done`, and closes the open epoch when it is due.
    pub(crate) fn progress(&self, done: u64) {
        let mut state = self.state.lock();
        if done > state.done {
            state.done = done;
            self.room.notify_all();
            if let Some(checkpointer) = &self.checkpointer {
                checkpointer.held(done);
            }
        }
        self.close_if_due(state);
    }

    /// How long until the open epoch is due by time.
    pub(crate) fn due_in(&self) -> Duration {
        self.config.interval.saturating_sub(self.state.lock().opened_at.elapsed())
    }

    /// The open epoch and the first one that is not done.
    pub(crate) fn epochs(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.open, state.done)
    }

    /// How far each partition has been read.
    pub(crate) fn partitions(&self) -> Vec<PartitionStatus> {
        self.state.lock().partitions.values().cloned().collect()
    }

    /// For each source why its records are not taken, if that has been so for some time.
    pub(crate) fn holds_back(&self) -> Vec<Option<HeldBack>> {
        let state = self.state.lock();
        let dimension = state.sources.iter().find(|source| source.dimension && !source.caught_up);
        let why = |source: &SourceState| {
            source.waits_since.filter(|since| since.elapsed() >= NOTICED)?;
            Some(match dimension {
                Some(dimension) if !source.dimension => HeldBack::Dimension(Arc::clone(&dimension.name)),
                _ => HeldBack::Epochs(state.open - state.done),
            })
        };
        state.sources.iter().map(why).collect()
    }

    /// Chunks and records that are queued for workers now.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let state = self.state.lock();
        let chunks = state.queues.iter().map(VecDeque::len).sum();
        (chunks, state.queues.iter().flatten().map(|item| item.chunk.records).sum())
    }

    /// Ends the run now, without finishing what is on its way.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.room.notify_all();
        self.wake_workers();
    }

    /// Takes in nothing more, and ends the run when all that came is written and in a checkpoint. A run that still makes the
    /// cuts of an earlier one again has nothing of its own to finish, and ends now.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let mut state = self.state.lock();
        if state.replay.is_some() {
            drop(state);
            return self.stop();
        }
        for source in &mut state.sources {
            (source.ended, source.caught_up) = (true, true);
        }
        self.room.notify_all();
        self.close_if_due(state);
    }

    /// Whether nothing more is taken in, though the sources have more.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether sources are to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_stopped() || self.is_closing()
    }

    /// Whether the run was told to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends the run because something failed. The first error stands.
    pub(crate) fn fail(&self, error: String) {
        self.state.lock().error.get_or_insert(error);
        self.stop();
    }

    /// The error that ended the run, if one did.
    pub(crate) fn error(&self) -> Option<String> {
        self.state.lock().error.clone()
    }

    /// A source has returned: nothing more comes from it.
    pub(crate) fn source_ended(&self, source: usize) {
        let mut state = self.state.lock();
        state.sources[source].ended = true;
        state.sources[source].caught_up = true;
        if let Some(replay) = &mut state.replay {
            replay.ended(source);
        }
        self.room.notify_all();
        self.close_if_due(state);
    }

    /// The records of a chunk were counted, which had only been estimated when it was taken in.
    pub(crate) fn counted(&self, epoch: u64, partition: &PartitionId, estimate: usize, records: usize) {
        let mut state = self.state.lock();
        if state.open == epoch {
            state.records = (state.records + records).saturating_sub(estimate);
        }
        if let Some(status) = state.partitions.get_mut(partition) {
            status.records = (status.records + records as u64).saturating_sub(estimate as u64);
        }
    }

    fn caught_up(&self, source: usize) {
        self.state.lock().sources[source].caught_up = true;
        self.room.notify_all();
    }

    fn offer(&self, source: usize, chunk: Chunk) -> Result<(), Stopped> {
        let mut state = self.state.lock();
        let worker = loop {
            if self.is_ending() {
                return Err(Stopped);
            }
            if let Some(worker) = self.place(&mut state, source, &chunk) {
                state.sources[source].waits_since = None;
                break worker;
            }
            state.sources[source].waits_since.get_or_insert_with(Instant::now);
            self.room.wait_for(&mut state, WAIT);
        };
        let status = state.partitions.get_mut(&chunk.partition).expect("a partition is opened before its chunks");
        status.position.offset = chunk.end;
        status.moved = true;
        status.records += chunk.records as u64;
        let lane = status.lane;
        state.records += chunk.records;
        let place = Place { lane, chunk: state.lanes[lane] };
        state.lanes[lane] += 1;
        state.sources[source].resumed = true;
        let order = state.sources[source].chunks;
        state.sources[source].chunks += 1;
        let item = Item { epoch: state.open, source, place, chunk: Chunk { order, ..chunk } };
        state.queues[worker].push_back(item);
        self.close_if_due(state);
        self.wake(worker);
        Ok(())
    }

    /// The worker that takes a chunk now, or `None` while its source has to wait.
    fn place(&self, state: &mut State, source: usize, chunk: &Chunk) -> Option<usize> {
        if let Some(replay) = &state.replay {
            // What an epoch held is known: it takes that, however much it is, and nothing else.
            return replay.takes(source).then(|| room(state, chunk)).flatten();
        }
        let dimensions_ready = state.sources.iter().all(|source| !source.dimension || source.caught_up);
        if !state.sources[source].dimension && !dimensions_ready {
            return None;
        }
        if !flow::takes(&self.config, facts(state), chunk.records) {
            // Closing early keeps the bound on an epoch's records; it needs the same leave as any close.
            let full = EpochFacts { records: self.config.records, ..facts(state) };
            if !flow::closes(&self.config, full) {
                return None;
            }
            self.cut(state);
        }
        room(state, chunk)
    }

    /// Closes the open epoch when it is due, and wakes the workers for its end. Gives back the lock first.
    fn close_if_due(&self, mut state: MutexGuard<'_, State>) {
        let mut closed = false;
        // A run that is told to end cuts no more: what its sources did not offer is missing.
        while !state.ended && !self.is_stopped() && self.is_due(&state) {
            self.cut(&mut state);
            closed = true;
        }
        drop(state);
        if closed {
            self.room.notify_all();
            self.wake_workers();
        }
    }

    fn is_due(&self, state: &State) -> bool {
        match &state.replay {
            Some(replay) => replay.is_complete() && flow::may_close(&self.config, facts(state)),
            None => state.sources.iter().all(|source| source.ended) || flow::closes(&self.config, facts(state)),
        }
    }

    /// Ends the open epoch and opens the next.
    fn cut(&self, state: &mut State) {
        let epoch = state.open;
        if let Some(replay) = state.replay.take() {
            match replay.closed(&state.partitions) {
                Ok(rest) => state.replay = rest,
                Err(error) => {
                    // The epoch stays open: a cut that is wrong must not be noted, or the next run would follow it.
                    state.error.get_or_insert(error);
                    self.stopped.store(true, Ordering::Release);
                    return;
                }
            }
        }
        if state.replay.is_none() && state.sources.iter().all(|source| source.ended) {
            self.last.store(epoch, Ordering::Release);
            state.ended = true;
        }
        let moved: Vec<_> = state.partitions.values_mut().flat_map(PartitionStatus::take_moves).collect();
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.cut(epoch, moved, state.ended, || state.positions());
        }
        state.open = state.replay.as_ref().map_or(epoch + 1, Replay::epoch);
        state.records = 0;
        state.opened_at = Instant::now();
    }

    fn wake(&self, worker: usize) {
        if let Some(thread) = &self.workers.lock()[worker] {
            thread.unpark();
        }
    }

    /// Wakes all workers: one of them may have what others wait for.
    pub(crate) fn wake_workers(&self) {
        for thread in self.workers.lock().iter().flatten() {
            thread.unpark();
        }
    }
}

impl State {
    /// Where all partitions stand; those of a source that still announces them, where the checkpoint left them. (Its files may
    /// have one another's names since.)
    fn positions(&self) -> Vec<Position> {
        let announcing = |source: &&SourceState| !source.resumed;
        let announcing: Vec<&str> = self.sources.iter().filter(announcing).map(|source| &*source.name).collect();
        let is_left = |position: &&Position| announcing.contains(&&*position.partition.source);
        let restored = self.restored.values().filter(is_left);
        let standing = self.partitions.values().map(|status| &status.position);
        let standing = standing.filter(|it| !(is_left(it) && self.restored.contains_key(&it.partition)));
        standing.chain(restored).cloned().collect()
    }
}

fn new_lane(lanes: &mut Vec<u64>) -> usize {
    lanes.push(0);
    lanes.len() - 1
}

fn facts(state: &State) -> EpochFacts {
    EpochFacts { open: state.open, done: state.done, records: state.records, age: state.opened_at.elapsed() }
}

/// The worker with the fewest chunks, if it takes one more.
fn room(state: &mut State, chunk: &Chunk) -> Option<usize> {
    let max = if matches!(chunk.payload, Payload::Unread { .. }) { UNREAD_MAX } else { QUEUED_MAX };
    let workers = state.queues.len();
    let worker = (0..workers).map(|i| (state.turn + i) % workers).min_by_key(|&w| state.queues[w].len())?;
    if state.queues[worker].len() >= max {
        return None;
    }
    state.turn = (worker + 1) % workers;
    Some(worker)
}

/// What of an earlier run concerns one source.
fn resume_of(source: &str, restored: &Restored) -> Resume {
    let is_own = |position: &&Position| &*position.partition.source == source;
    let cut = |cut: &Cut| cut.positions.iter().filter(is_own).cloned().collect();
    Resume {
        positions: restored.positions().filter(is_own).cloned().collect(),
        cuts: restored.cuts.iter().map(cut).collect(),
    }
}

impl PartitionStatus {
    /// Where it began and where it stands, if it moved since the last cut.
    fn take_moves(&mut self) -> impl Iterator<Item = Position> {
        let moved = std::mem::take(&mut self.moved);
        let begin = if moved { self.opened.take() } else { None };
        begin.into_iter().chain(moved.then(|| self.position.clone()))
    }
}

/// The intake as one source sees it.
pub(crate) struct SourceIntake {
    pub(crate) intake: Arc<EpochIntake>,
    pub(crate) source: usize,
}

impl Intake for SourceIntake {
    fn resume(&self) -> Resume {
        std::mem::take(&mut self.intake.state.lock().sources[self.source].resume)
    }

    fn cut_replayed(&self) {
        let mut state = self.intake.state.lock();
        if let Some(replay) = &mut state.replay {
            replay.replayed(self.source);
        }
        self.intake.close_if_due(state);
    }

    fn open(&self, position: Position) {
        let mut state = self.intake.state.lock();
        let state = &mut *state;
        match state.partitions.get_mut(&position.partition) {
            // Announced again: the file has another identity by now, or is another one. What was counted stays.
            Some(status) => status.position = position,
            None => {
                let opened = (!state.restored.contains_key(&position.partition)).then(|| position.clone());
                let lane = state.sources[self.source].lane.unwrap_or_else(|| new_lane(&mut state.lanes));
                let status = PartitionStatus { position, end: None, records: 0, opened, moved: false, lane };
                state.partitions.insert(Arc::clone(&status.position.partition), status);
            }
        }
    }

    fn resumed(&self) {
        self.intake.state.lock().sources[self.source].resumed = true;
    }

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        self.intake.offer(self.source, chunk)
    }

    fn end_known(&self, partition: &PartitionId, offset: u64) {
        if let Some(status) = self.intake.state.lock().partitions.get_mut(partition) {
            status.end = Some(offset);
        }
    }

    fn caught_up(&self, source: &str) {
        debug_assert_eq!(&*self.intake.state.lock().sources[self.source].name, source, "a source speaks for itself");
        self.intake.caught_up(self.source);
    }

    fn stopped(&self) -> bool {
        self.intake.is_ending()
    }

    fn want_checkpoint(&self) {
        if let Some(checkpointer) = &self.intake.checkpointer {
            checkpointer.want();
        }
    }

    fn records_max(&self) -> usize {
        self.intake.config.records
    }
}
