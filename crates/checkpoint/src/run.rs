//! One run in the protocol, without threads: begin, commit, sweep.

use crate::cuts::{Cut, CutsHeader, CutsLog, read_cuts, replay};
use crate::error::CheckpointError;
use crate::fail::{FailPoint, fail_point};
use crate::job::JobFacts;
use crate::lineage::{Candidate, line};
use crate::log::{Appended, Begin, CheckpointEntry, Entry, Log, StoredOperator};
use crate::names::{self, CutsName, StateName};
use crate::nonce::nonce;
use crate::operators::{Fit, OperatorFacts, OperatorId, carried_over};
use crate::state::{Chains, Damage, Restored, WrittenFile};
use crate::store::{Retry, Store};
use crate::sweep::{SweepFacts, garbage};
use proxima_event::{Epoch, Generation, Position};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{info, warn};

/// How often a run that wants to begin reads on because another entry came between. Each is a whole new start of, or a
/// commit by, another process.
const BEGIN_ATTEMPTS: usize = 16;

/// What a restart found, before it begins.
pub struct Recovery {
    store: Arc<dyn Store>,
    retry: Retry,
    job: JobFacts,
    log: Log,
    found: Option<Restored>,
}

/// Where a run that has begun goes on from.
pub struct Resumption {
    /// The run's number.
    pub generation: Generation,
    /// The first epoch of the run: the one behind the checkpoint's.
    pub first_epoch: Epoch,
    /// The checkpoint. `None`: from nothing.
    pub checkpoint: Option<Restored>,
    /// The epochs from the first on that dead runs have cut, in order; those that are not among them held nothing. They
    /// must be cut again exactly so, since sinks may hold parts of them.
    pub cuts: Vec<Cut>,
}

impl Recovery {
    /// Looks for the newest checkpoint that is whole, and reads it.
    ///
    /// # Errors
    /// When the store fails, or there are checkpoints and none is whole, or the key groups are others.
    pub fn read(store: Arc<dyn Store>, retry: Retry, job: JobFacts) -> Result<Self, CheckpointError> {
        let log = Log::new(Arc::clone(&store), retry);
        let mut recovery = Self { store, retry, job, log, found: None };
        recovery.look()?;
        Ok(recovery)
    }

    /// The checkpoint that the run would go on from.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Restored> {
        self.found.as_ref()
    }

    /// Whether no run has ever begun here, as far as the store tells.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.log.generation().is_none()
    }

    /// The same for a job of these operators: which ones it has may depend on what the checkpoint knows.
    #[must_use]
    pub fn with_operators(mut self, operators: Vec<OperatorFacts>) -> Self {
        self.job.operators = operators;
        self
    }

    /// Whether the checkpoint holds the state of an operator.
    #[must_use]
    pub fn knows(&self, operator: OperatorId) -> bool {
        self.found.as_ref().is_some_and(|found| found.entry().operators.iter().any(|known| known.id == operator))
    }

    /// How the job's operators fit the checkpoint. Without one they all start empty, and have missed nothing.
    #[must_use]
    pub fn fit(&self) -> Fit {
        self.found.as_ref().map_or_else(Fit::default, |found| Fit::of(&self.job.operators, &found.entry().operators))
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Begins the run: from here on no earlier one can commit, and what it did is known.
    pub(crate) fn begin(mut self) -> Result<Restart, CheckpointError> {
        let fit = self.fit();
        let generation = self.put_begin()?;
        fail_point(FailPoint::AfterBegin);
        if self.fit() != fit {
            // Only a run of another definition of the job can have come between.
            return Err(CheckpointError::orphaned(generation, generation));
        }
        let first_epoch = self.found.as_ref().map_or(Epoch(0), |found| found.epoch().next());
        let read = if self.job.fresh { Default::default() } else { read_cuts(&*self.store, self.retry, generation)? };
        let cuts = replay(&read, first_epoch);
        let own_from = cuts.last().map_or(first_epoch, |cut| cut.epoch.next());
        let header = CutsHeader { own_from };
        let cuts_log = CutsLog::create(Arc::clone(&self.store), self.retry, generation, header, first_epoch)?;
        let run = self.run(generation, first_epoch, read.last_epochs());
        info!(generation = generation.0, epoch = first_epoch.0, replayed = cuts.len(), "the run begins");
        let resumption = Resumption { generation, first_epoch, checkpoint: self.found, cuts };
        Ok(Restart { run, cuts_log, resumption })
    }

    /// Puts the entry that begins the run.
    fn put_begin(&mut self) -> Result<Generation, CheckpointError> {
        for _ in 0..BEGIN_ATTEMPTS {
            let generation = Generation(self.generation_used()?.0 + 1);
            fail_point(FailPoint::BeforeBegin);
            match self.log.append(Entry::Begin(self.begin_entry(generation)))? {
                Appended::At(_) => return Ok(generation),
                Appended::Taken => self.look()?,
                Appended::Succeeded => {
                    let by = self.log.generation().unwrap_or(generation);
                    return Err(CheckpointError::orphaned(generation, by));
                }
            }
        }
        let by = self.log.generation().unwrap_or_default();
        Err(CheckpointError::orphaned(Generation(by.0 + 1), by))
    }

    fn begin_entry(&self, generation: Generation) -> Begin {
        Begin {
            generation,
            based_on: self.found.as_ref().map(Restored::seq),
            fresh: self.job.fresh,
            job_digest: self.job.digest.clone(),
            workers: self.job.workers,
            key_groups: self.job.key_groups,
            floor: self.log.newest().map_or(0, |(_, entry)| entry.floor()),
            nonce: nonce(),
        }
    }

    /// The highest generation that anything is named by: an entry of the log may be damaged.
    fn generation_used(&self) -> Result<Generation, CheckpointError> {
        let state = self.retry.run(|| self.store.list(names::STATE))?;
        let cuts = self.retry.run(|| self.store.list(names::CUTS))?;
        let state = state.iter().filter_map(|listed| StateName::parse(&listed.name)).map(|name| name.generation);
        let cuts = cuts.iter().filter_map(|listed| CutsName::parse(&listed.name)).map(|name| name.generation);
        let seen = [self.log.generation().unwrap_or_default(), self.job.generation_seen];
        Ok(state.chain(cuts).chain(seen).max().unwrap_or_default())
    }

    /// Reads the log and decides which checkpoint to go on from.
    fn look(&mut self) -> Result<(), CheckpointError> {
        self.log.refresh()?;
        let mut known = self.found.take();
        let mut reasons = Vec::new();
        let mut candidates = self.candidates();
        while let Some(candidate) = candidates.pop_front() {
            if known.as_ref().is_some_and(|known| known.seq() == candidate.seq) {
                self.found = known;
                return Ok(());
            }
            let (seq, epoch) = (candidate.seq, candidate.checkpoint().epoch);
            match Restored::read(&*self.store, self.retry, candidate) {
                Ok(found) => {
                    self.found = Some(found);
                    return self.check_key_groups();
                }
                Err(Damage::Store(error)) => return Err(error.into()),
                // A run that still goes on may have committed others since, and swept this one away.
                Err(Damage::File(_)) if self.log.refresh()? => {
                    known = None;
                    reasons.clear();
                    candidates = self.candidates();
                }
                Err(Damage::File(reason)) => {
                    warn!(seq, %epoch, reason, "a checkpoint is damaged; the one before is tried");
                    reasons.push(format!("that of epoch {epoch}: {reason}"));
                }
            }
        }
        if reasons.is_empty() && !self.job.fresh && self.log.has_lost_checkpoints() {
            reasons.push("the log's entries of checkpoints are torn or missing".to_owned());
        }
        if reasons.is_empty() { Ok(()) } else { Err(CheckpointError::Damaged { reasons: reasons.join("; ") }) }
    }

    /// The checkpoints that may be gone on from, the newest first.
    fn candidates(&self) -> VecDeque<Candidate> {
        if self.job.fresh { VecDeque::new() } else { line(&self.log.entries()).into() }
    }

    fn check_key_groups(&self) -> Result<(), CheckpointError> {
        match self.found.as_ref().map(|found| found.entry().key_groups) {
            Some(stored) if stored != self.job.key_groups => {
                Err(CheckpointError::KeyGroups { stored, job: self.job.key_groups })
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, generation: Generation, first: Epoch, dead_cuts: BTreeMap<CutsName, Option<Epoch>>) -> Run {
        let stored = self.found.as_ref().map_or(&[][..], |found| &found.entry().operators);
        let operators = carried_over(&self.job.operators, stored, first);
        let chains = self.found.as_ref().map_or_else(|| Chains::new(&operators), |found| found.chains(&operators));
        let sound = self.found.as_ref().map(Restored::seq);
        let older = line(&self.log.entries()).into_iter();
        let kept = older.map(|candidate| Kept { sound: Some(candidate.seq) == sound, candidate }).collect();
        Run {
            store: Arc::clone(&self.store),
            retry: self.retry,
            log: std::mem::replace(&mut self.log, Log::new(Arc::clone(&self.store), self.retry)),
            generation,
            key_groups: self.job.key_groups,
            operators,
            chains,
            line: kept,
            dead_cuts,
        }
    }
}

/// A run that has begun, and where it goes on from.
pub(crate) struct Restart {
    pub(crate) run: Run,
    pub(crate) cuts_log: CutsLog,
    pub(crate) resumption: Resumption,
}

/// A checkpoint of the line that a run is on.
struct Kept {
    candidate: Candidate,
    /// Whether it is known to be whole: this run wrote it, or has read it.
    sound: bool,
}

/// A run that has begun.
pub(crate) struct Run {
    store: Arc<dyn Store>,
    retry: Retry,
    log: Log,
    generation: Generation,
    key_groups: usize,
    operators: Vec<StoredOperator>,
    chains: Chains,
    /// The checkpoints that are kept, the newest first.
    line: Vec<Kept>,
    dead_cuts: BTreeMap<CutsName, Option<Epoch>>,
}

impl Run {
    /// The state as it would be restored.
    pub(crate) fn chains(&self) -> &Chains {
        &self.chains
    }

    /// Commits a checkpoint. Returns its place in the log.
    pub(crate) fn commit(
        &mut self,
        epoch: Epoch,
        positions: Vec<Position>,
        counters: serde_json::Value,
        mut written: Vec<WrittenFile>,
    ) -> Result<u64, CheckpointError> {
        if let Some(newest) = self.line.first() {
            assert!(newest.candidate.checkpoint().epoch < epoch, "checkpoints follow each other");
        }
        written.sort_by_key(|written| written.name);
        for WrittenFile { name, file, sections } in &written {
            self.chains.add(*name, file, sections);
        }
        let entry = Entry::Checkpoint(CheckpointEntry {
            generation: self.generation,
            epoch,
            positions,
            files: self.chains.files(),
            operators: self.operators.clone(),
            counters,
            key_groups: self.key_groups,
            floor: self.floor(),
            written_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64),
            nonce: nonce(),
        });
        fail_point(FailPoint::BeforeCommit);
        let Appended::At(seq) = self.log.append(entry)? else { return Err(self.orphaned()) };
        fail_point(FailPoint::AfterCommit);
        let (_, entry) = self.log.newest().expect("the entry was just appended");
        let candidate = Candidate::new(seq, entry).expect("the entry is a checkpoint");
        self.line.insert(0, Kept { candidate, sound: true });
        Ok(seq)
    }

    /// Where the partitions stand at the oldest checkpoint that a restart may go on from.
    pub(crate) fn oldest_positions(&self) -> &[Position] {
        self.line.last().map_or(&[], |oldest| &oldest.candidate.checkpoint().positions)
    }

    /// Lets go of the checkpoints behind the newest `keep` that are whole, and deletes what nothing refers to.
    pub(crate) fn sweep(&mut self, keep: usize) -> Result<usize, CheckpointError> {
        self.let_go(keep.max(1));
        let (Some(newest), Some(oldest)) = (self.line.first(), self.line.last()) else { return Ok(0) };
        let files = self.line.iter().flat_map(|kept| &kept.candidate.checkpoint().files);
        let facts = SweepFacts {
            generation: self.generation,
            floor: self.log.newest().map_or(0, |(_, entry)| entry.floor()),
            files: files.map(|file| file.name.clone()).collect(),
            oldest: oldest.candidate.checkpoint().epoch,
            newest: newest.candidate.checkpoint().epoch,
            dead_cuts: self.dead_cuts.clone(),
        };
        let mut names = Vec::new();
        for prefix in [names::LOG, names::STATE, names::CUTS] {
            let listed = self.retry.run(|| self.store.list(prefix))?;
            names.extend(listed.into_iter().map(|listed| listed.name));
        }
        let garbage = garbage(&facts, &names);
        self.stop_if_succeeded()?;
        fail_point(FailPoint::BeforeSweep);
        for name in &garbage {
            self.retry.run(|| self.store.delete(name))?;
            fail_point(FailPoint::WithinSweep);
        }
        fail_point(FailPoint::AfterSweep);
        Ok(garbage.len())
    }

    /// The place of the oldest checkpoint that is kept; never below what an earlier entry says.
    fn floor(&self) -> u64 {
        let said = self.log.newest().map_or(0, |(_, entry)| entry.floor());
        self.line.last().map_or(said, |oldest| oldest.candidate.seq.max(said))
    }

    fn let_go(&mut self, keep: usize) {
        let mut sound = 0;
        let needed = self.line.iter().take_while(|kept| {
            let needed = sound < keep;
            sound += usize::from(kept.sound);
            needed
        });
        let needed = needed.count();
        self.line.truncate(needed);
    }

    fn stop_if_succeeded(&mut self) -> Result<(), CheckpointError> {
        self.log.refresh()?;
        match self.log.generation() {
            Some(by) if by > self.generation => Err(self.orphaned()),
            _ => Ok(()),
        }
    }

    fn orphaned(&self) -> CheckpointError {
        CheckpointError::orphaned(self.generation, self.log.generation().unwrap_or_default())
    }
}
