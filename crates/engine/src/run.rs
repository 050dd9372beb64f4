//! The run loop: threads for sources, sinks and workers, from start to end or to the first failure.

use crate::arrivals::Place;
use crate::assemble::{Assembled, Start, assemble};
use crate::checkpoint::{Checkpointer, Checkpointing, Restored, SourceCounts};
use crate::fetch::Fetcher;
use crate::flow::EpochConfig;
use crate::intake::{EpochIntake, Item, SourceIntake};
use crate::reader::Reader;
use crate::sinks::{SinkThread, Write};
use crate::status::{Counters, RunStatus, SinkCounters, SourceCounters};
use crate::topology::{Graph, SourceNode, Topology};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;
use proxima_event::{Chunk, Epoch, Generation, Rejected, RejectedWrite, Release, Sink};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use timely::communication::WorkerGuards;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::worker::Worker;

/// A worker that has nothing to do looks up this often, beside being woken.
const IDLE: Duration = Duration::from_millis(20);

/// Takes the records of an epoch that could not be decoded.
pub type KeepRejected = Arc<dyn Fn(Epoch, &[Rejected]) + Send + Sync>;

/// Takes the writes that the outside has refused.
pub type KeepRejectedWrites = Arc<dyn Fn(&[RejectedWrite]) + Send + Sync>;

/// How to run a topology.
#[derive(Clone)]
pub struct RunConfig {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// How epochs are cut.
    pub epochs: EpochConfig,
    /// This run's number; larger than that of any run before on the same stores.
    pub generation: Generation,
    /// Where rejected records go. They are counted in any case.
    pub rejected: KeepRejected,
    /// Where refused writes go. They are counted in any case.
    pub rejected_writes: KeepRejectedWrites,
    /// How checkpoints are made, if they are.
    pub checkpoints: Option<Checkpointing>,
    /// What the run goes on from.
    pub restored: Restored,
}

impl Default for RunConfig {
    /// One worker, the default epochs, rejected records only counted, no checkpoints.
    fn default() -> Self {
        Self {
            workers: 1,
            epochs: EpochConfig::default(),
            generation: Generation::default(),
            rejected: Arc::new(|_, _| {}),
            rejected_writes: Arc::new(|_| {}),
            checkpoints: None,
            restored: Restored::default(),
        }
    }
}

/// Why a run ended early.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum RunError {
    /// A source or sink gave up, or an invariant broke.
    #[error("{0}")]
    Failed(String),
    /// [`RunHandle::stop`] was called.
    #[error("stopped")]
    Stopped,
}

/// A run in progress.
pub struct RunHandle {
    counters: Arc<Counters>,
    sources: Vec<JoinHandle<()>>,
    sinks: Vec<JoinHandle<()>>,
    workers: WorkerGuards<()>,
    checkpoints: Option<JoinHandle<()>>,
    /// Closed when the last worker and the last sink have ended: nothing is ever sent.
    ended: Receiver<Infallible>,
}

/// Held by a thread as long as the run is not over without it.
type Alive = Sender<Infallible>;

/// Looks at a run, and stops it, from any thread.
#[derive(Clone)]
pub struct RunControl {
    counters: Arc<Counters>,
}

impl RunControl {
    /// The run as it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.counters.snapshot()
    }

    /// Whether the results are again as new as the run before left them: the epochs behind the checkpoint that it goes on
    /// from are done once more. A sink that its server does not let go on is not waited for.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        let waits = |sink: &Arc<SinkCounters>| sink.health.as_ref().is_some_and(|health| health.waits_for().is_some());
        self.counters.replayed.is_none_or(|last| self.counters.intake.epochs().1 > last)
            || self.counters.sinks.iter().any(|(_, sink)| waits(sink))
    }

    /// What the run failed of, if it did.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.counters.intake.error()
    }

    /// Whether every worker has taken over what the checkpoint holds, if the run goes on from one.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.counters.loaded.load(Relaxed) == self.counters.stats.len()
    }

    /// Whether the run ends without finishing what is on its way.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.counters.intake.is_stopped()
    }

    /// Asks for a checkpoint, though nothing comes: operators may hold what no record has brought.
    pub fn want_checkpoint(&self) {
        if let Some(checkpointer) = self.counters.intake.checkpointer() {
            checkpointer.want();
        }
    }

    /// Ends the run as soon as what was taken in is written and in a checkpoint. That may take its time:
    /// [`stop`](Self::stop) cuts it short.
    pub fn close(&self) {
        self.counters.intake.close();
    }

    /// Ends the run without finishing what is on its way. Sinks keep what they have acknowledged.
    pub fn stop(&self) {
        self.counters.intake.stop();
    }
}

impl RunHandle {
    /// A handle for other threads.
    #[must_use]
    pub fn control(&self) -> RunControl {
        RunControl { counters: Arc::clone(&self.counters) }
    }

    /// Waits until every worker and every sink has ended, but not longer than this. Says whether they have.
    #[must_use]
    pub fn ends_within(&self, patience: Duration) -> bool {
        matches!(self.ended.recv_timeout(patience), Err(RecvTimeoutError::Disconnected))
    }

    /// Waits until every bounded source is read and every sink holds the results, or the run is stopped.
    ///
    /// # Errors
    /// When the run failed or was stopped.
    pub fn wait(self) -> Result<RunStatus, RunError> {
        let intake = &self.counters.intake;
        for worker in self.workers.join() {
            if let Err(panic) = worker {
                intake.fail(format!("a worker failed: {panic}"));
            }
        }
        for thread in self.sources.into_iter().chain(self.sinks) {
            if thread.join().is_err() {
                intake.fail("a connector failed: see the log above".to_owned());
            }
        }
        if let (Some(checkpointer), Some(thread)) = (intake.checkpointer(), self.checkpoints) {
            checkpointer.finish();
            thread.join().expect("it catches what panics in it");
        }
        match intake.error() {
            Some(error) => Err(RunError::Failed(error)),
            None if intake.is_stopped() => Err(RunError::Stopped),
            None => Ok(self.counters.snapshot()),
        }
    }
}

/// Starts a topology: its sources, sinks and workers, each on threads of their own.
///
/// # Errors
/// When the workers cannot be started.
pub fn run(topology: Topology, config: RunConfig) -> Result<RunHandle, RunError> {
    let Topology { sources, graph, sinks, .. } = topology;
    let workers = config.workers.max(1);
    let checkpointer = config.checkpoints.clone().map(|checkpoints| {
        let names = sources.iter().map(|source| source.name.to_string()).collect();
        Checkpointer::new(checkpoints, workers, graph.operator_names().count(), names, &config.restored)
    });
    let intake = EpochIntake::new(config.epochs.clone(), workers, &sources, &config.restored, checkpointer);
    let intake = Arc::new(intake);
    let counters = Arc::new(count(&graph, &sources, &sinks, intake, &config.restored, workers));
    let (alive, ended) = bounded(0);
    let (queues, sinks) = start_sinks(sinks, &config, &counters, &alive);
    let releases = sources.iter().filter_map(|node| node.source.release()).collect();
    let checkpoints = start_checkpoints(&config.restored, releases, &counters);
    let workers = start_workers(graph, config, Arc::clone(&counters), (queues, alive), workers)?;
    let sources = start_sources(sources, &counters);
    Ok(RunHandle { counters, sources, sinks, workers, checkpoints, ended })
}

/// Starts the thread that writes and commits checkpoints, if the run makes any.
fn start_checkpoints(restored: &Restored, releases: Vec<Release>, counters: &Arc<Counters>) -> Option<JoinHandle<()>> {
    let intake = Arc::clone(&counters.intake);
    counters.intake.checkpointer()?.stop_when(move || intake.is_stopped());
    let counts = restored.checkpoint.as_ref().map(|checkpoint| checkpoint.counts.clone()).unwrap_or_default();
    let intake = Arc::clone(&counters.intake);
    Some(spawn("checkpoints".to_owned(), move || {
        let checkpointer = intake.checkpointer().expect("it was there when the thread was started");
        // What operators leave for later is done here: if that panics nothing would be committed any more.
        let run = AssertUnwindSafe(|| checkpointer.run(&counts, &releases, &|| intake.is_stopped()));
        let outcome = catch_unwind(run).unwrap_or_else(|_| Err("checkpoints failed: see the log above".to_owned()));
        if let Err(error) = outcome
            && !intake.is_stopped()
        {
            intake.fail(error);
        }
    }))
}

fn count(
    graph: &Graph,
    sources: &[SourceNode],
    sinks: &[Box<dyn Sink>],
    intake: Arc<EpochIntake>,
    restored: &Restored,
    workers: usize,
) -> Counters {
    let operators: Vec<_> = graph.operator_names().collect();
    let counted = restored.checkpoint.as_ref().map(|checkpoint| &checkpoint.counts);
    let source = |source: &SourceNode| {
        let before = counted.and_then(|counts| counts.get(&*source.name)).copied().unwrap_or_default();
        (Arc::clone(&source.name), SourceCounters::starting(before, source.source.health()))
    };
    let stats = (0..workers).map(|_| Mutex::new(vec![crate::OperatorStats::default(); operators.len()])).collect();
    Counters {
        intake,
        sources: sources.iter().map(source).collect(),
        sinks: graph.sinks.iter().zip(sinks).map(|((name, _), sink)| (name.clone(), sink_counters(&**sink))).collect(),
        operators,
        stats,
        loaded: AtomicUsize::new(0),
        replayed: restored.cuts.last().map(|cut| cut.epoch.0),
    }
}

fn sink_counters(sink: &dyn Sink) -> Arc<SinkCounters> {
    Arc::new(SinkCounters { health: sink.health(), ..SinkCounters::default() })
}

fn start_sinks(
    sinks: Vec<Box<dyn Sink>>,
    config: &RunConfig,
    counters: &Arc<Counters>,
    alive: &Alive,
) -> (Vec<Sender<Write>>, Vec<JoinHandle<()>>) {
    let mut queues = Vec::new();
    let mut threads = Vec::new();
    for (sink, (name, sink_counters)) in sinks.into_iter().zip(&counters.sinks) {
        let (queue, receiver) = unbounded();
        let (generation, sink_counters) = (config.generation, Arc::clone(sink_counters));
        let intake = Arc::clone(&counters.intake);
        if let Some(health) = &sink_counters.health {
            let intake = Arc::clone(&intake);
            health.stop_when(move || intake.is_stopped());
        }
        let rejected = Arc::clone(&config.rejected_writes);
        let thread = SinkThread { sink, queue: receiver, generation, counters: sink_counters, rejected };
        queues.push(queue);
        let alive = alive.clone();
        threads.push(spawn(format!("sink {name}"), move || {
            let _alive = alive;
            // One that waits for its server gives up when the run is told to end, which is no failure of its own.
            if let Err(error) = thread.run(&intake)
                && !intake.is_stopped()
            {
                intake.fail(error.to_string());
            }
        }));
    }
    (queues, threads)
}

fn start_sources(sources: Vec<SourceNode>, counters: &Arc<Counters>) -> Vec<JoinHandle<()>> {
    let start = |(index, node): (usize, SourceNode)| {
        let intake = Arc::clone(&counters.intake);
        if let Some(health) = &counters.sources[index].1.health {
            let intake = Arc::clone(&intake);
            health.stop_when(move || intake.is_ending());
        }
        spawn(format!("source {}", node.name), move || {
            let own = Arc::new(SourceIntake { intake: Arc::clone(&intake), source: index });
            match catch_unwind(AssertUnwindSafe(|| node.source.run(own))) {
                Ok(Ok(())) => intake.source_ended(index),
                Ok(Err(error)) => intake.fail(format!("source {}: {error}", node.name)),
                Err(_) => intake.fail(format!("source {} failed: see the log above", node.name)),
            }
        })
    };
    sources.into_iter().enumerate().map(start).collect()
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name).spawn(work).expect("the system has room for a thread")
}

fn start_workers(
    graph: Graph,
    config: RunConfig,
    counters: Arc<Counters>,
    held: (Vec<Sender<Write>>, Alive),
    workers: usize,
) -> Result<WorkerGuards<()>, RunError> {
    let communication = match workers {
        1 => timely::CommunicationConfig::Thread,
        more => timely::CommunicationConfig::Process(more),
    };
    let timely_config = timely::Config { communication, worker: timely::WorkerConfig::default() };
    // Each worker takes its own queue ends, so that the sink threads see the last one go.
    let held: Vec<_> = std::iter::repeat_n(held, workers).map(|held| Mutex::new(Some(held))).collect();
    timely::execute(timely_config, move |worker| {
        let (queues, _alive) = held[worker.index()].lock().take().expect("each worker starts once");
        let dataflow = worker.next_dataflow_index();
        // Timely cannot go on without a worker that panicked; the others are told to stop instead of waiting for it.
        let drive = AssertUnwindSafe(|| WorkerLoop::new(worker, &graph, queues, &config, &counters).run(worker));
        if catch_unwind(drive).is_err() {
            counters.intake.fail("an invariant of the dataflow broke: see the log above".to_owned());
        }
        worker.drop_dataflow(dataflow);
    })
    .map_err(RunError::Failed)
}

struct WorkerLoop<'a> {
    index: usize,
    fetcher: Fetcher,
    readers: Vec<Reader>,
    probe: ProbeHandle<u64>,
    /// The epoch that the tables are in.
    epoch: u64,
    /// What this worker has decoded of each source.
    fed: Vec<SourceCounts>,
    counters: &'a Counters,
    rejected: &'a KeepRejected,
}

impl<'a> WorkerLoop<'a> {
    fn new(
        worker: &mut Worker,
        graph: &Graph,
        queues: Vec<Sender<Write>>,
        config: &'a RunConfig,
        counters: &'a Arc<Counters>,
    ) -> Self {
        counters.intake.register_worker(worker.index());
        let start = Start { epoch: counters.intake.first(), state: config.restored.state.clone() };
        let Assembled { inputs, probe } = worker.dataflow(|scope| assemble(scope, graph, &queues, counters, &start));
        counters.loaded.fetch_add(1, Relaxed);
        let (fetcher, readers) = (Fetcher::default(), Reader::all(graph, inputs));
        let fed = vec![SourceCounts::default(); counters.sources.len()];
        let mut driver = Self {
            index: worker.index(),
            fetcher,
            readers,
            probe,
            epoch: 0,
            fed,
            counters,
            rejected: &config.rejected,
        };
        driver.advance_to(start.epoch);
        driver
    }

    fn run(mut self, worker: &mut Worker) {
        let intake = &self.counters.intake;
        while !intake.is_stopped() {
            if self.index == 0 {
                intake.progress(self.done());
            }
            self.release();
            let work = intake.take(self.index);
            let busy = work.item.is_some();
            if let Some(item) = work.item {
                self.advance_to(item.epoch);
                self.take_in(item);
            }
            self.advance_to(work.open);
            if work.ended && !self.readers.iter().any(Reader::is_waiting) {
                break;
            }
            if busy {
                worker.step();
            } else {
                worker.step_or_park(Some(intake.due_in().clamp(Duration::from_millis(1), IDLE)));
            }
        }
        self.readers.clear();
        while !intake.is_stopped() && !self.probe.done() {
            if self.index == 0 {
                intake.progress(self.done());
            }
            worker.step_or_park(Some(IDLE));
        }
        if self.index == 0 && !intake.is_stopped() {
            intake.progress(intake.last() + 1);
        }
    }

    /// The first epoch that is not through all sinks on all workers.
    fn done(&self) -> u64 {
        self.probe.with_frontier(|frontier| frontier.first().copied().unwrap_or(u64::MAX))
    }

    fn advance_to(&mut self, epoch: u64) {
        if epoch <= self.epoch {
            return;
        }
        if let Some(checkpointer) = self.counters.intake.checkpointer() {
            checkpointer.counted(self.index, self.epoch, epoch, &self.fed);
        }
        self.epoch = epoch;
        self.readers.iter_mut().for_each(|reader| reader.advance_to(epoch));
    }

    /// Reads a chunk if its source did not, and feeds it.
    fn take_in(&mut self, Item { epoch, source, place, chunk }: Item) {
        let estimate = chunk.records;
        match self.fetcher.fetch(chunk) {
            Ok(chunk) => {
                if chunk.records != estimate {
                    self.counters.intake.counted(epoch, &chunk.partition, estimate, chunk.records);
                }
                self.feed(epoch, (source, place), &chunk);
            }
            Err(error) => self.counters.intake.fail(format!("source {}: {error}", self.counters.sources[source].0)),
        }
    }

    /// Sends the rows that have waited for what comes before them, where that is known by now.
    fn release(&mut self) {
        let arrivals = &self.counters.intake.arrivals;
        self.readers.iter_mut().for_each(|reader| reader.release(arrivals));
    }

    fn feed(&mut self, epoch: u64, (source, place): (usize, Place), chunk: &Chunk) {
        let counters = &self.counters.sources[source].1;
        for reader in self.readers.iter_mut().filter(|reader| reader.source == source) {
            let (left_out, others) = reader.feed(chunk, place, &self.counters.intake.arrivals);
            if others {
                self.counters.intake.wake_workers();
            }
            counters.skipped.fetch_add(left_out.skipped, Relaxed);
            if !left_out.rejected.is_empty() {
                counters.rejected.fetch_add(left_out.rejected.len() as u64, Relaxed);
                self.fed[source].rejected += left_out.rejected.len() as u64;
                (self.rejected)(Epoch(epoch), &left_out.rejected);
            }
        }
        counters.records.fetch_add(chunk.records as u64, Relaxed);
        self.fed[source].records += chunk.records as u64;
    }
}
