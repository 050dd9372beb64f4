//! Joins the engine to the state protocol: where a job's checkpoints are, and what a run goes on from.

use crate::assemble::JUDGES;
use crate::consumer_group::ConsumerGroup;
use crate::data::DataFolder;
use crate::job::{CheckpointPlace, CheckpointPlan, JobPlan, SinkKind, SourcePlan};
use crate::upgrade::{Layout, Noted, Past, definitions};
use anyhow::{Context, Result, bail, ensure};
use proxima_checkpoint::{
    CheckpointConfig, Checkpoints, JobFacts, Kind, LocalStore, ObjectStore, ObjectStoreConfig, OperatorFacts,
    OperatorId, Patient, Recovery, Resumption, Retry, Section, StateKey, Store, StoredSection,
};
use proxima_engine::{
    Bundle, Bundles, CheckpointStore, Checkpointing, Commit, Cut, OperatorInfo, OperatorState, Restored, SavedState,
    SectionKind, SourceCounts,
};
use proxima_event::offsets::OffsetStore;
use proxima_event::{Epoch, Generation, Health, KEY_GROUPS, KeyGroupSet, Position};
use proxima_kafka::GroupOffsets;
use proxima_publish::PUBLISHES;
use proxima_redis::RedisOffsets;
use proxima_view::HeldColumns;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bytes of state that a checkpoint rewrites at the most: some ten milliseconds of a worker.
const REWRITE_BYTES: u64 = 8 << 20;

/// What a run goes on from, before it begins.
pub struct Found {
    recovery: Recovery,
    offsets: Vec<Box<dyn OffsetStore>>,
    waiting: Waiting,
    /// By which a checkpoint that waits for a server says so, and learns that the run is ending.
    health: Health,
    /// What the checkpoint says beside state and positions.
    note: Note,
}

/// What a checkpoint says beside state and positions.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Note {
    /// What was read of each source.
    sources: BTreeMap<String, Counts>,
    /// What was computed.
    results: BTreeMap<String, Noted>,
    /// The columns of which tables of changes hold state, by when the results began.
    held: BTreeMap<Epoch, HeldColumns>,
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
/// When the store cannot be read, or what is in it is not understood.
pub fn find(job: &JobPlan, plan: &CheckpointPlan, data: &DataFolder, (workers, fresh): (usize, bool)) -> Result<Found> {
    let health = Health::default();
    let mut offsets = offset_stores(job, plan, &health)?;
    // Another process may have run the job on another disk.
    let mut generation_seen = data.generation();
    for store in &mut offsets {
        let committed = store.load().context("cannot read the offsets of the last run")?;
        generation_seen = generation_seen.max(committed.map_or(Generation(0), |committed| committed.generation));
    }
    let facts = JobFacts {
        digest: OperatorId::of(&job.name, &format!("{:?}", definitions(job))).to_string(),
        workers,
        key_groups: KEY_GROUPS,
        operators: Vec::new(),
        fresh,
        generation_seen,
    };
    let (store, waiting) = open_store(plan, data, &health).context("cannot open the place of the checkpoints")?;
    let recovery = Recovery::read(store, Retry::default(), facts).context("cannot go on from the last run")?;
    let note = match recovery.checkpoint() {
        None => Note::default(),
        Some(found) => serde_json::from_value(found.counters().clone())
            .context("another version has written the checkpoint; go on with that one, or start anew with --fresh")?,
    };
    Ok(Found { recovery, offsets, waiting, health, note })
}

impl Found {
    /// Whether there is a checkpoint to go on from.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.recovery.checkpoint().is_some()
    }

    /// Whether no run has ever kept anything where the checkpoints are looked for.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.recovery.is_new()
    }

    /// What the checkpoint says of the results, and what the data folder holds of them.
    #[must_use]
    pub fn past(&self, data: &DataFolder) -> Past<'_> {
        Past {
            noted: self.note.results.clone(),
            held: self.note.held.clone(),
            placed: data.begun().clone(),
            sources: self.note.sources.keys().cloned().collect(),
            next: self.recovery.checkpoint().map_or(Epoch(0), |found| found.epoch().next()),
            knows: Box::new(|identity| self.recovery.knows(operator_id(identity))),
        }
    }

    /// Begins the run of these operators: no earlier one can commit from here on.
    ///
    /// # Errors
    /// When the store fails, or another run begins at the same time.
    pub fn begin(
        self,
        job: &JobPlan,
        plan: &CheckpointPlan,
        operators: &[OperatorInfo],
        layout: &Layout,
    ) -> Result<Begun> {
        let with_state = operators.iter().filter(|operator| operator.has_state);
        let facts = |operator: &OperatorInfo| OperatorFacts {
            id: operator_id(&operator.identity),
            name: operator.name.clone(),
        };
        let recovery = self.recovery.with_operators(with_state.map(facts).collect());
        let ids = operators.iter().map(|operator| (operator.name.clone(), operator_id(&operator.identity)));
        let ids: Arc<HashMap<String, OperatorId>> = Arc::new(ids.collect());
        let mut empty = recovery.fit().empty;
        // Lists need no past: all are put out again. A judge's figures may begin at any time.
        let begins = |operator: &&OperatorInfo| {
            [PUBLISHES, JUDGES].into_iter().any(|prefix| operator.identity.starts_with(prefix))
        };
        let begin: Vec<&str> = operators.iter().filter(begins).map(|operator| operator.name.as_str()).collect();
        empty.retain(|name| !begin.contains(&name.as_str()));
        ensure!(
            empty.is_empty() || !layout.restarted.is_empty(),
            "the checkpoint has no state of {}; start anew with --fresh",
            empty.join(", ")
        );
        let config = CheckpointConfig { keep: plan.keep, offsets: self.offsets, ..CheckpointConfig::default() };
        let (checkpoints, resumption) = Checkpoints::begin(recovery, config)?;
        if let Some(waiting) = &self.waiting {
            waiting.begin();
        }
        let Resumption { generation, checkpoint, cuts, .. } = resumption;
        let goes_on = |position: &Position| !layout.reset.contains(&*position.partition.source);
        let own = |positions: &[Position]| positions.iter().filter(|&position| goes_on(position)).cloned().collect();
        let cuts = cuts.into_iter().map(|cut| Cut { epoch: cut.epoch, positions: own(&cut.positions) }).collect();
        let mut restored = Restored { cuts, ..Restored::default() };
        if let Some(found) = checkpoint {
            let counts = self.note.sources.into_iter().filter(|(source, _)| !layout.reset.contains(source));
            restored.checkpoint = Some(Commit {
                epoch: found.epoch(),
                positions: own(found.positions()),
                counts: counts.map(|(source, counts)| (source, counts.into())).collect(),
            });
            restored.state = Some(Arc::new(Saved { found, ids: Arc::clone(&ids) }));
        }
        let (results, held, health) = (layout.note(job), layout.held(), self.health);
        let store = Arc::new(Kept { checkpoints, ids, results, held, health });
        // The next run is to find the job as it is now, also if nothing comes until then.
        let checkpointing = Checkpointing { store, every: plan.every, wanted: layout.is_changed() };
        Ok(Begun { generation, restored, checkpointing })
    }
}

/// What the state of an operator is known by.
fn operator_id(identity: &str) -> OperatorId {
    OperatorId::of("", identity)
}

/// Who is told of each checkpoint: the job's offset store first, for it may fence this run, then consumer groups.
fn offset_stores(job: &JobPlan, plan: &CheckpointPlan, health: &Health) -> Result<Vec<Box<dyn OffsetStore>>> {
    let mut stores: Vec<Box<dyn OffsetStore>> = Vec::new();
    if let Some(name) = &plan.offsets {
        let Some(SinkKind::Redis(redis)) = job.sinks.get(name) else {
            bail!("[checkpoint] offsets names \"{name}\", which is no sink of kind redis");
        };
        let offsets = RedisOffsets::open(redis.servers.clone(), &job.name)?;
        stores.push(Box::new(offsets.waiting_by(health.clone())));
    }
    for (source, plan) in &job.sources {
        if let SourcePlan::Kafka(config) = plan {
            let group = GroupOffsets::new(&config.connection, &config.group).map_err(anyhow::Error::msg)?;
            stores.push(Box::new(ConsumerGroup::new(source.clone(), group)));
        }
    }
    Ok(stores)
}

/// A store that may have to be waited for, if it is one.
type Waiting = Option<Arc<Patient>>;

/// Opens the store. What is reached by a network waits while a run goes on, and says so.
fn open_store(plan: &CheckpointPlan, data: &DataFolder, health: &Health) -> Result<(Arc<dyn Store>, Waiting)> {
    let remote: Arc<dyn Store> = match &plan.at {
        None => return Ok((Arc::new(LocalStore::open(data.checkpoints())?), None)),
        Some(CheckpointPlace::Folder(folder)) => return Ok((Arc::new(LocalStore::open(folder)?), None)),
        Some(CheckpointPlace::ObjectStore(at)) => Arc::new(ObjectStore::open(at, &ObjectStoreConfig::default())?),
        Some(CheckpointPlace::HBase(at)) => Arc::new(proxima_hbase::open(at, health.clone(), Retry::default())?),
    };
    let store = Arc::new(Patient::new(remote, health.clone()));
    Ok((Arc::clone(&store) as Arc<dyn Store>, Some(store)))
}

/// The state of a checkpoint that was found.
struct Saved {
    found: proxima_checkpoint::Restored,
    /// The operators, by name.
    ids: Arc<HashMap<String, OperatorId>>,
}

impl SavedState for Saved {
    fn bundles<'a>(&'a self, operator: &str, groups: &KeyGroupSet) -> Result<Bundles<'a>, String> {
        let bundle = |StoredSection { groups, kind, bytes }| {
            let kind = if kind == Kind::Full { SectionKind::Full } else { SectionKind::Changes };
            Bundle { groups, kind, added: 0, bytes: bytes.into() }
        };
        Ok(Box::new(self.found.sections(self.ids[operator], groups).map(bundle)))
    }
}

/// Keeps what the engine hands over.
struct Kept {
    checkpoints: Checkpoints,
    /// The operators, by name.
    ids: Arc<HashMap<String, OperatorId>>,
    /// What the operators compute together.
    results: BTreeMap<String, Noted>,
    held: BTreeMap<Epoch, HeldColumns>,
    health: Health,
}

impl Kept {
    /// The sections of an operator. Key groups that were written whole and are empty get an empty one.
    fn sections(&self, state: OperatorState) -> impl Iterator<Item = Section> + use<> {
        let OperatorState { operator, rewritten, bundles } = state;
        let operator = self.ids[&operator];
        let full = bundles.iter().filter(|bundle| bundle.kind == SectionKind::Full);
        let held = full.fold(KeyGroupSet::none(), |held, bundle| held.union(&bundle.groups));
        let groups: KeyGroupSet = rewritten.iter().filter(|&group| !held.contains(group)).collect();
        let empty = Section { operator, groups, kind: Kind::Full, added: 0, bytes: Default::default() };
        let section = move |Bundle { groups, kind, added, bytes }| {
            let kind = if kind == SectionKind::Full { Kind::Full } else { Kind::Changes };
            Section { operator, groups, kind, added, bytes }
        };
        (!groups.is_empty()).then_some(empty).into_iter().chain(bundles.into_iter().map(section))
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
        let wanted = self.ids[operator];
        let planned = self.checkpoints.plan_rewrites(REWRITE_BYTES);
        planned.into_iter().filter(|(operator, _): &StateKey| *operator == wanted).map(|(_, group)| group).collect()
    }

    fn write_state(&self, epoch: Epoch, worker: usize, state: Vec<OperatorState>) -> Result<(), String> {
        let sections = state.into_iter().flat_map(|state| self.sections(state)).collect();
        self.checkpoints.write_state(epoch, worker, sections).map_err(|error| error.to_string())
    }

    fn commit(&self, checkpoint: Commit) -> Result<Vec<Position>, String> {
        let Commit { epoch, positions, counts } = checkpoint;
        let sources = counts.into_iter().map(|(source, counts)| (source, counts.into())).collect();
        let note = Note { sources, results: self.results.clone(), held: self.held.clone() };
        let counters = serde_json::to_value(note).map_err(|error| error.to_string())?;
        let commit = proxima_checkpoint::Commit { epoch, positions, counters };
        self.checkpoints.commit(commit).map_err(|error| error.to_string())?;
        Ok(self.checkpoints.oldest_positions())
    }

    fn health(&self) -> Option<Health> {
        Some(self.health.clone())
    }
}

/// What was read of a source, as a checkpoint keeps it.
#[derive(Clone, Serialize, Deserialize)]
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
