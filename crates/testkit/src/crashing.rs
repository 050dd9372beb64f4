//! Runs a job that crashes again and again, and goes on from its checkpoints each time.

use crate::checkpoints::MemoryCheckpoints;
use crate::harness::{Epochs, Results, memory_tables};
use crate::memory::MemorySource;
use crate::sinks::{CollectSink, Collected};
use crate::wait::finish;
use proxima_engine::{Checkpointing, Restored, RunConfig, RunStatus, SinkNode, Topology, run};
use proxima_event::{Changes, Generation, Sink, SinkError, Version};
use proxima_view::Plan;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// The number of workers of each run, in turn.
const WORKERS: [usize; 3] = [1, 2, 4];

/// Runs a plan until its end. Before that it crashes `crashes` times, each at a random write of a random sink, and goes
/// on with another number of workers.
///
/// # Errors
/// When a run fails of anything but its crash, or hangs.
pub fn run_crashing(plan: &Plan, epochs: &Epochs, crashes: usize, seed: u64) -> Result<Results, String> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (targets, queries) = (
        sinks(&plan.targets, |target| {
            (target.name.clone(), CollectSink::new(Arc::clone(&target.schema), Some(&target.key)).1)
        }),
        sinks(&plan.queries, |query| (query.name.clone(), CollectSink::new(Arc::clone(&query.schema), None).1)),
    );
    let checkpoints = MemoryCheckpoints::default();
    let every = Duration::from_micros([0, 500, 5_000][dice.random_range(0..3)]);
    for generation in 1.. {
        let crashing = generation <= crashes;
        let left = if crashing { dice.random_range(0..1 + 2 * epochs.len()) } else { usize::MAX };
        let bomb = Bomb { left: Arc::new(AtomicUsize::new(left)), before: dice.random() };
        let mut topology = Topology::new();
        let tables = memory_tables(plan, epochs.clone(), &mut topology);
        let lowered = plan.lower(&mut topology, &tables);
        for (name, collected) in targets.iter().chain(&queries) {
            let input = lowered.targets.get(name).or_else(|| lowered.queries.get(name));
            let sink = Box::new(CrashingSink { inner: collected.sink(), bomb: bomb.clone() });
            topology.sink(SinkNode { name: name.clone(), input: *input.expect("the plan was lowered"), sink });
        }
        let config = RunConfig {
            workers: WORKERS[dice.random_range(0..WORKERS.len())],
            epochs: MemorySource::epoch_config(),
            generation: Generation(generation as u64),
            checkpoints: Some(Checkpointing { store: Arc::new(checkpoints.clone()), every, wanted: false }),
            restored: restored(&checkpoints, &mut dice),
            ..RunConfig::default()
        };
        match finish(run(topology, config).map_err(|error| error.to_string())?) {
            Ok(status) => return Ok(Results { targets, queries, status }),
            Err(error) if crashing && error.contains(CRASH) => {}
            Err(error) => return Err(format!("generation {generation}: {error}")),
        }
    }
    unreachable!("the last run does not crash")
}

fn sinks<T>(outputs: &[T], sink: impl Fn(&T) -> (String, Collected)) -> BTreeMap<String, Collected> {
    outputs.iter().map(sink).collect()
}

fn restored(checkpoints: &MemoryCheckpoints, dice: &mut ChaCha8Rng) -> Restored {
    checkpoints.crash(dice.random_range(0..4))
}

/// What the crash is called.
const CRASH: &str = "the crash that the test wants";

/// Goes off at one write, for all sinks of a run.
#[derive(Clone)]
struct Bomb {
    left: Arc<AtomicUsize>,
    /// Whether it goes off before the write or behind it.
    before: bool,
}

impl Bomb {
    fn is_off(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    fn tick(&self) {
        if self.left.load(SeqCst) != usize::MAX {
            // Two sinks at zero at the same time: both are off.
            let _ = self.left.fetch_update(SeqCst, SeqCst, |left| Some(left.saturating_sub(1)));
        }
    }
}

struct CrashingSink {
    inner: CollectSink,
    bomb: Bomb,
}

impl CrashingSink {
    fn crash() -> SinkError {
        SinkError { tried: "write to", target: "a sink".into(), reason: CRASH.into() }
    }
}

impl Sink for CrashingSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        let was_off = self.bomb.is_off();
        if was_off && self.bomb.before {
            return Err(Self::crash());
        }
        self.bomb.tick();
        self.inner.write(version, changes)?;
        if was_off { Err(Self::crash()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.flush()
    }
}

/// The status that a run ended with, without what a crash may change.
#[must_use]
pub fn counted(status: &RunStatus) -> (u64, u64) {
    (status.records(), status.rejected())
}
