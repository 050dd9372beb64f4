//! What a run tells about itself, for the progress line, `/v1/status` and tests.

use crate::OperatorStats;
use crate::checkpoint::{CheckpointStatus, Checkpointer, SourceCounts};
use crate::intake::{EpochIntake, HeldBack, PartitionStatus};
use parking_lot::Mutex;
use proxima_event::Health;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counters of one source.
#[derive(Debug, Default)]
pub(crate) struct SourceCounters {
    pub(crate) records: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) health: Option<Health>,
}

impl SourceCounters {
    /// Counters that go on from those of an earlier run.
    pub(crate) fn starting(before: SourceCounts, health: Option<Health>) -> Self {
        Self { records: before.records.into(), rejected: before.rejected.into(), health, ..Self::default() }
    }
}

/// Counters of one sink.
#[derive(Debug, Default)]
pub(crate) struct SinkCounters {
    /// Rows that the workers have handed over.
    pub(crate) given: AtomicU64,
    /// Rows that it holds.
    pub(crate) held: AtomicU64,
    /// Rows written.
    pub(crate) rows: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) epochs: AtomicU64,
    pub(crate) health: Option<Health>,
}

/// The counters that workers, sources and sinks keep.
pub(crate) struct Counters {
    pub(crate) intake: Arc<EpochIntake>,
    pub(crate) sources: Vec<(Arc<str>, SourceCounters)>,
    pub(crate) sinks: Vec<(String, Arc<SinkCounters>)>,
    pub(crate) operators: Vec<String>,
    /// For each worker the stats of each operator.
    pub(crate) stats: Vec<Mutex<Vec<OperatorStats>>>,
    /// How many workers have taken over their state.
    pub(crate) loaded: AtomicUsize,
    /// The last epoch that an earlier run cut behind the checkpoint.
    pub(crate) replayed: Option<u64>,
}

/// A source, as status shows it.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its name in the job.
    pub name: Arc<str>,
    /// Records decoded, rejected ones included.
    pub records: u64,
    /// Records that could not be decoded.
    pub rejected: u64,
    /// Records of tables that the job does not read, schema changes, marks of transactions.
    pub skipped: u64,
    /// How far each partition has been read.
    pub partitions: Vec<PartitionStatus>,
    /// What it waits for: the outside, a dimension that is read first, sinks that are behind.
    pub waits_for: Option<String>,
}

/// A sink, as status shows it.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// The target's name.
    pub name: String,
    /// Rows handed to it: upserts and deletes.
    pub rows: u64,
    /// How often it made its writes visible.
    pub flushes: u64,
    /// Writes that the outside has refused.
    pub rejected: u64,
    /// Every epoch before this one is held by it, on every worker.
    pub epochs: u64,
    /// Rows handed to it that it does not hold yet.
    pub in_flight: u64,
    /// How often the outside did not take something, and it was tried again.
    pub retries: u64,
    /// What it waits for, if something outside does not take its writes.
    pub waits_for: Option<String>,
    /// What it waited for last, also when it goes on.
    pub last_error: Option<String>,
}

/// An operator, as status shows it: the sums over all workers.
#[derive(Clone, Debug)]
pub struct OperatorStatus {
    /// Its name in the topology.
    pub name: String,
    /// What it holds.
    pub stats: OperatorStats,
}

/// A run at one moment.
#[derive(Clone, Debug)]
pub struct RunStatus {
    /// The epoch that takes records now.
    pub epoch_open: u64,
    /// The first epoch that is not held by all sinks.
    pub epoch_done: u64,
    /// Chunks that wait for workers.
    pub queued_chunks: usize,
    /// Records in them.
    pub queued_records: usize,
    /// The sources, in the job's order.
    pub sources: Vec<SourceStatus>,
    /// The operators, in the topology's order.
    pub operators: Vec<OperatorStatus>,
    /// The sinks, in the job's order.
    pub sinks: Vec<SinkStatus>,
    /// The checkpoints, if the run makes any.
    pub checkpoints: Option<CheckpointStatus>,
}

impl RunStatus {
    /// Records decoded by all sources, rejected ones included.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.sources.iter().map(|source| source.records).sum()
    }

    /// Records rejected by all sources.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.sources.iter().map(|source| source.rejected).sum()
    }
}

/// Why a source is held back; `waits` are the sinks that wait for something.
fn why(held_back: &HeldBack, waits: &[String]) -> String {
    match held_back {
        HeldBack::Dimension(name) => format!("the dimension {name} is read first"),
        HeldBack::Epochs(epochs) if waits.is_empty() => format!("{epochs} epochs are not written yet"),
        HeldBack::Epochs(_) => waits.join("; "),
    }
}

impl Counters {
    pub(crate) fn snapshot(&self) -> RunStatus {
        let (epoch_open, epoch_done) = self.intake.epochs();
        let (queued_chunks, queued_records) = self.intake.queued();
        let partitions = self.intake.partitions();
        let waits =
            self.sinks.iter().filter_map(|(name, sink)| Some((name.clone(), sink.health.as_ref()?.waits_for()?)));
        let checkpoints = self.intake.checkpointer().map(Checkpointer::status);
        let waits = waits
            .chain(checkpoints.iter().filter_map(|status| Some(("checkpoints".to_owned(), status.waits_for.clone()?))));
        let waits: Vec<String> = waits.map(|(name, what)| format!("{name}: {what}")).collect();
        let held_back = self.intake.holds_back();
        let sources = self.sources.iter().zip(held_back).map(|((name, counters), held_back)| SourceStatus {
            name: Arc::clone(name),
            records: counters.records.load(Relaxed),
            rejected: counters.rejected.load(Relaxed),
            skipped: counters.skipped.load(Relaxed),
            partitions: partitions.iter().filter(|p| p.position.partition.source == *name).cloned().collect(),
            waits_for: counters.health.as_ref().and_then(Health::waits_for).or_else(|| Some(why(&held_back?, &waits))),
        });
        let sinks = self.sinks.iter().map(|(name, counters)| SinkStatus {
            name: name.clone(),
            rows: counters.rows.load(Relaxed),
            flushes: counters.flushes.load(Relaxed),
            rejected: counters.rejected.load(Relaxed),
            epochs: counters.epochs.load(Relaxed),
            in_flight: counters.given.load(Relaxed).saturating_sub(counters.held.load(Relaxed)),
            retries: counters.health.as_ref().map_or(0, Health::retries),
            waits_for: counters.health.as_ref().and_then(Health::waits_for),
            last_error: counters.health.as_ref().and_then(Health::last_error),
        });
        RunStatus {
            epoch_open,
            epoch_done,
            queued_chunks,
            queued_records,
            sources: sources.collect(),
            operators: self.operator_status(),
            sinks: sinks.collect(),
            checkpoints,
        }
    }

    fn operator_status(&self) -> Vec<OperatorStatus> {
        let mut sums = vec![OperatorStats::default(); self.operators.len()];
        for worker in &self.stats {
            for (sum, stats) in sums.iter_mut().zip(worker.lock().iter()) {
                sum.keys += stats.keys;
                sum.bytes += stats.bytes;
                sum.late += stats.late;
                sum.failed += stats.failed;
            }
        }
        let names = self.operators.iter().cloned();
        names.zip(sums).map(|(name, stats)| OperatorStatus { name, stats }).collect()
    }
}
