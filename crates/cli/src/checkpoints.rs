//! Joins the engine to the state protocol: where a job's checkpoints are, and what a run goes on from.

use crate::data::DataFolder;
use crate::job::{CheckpointPlan, JobPlan, SinkKind, SourcePlan};
use anyhow::{Context, Result, bail};
use proxima_checkpoint::{
    CheckpointConfig, Checkpoints, JobFacts, Kind, LocalStore, ObjectStore, ObjectStoreConfig, OperatorFacts,
    OperatorId, Recovery, Resumption, Retry, StateKey, Store, StoredSection,
};
use proxima_engine::{
    CheckpointStore, Checkpointing, Commit, Cut, OperatorState, Restored, SavedState, Section, SectionKind,
    SourceCounts,
};
use proxima_event::offsets::{Committed, OffsetStore, Outcome};
use proxima_event::{Epoch, Generation, KEY_GROUPS, KeyGroup, KeyGroupSet, Position, StoreError};
use proxima_kafka::GroupOffsets;
use proxima_model::ModelSpec;
use proxima_redis::RedisOffsets;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Bytes of state that a checkpoint rewrites at the most: some ten milliseconds of a worker.
const REWRITE_BYTES: u64 = 8 << 20;

/// What a run goes on from, before it begins.
pub struct Found {
    recovery: Recovery,
    specification: String,
    offsets: Vec<Box<dyn OffsetStore>>,
}

/// A run that has begun.
pub struct Begun {
    /// Its number.
    pub generation: Generation,
    /// What the engine goes on from.
    pub restored: Restored,
    /// How the engine makes checkpoints.
    pub checkpointing: Checkpointing,
}

/// Looks for the newest checkpoint of a job.
///
/// # Errors
/// When the store cannot be read, or holds the state of a job that is not this one any more.
pub fn find(
    job: &JobPlan,
    plan: &CheckpointPlan,
    data: &DataFolder,
    operators: &[String],
    (workers, fresh): (usize, bool),
) -> Result<Found> {
    let specification = specification(job);
    let mut offsets = offset_stores(job, plan)?;
    // Another process may have run the job on another disk.
    let mut generation_seen = data.generation();
    for store in &mut offsets {
        let committed = store.load().context("cannot read the offsets of the last run")?;
        generation_seen = generation_seen.max(committed.map_or(Generation(0), |committed| committed.generation));
    }
    let operator = |name: &String| OperatorFacts { id: OperatorId::of(name, &specification), name: name.clone() };
    let facts = JobFacts {
        digest: OperatorId::of(&job.name, &specification).to_string(),
        workers,
        key_groups: KEY_GROUPS,
        operators: operators.iter().map(operator).collect(),
        fresh,
        generation_seen,
    };
    let store = open_store(plan, data)?;
    let recovery = Recovery::read(store, Retry::default(), facts).context("cannot go on from the last run")?;
    if !recovery.fit().is_whole() {
        bail!(
            "the job is not the one that its checkpoint was made by: its tables, views, relations or paths have \
             changed, and what they had computed cannot be carried over. Start anew with --fresh, which reads all \
             sources from their beginnings, or put the old definition back"
        );
    }
    Ok(Found { recovery, specification, offsets })
}

impl Found {
    /// Whether there is a checkpoint to go on from.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.recovery.checkpoint().is_some()
    }

    /// Begins the run: no earlier one can commit from here on.
    ///
    /// # Errors
    /// When the store fails, or another run begins at the same time.
    pub fn begin(self, plan: &CheckpointPlan) -> Result<Begun> {
        let config = CheckpointConfig { keep: plan.keep, offsets: self.offsets, ..CheckpointConfig::default() };
        let (checkpoints, resumption) = Checkpoints::begin(self.recovery, config)?;
        let Resumption { generation, checkpoint, cuts, .. } = resumption;
        let cuts = cuts.into_iter().map(|cut| Cut { epoch: cut.epoch, positions: cut.positions }).collect();
        let mut restored = Restored { cuts, ..Restored::default() };
        if let Some(found) = checkpoint {
            let counts: BTreeMap<String, Counts> = serde_json::from_value(found.counters().clone())
                .context("the counts of the checkpoint cannot be read; start anew with --fresh")?;
            restored.checkpoint = Some(Commit {
                epoch: found.epoch(),
                positions: found.positions().to_vec(),
                counts: counts.into_iter().map(|(source, counts)| (source, counts.into())).collect(),
            });
            restored.state = Some(Arc::new(Saved { found, specification: self.specification.clone() }));
        }
        let store = Arc::new(Kept { checkpoints, specification: self.specification });
        Ok(Begun { generation, restored, checkpointing: Checkpointing { store, every: plan.every } })
    }
}

/// Who is told of each checkpoint: the job's offset store first, for it may fence this run, then consumer groups.
fn offset_stores(job: &JobPlan, plan: &CheckpointPlan) -> Result<Vec<Box<dyn OffsetStore>>> {
    let mut stores: Vec<Box<dyn OffsetStore>> = Vec::new();
    if let Some(name) = &plan.offsets {
        let Some(SinkKind::Redis(redis)) = job.sinks.get(name) else {
            bail!("[checkpoint] offsets names \"{name}\", which is no sink of kind redis");
        };
        stores.push(Box::new(RedisOffsets::open(redis.servers.clone(), &job.name)?));
    }
    for (source, plan) in &job.sources {
        if let SourcePlan::Kafka(config) = plan {
            let group = GroupOffsets::new(&config.connection, &config.group).map_err(anyhow::Error::msg)?;
            stores.push(Box::new(ConsumerGroup { source: source.clone(), group }));
        }
    }
    Ok(stores)
}

/// Publishes the positions of a Kafka source where lag tools look for them. Nothing is ever read back from there.
struct ConsumerGroup {
    source: String,
    group: GroupOffsets,
}

impl OffsetStore for ConsumerGroup {
    fn load(&mut self) -> Result<Option<Committed>, StoreError> {
        Ok(None)
    }

    fn commit(&mut self, committed: &Committed) -> Result<Outcome, StoreError> {
        let is_own = |position: &&Position| *position.partition.source == *self.source;
        let own: Vec<_> = committed.positions.iter().filter(is_own).cloned().collect();
        if !own.is_empty()
            && let Err(error) = self.group.commit(&own)
        {
            // The checkpoint stands without it; the next one tells again.
            tracing::warn!(source = self.source, error, "the offsets of the consumer group could not be published");
        }
        Ok(Outcome::Stored)
    }
}

fn open_store(plan: &CheckpointPlan, data: &DataFolder) -> Result<Arc<dyn Store>> {
    Ok(match plan.at.as_deref() {
        None => Arc::new(LocalStore::open(data.checkpoints())?),
        Some(at) if at.starts_with("s3://") => Arc::new(ObjectStore::open(at, &ObjectStoreConfig::default())?),
        Some(folder) => Arc::new(LocalStore::open(Path::new(folder))?),
    })
}

/// What the operators compute, in words: it changes with the definition of the job, but not with its layout.
fn specification(job: &JobPlan) -> String {
    let JobPlan { zone, relations, objects, paths, models, views, .. } = job;
    let tables: Vec<_> = views.tables.iter().map(|table| (&table.name, &table.source, &table.schema)).collect();
    format!("{zone}\n{}\n{tables:?}\n{relations:?}\n{objects:?}\n{paths:?}{}", views.explain(), described(models))
}

/// The models in words; nothing where there are none, so that a job without any is what it was.
fn described(models: &BTreeMap<String, ModelSpec>) -> String {
    if models.is_empty() { String::new() } else { format!("\n{models:?}") }
}

/// The state of a checkpoint that was found.
struct Saved {
    found: proxima_checkpoint::Restored,
    specification: String,
}

impl SavedState for Saved {
    fn sections(&self, operator: &str, group: KeyGroup) -> Result<Vec<Section>, String> {
        let stored = self.found.sections(OperatorId::of(operator, &self.specification), group);
        let section = |stored: StoredSection| {
            let kind = if stored.kind == Kind::Full { SectionKind::Full } else { SectionKind::Changes };
            Section { group, kind, bytes: stored.bytes }
        };
        Ok(stored.into_iter().map(section).collect())
    }
}

/// Keeps what the engine hands over.
struct Kept {
    checkpoints: Checkpoints,
    specification: String,
}

impl Kept {
    /// The sections of an operator. A key group that was written whole and is empty gets an empty one.
    fn sections(&self, state: OperatorState) -> Vec<proxima_checkpoint::Section> {
        let operator = OperatorId::of(&state.operator, &self.specification);
        let empty = |group| proxima_checkpoint::Section { operator, group, kind: Kind::Full, bytes: Vec::new() };
        let mut sections: BTreeMap<KeyGroup, _> = state.rewritten.iter().map(|group| (group, empty(group))).collect();
        for Section { group, kind, bytes } in state.sections {
            let kind = if kind == SectionKind::Full { Kind::Full } else { Kind::Changes };
            sections.insert(group, proxima_checkpoint::Section { operator, group, kind, bytes });
        }
        sections.into_values().collect()
    }
}

impl CheckpointStore for Kept {
    fn append_cut(&self, cut: Cut) {
        self.checkpoints.append_cut(proxima_checkpoint::Cut { epoch: cut.epoch, positions: cut.positions });
    }

    fn wait_cut(&self, epoch: Epoch, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        match self.checkpoints.wait_cut(epoch, stopped) {
            Err(_) if stopped() => Ok(()),
            waited => waited.map_err(|error| error.to_string()),
        }
    }

    fn rewrites(&self, operator: &str) -> KeyGroupSet {
        let wanted = OperatorId::of(operator, &self.specification);
        let planned = self.checkpoints.plan_rewrites(REWRITE_BYTES);
        planned.into_iter().filter(|(operator, _): &StateKey| *operator == wanted).map(|(_, group)| group).collect()
    }

    fn write_state(&self, epoch: Epoch, worker: usize, state: Vec<OperatorState>) -> Result<(), String> {
        let sections = state.into_iter().flat_map(|state| self.sections(state)).collect();
        self.checkpoints.write_state(epoch, worker, sections).map_err(|error| error.to_string())
    }

    fn commit(&self, checkpoint: Commit) -> Result<(), String> {
        let Commit { epoch, positions, counts } = checkpoint;
        let counts: BTreeMap<_, Counts> = counts.into_iter().map(|(source, counts)| (source, counts.into())).collect();
        let counters = serde_json::to_value(counts).map_err(|error| error.to_string())?;
        let commit = proxima_checkpoint::Commit { epoch, positions, counters };
        self.checkpoints.commit(commit).map_err(|error| error.to_string())
    }
}

/// What was read of a source, as a checkpoint keeps it.
#[derive(Serialize, Deserialize)]
struct Counts {
    records: u64,
    rejected: u64,
}

impl From<SourceCounts> for Counts {
    fn from(SourceCounts { records, rejected }: SourceCounts) -> Self {
        Self { records, rejected }
    }
}

impl From<Counts> for SourceCounts {
    fn from(Counts { records, rejected }: Counts) -> Self {
        Self { records, rejected }
    }
}

/// Where the partitions stand that a run goes on from.
#[must_use]
pub fn positions(restored: &Restored) -> &[Position] {
    restored.checkpoint.as_ref().map_or(&[], |checkpoint| &checkpoint.positions)
}
