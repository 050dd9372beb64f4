//! How a run goes, as `/v1/status` tells it. Whoever carries out the run fills it in.

use serde::{Deserialize, Serialize};

/// Tells how the run goes at this moment. Must be quick: it is asked for with each status, and by each scrape.
pub trait StatusSource: Send + Sync {
    /// The run as it is now.
    fn status(&self) -> Status;
}

impl<F: Fn() -> Status + Send + Sync> StatusSource for F {
    fn status(&self) -> Status {
        self()
    }
}

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not yet reading.
    #[default]
    Starting,
    /// Reading and computing.
    Running,
    /// All bounded sources are read and every result is written; still serving.
    Finished,
    /// On the way to its end.
    Stopping,
    /// It cannot go on.
    Failed,
}

impl RunState {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }

    /// Whether questions get answers that are worth having.
    #[must_use]
    pub fn ready(self) -> bool {
        matches!(self, Self::Running | Self::Finished)
    }
}

/// A run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The job's name.
    pub job: String,
    /// Where the run is in its life.
    pub state: RunState,
    /// Why it failed, or what it loads before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds since it started.
    pub uptime_s: f64,
    /// How many workers compute.
    pub workers: usize,
    /// Records read by all sources, rejected ones included.
    pub records: u64,
    /// Records read in each second, over the last few.
    pub records_per_s: f64,
    /// Records that could not be decoded.
    pub rejected: u64,
    /// Epochs.
    pub epochs: Epochs,
    /// What was read and waits for workers.
    pub queued: Queued,
    /// The sources, in the job's order.
    pub sources: Vec<SourceStatus>,
    /// The operators, in the order of a record's way.
    pub operators: Vec<OperatorStatus>,
    /// The sinks, in the job's order.
    pub sinks: Vec<SinkStatus>,
    /// The models, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelStatus>,
    /// What judges recommendations, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<JudgeStatus>,
    /// The lists that are kept in stores, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListStatus>,
    /// The checkpoints of this run, if it makes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<Checkpoints>,
    /// The memory of the process.
    pub memory: Memory,
}

/// The checkpoints of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoints {
    /// How many this run has committed.
    pub committed: u64,
    /// The epoch of the last one, or of the one that the run goes on from.
    pub epoch: u64,
    /// Seconds since it was committed, if this run has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
    /// How long it took, from the cut of its epoch to its commit, in seconds.
    pub took_s: f64,
    /// Bytes of state that it wrote, before they were compressed.
    pub bytes: u64,
    /// What the next one waits for, if the store does not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// Epochs of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    /// The epoch that takes records now.
    pub current: u64,
    /// Every epoch before this one is held by all sinks.
    pub done: u64,
}

/// Chunks that were read and not yet taken by a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// How many chunks.
    pub chunks: u64,
    /// How many records they hold.
    pub records: u64,
}

/// A source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name in the job.
    pub name: String,
    /// Records read, rejected ones included.
    pub records: u64,
    /// Records read in each second, over the last few.
    pub records_per_s: f64,
    /// Records that could not be decoded.
    pub rejected: u64,
    /// Records of tables that the job does not read, schema changes, marks of transactions.
    pub skipped: u64,
    /// How far it is behind the known ends of its partitions, in their own unit (files: bytes).
    pub lag: u64,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// What it waits for: the outside, a dimension that is read first, sinks that are behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// A partition of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its name: for a file its path.
    pub name: String,
    /// The position behind the last record that was read.
    pub position: u64,
    /// Its end, where it is known.
    pub end: Option<u64>,
    /// Records read.
    pub records: u64,
}

/// An operator, over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorStatus {
    /// Its name: `daily/aggregate`.
    pub name: String,
    /// How many keys it holds.
    pub keys: u64,
    /// How many bytes of state it holds, about.
    pub bytes: u64,
    /// How many records came too late for it, since the job began.
    pub late: u64,
    /// How many rows it left out because an expression failed on them, in this run.
    pub failed: u64,
}

/// A sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// The target's name.
    pub name: String,
    /// Rows written: upserts and deletes.
    pub writes: u64,
    /// How often it made its writes visible.
    pub flushes: u64,
    /// Writes that the outside has refused for what they hold.
    #[serde(default)]
    pub rejected: u64,
    /// Every epoch before this one is held by it.
    pub epochs: u64,
    /// What it waits for, if something outside does not take its writes; sources wait for it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Rows handed to it that are not durable and visible yet.
    #[serde(default)]
    pub in_flight: u64,
    /// How often the outside did not take something, and it was tried again.
    #[serde(default)]
    pub retries: u64,
    /// What it waited for last, also when it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A model: each sample was predicted before it was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelStatus {
    /// Its name in the job.
    pub name: String,
    /// How good predictions were since the beginning.
    pub all: ModelMetrics,
    /// How good they were over the newest samples.
    pub recent: ModelMetrics,
    /// How many rows came, or were taken back, after they had been learned.
    pub late: u64,
}

/// How good the predictions of some samples were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelMetrics {
    /// How many samples.
    pub samples: u64,
    /// How many of them were positive.
    pub positives: u64,
    /// The mean log loss.
    pub log_loss: f64,
    /// The log loss of always giving the share of positive samples.
    pub baseline: f64,
    /// The area under the curve, where there are samples of both labels.
    pub auc: Option<f64>,
    /// The sum of probabilities over the positive samples.
    pub calibration: Option<f64>,
}

/// What recommendations were worth that were shown since the run began: each by what its subject did next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgeStatus {
    /// The recommendation or split.
    pub name: String,
    /// The relation whose rows tell what was wanted.
    pub by: String,
    /// How much of each list counts.
    pub k: u64,
    /// What each variant was worth; a recommendation that is no split has one, itself.
    pub variants: Vec<VariantStatus>,
}

/// What the lists of a variant were worth, each figure a mean over all questions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VariantStatus {
    /// The recommendation that made the lists.
    pub name: String,
    /// How many rows there were whose subject had been shown a list.
    pub asked: u64,
    /// The share of lists that were not empty.
    pub answered: f64,
    /// HR: the share of lists that held what was wanted.
    pub hit_rate: f64,
    /// MRR: the mean of 1 over its place.
    pub mrr: f64,
    /// NDCG: the mean of 1 / log2(1 + place).
    pub ndcg: f64,
    /// The share of what was wanted that lists held.
    pub recall: f64,
    /// The share of all items that stood in any list.
    pub coverage: f64,
}

/// The lists of a path that are kept in a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListStatus {
    /// The path's name in the job.
    pub path: String,
    /// How many lists were written.
    pub written: u64,
    /// Objects whose lists may have changed, changes whose objects are not known yet, and lists that no epoch has taken.
    pub waiting: u64,
    /// Requests for them that have not come back.
    pub in_flight: u64,
    /// Requests that were sent again because they did not come back in time.
    pub sent_again: u64,
    /// How many requests for lists go out together, over all workers.
    pub window: u64,
    /// How long the oldest change waits, in seconds.
    pub oldest_s: f64,
}

/// The memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes resident now.
    pub resident_bytes: u64,
    /// The most bytes that were resident at once.
    pub peak_bytes: u64,
}

impl Memory {
    /// The memory of this process, from `/proc`; zero where there is none.
    #[must_use]
    pub fn of_this_process() -> Self {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { resident_bytes: kib_of(&text, "VmRSS:") << 10, peak_bytes: kib_of(&text, "VmHWM:") << 10 }
    }
}

fn kib_of(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        let text = "Name:\tproxima\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!((kib_of(text, "VmRSS:"), kib_of(text, "VmHWM:"), kib_of(text, "VmSwap:")), (1024, 2048, 0));
    }
}
