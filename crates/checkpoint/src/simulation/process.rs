//! A process of the simulated job: two operators that sum what they read, by key group.

use super::world::{Acknowledged, Begun, World};
use crate::cuts::{Cut, CutsLog};
use crate::error::CheckpointError;
use crate::job::JobFacts;
use crate::operators::{OperatorFacts, OperatorId};
use crate::run::{Recovery, Restart, Resumption, Run};
use crate::state::{Kind, Section, StateKey, write_files};
use crate::store::{Retry, Store};
use proxima_event::{Epoch, Generation, KeyGroup, PartitionId, Position};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const GROUPS: u16 = 4;
const OPERATORS: [OperatorId; 2] = [OperatorId(1), OperatorId(2)];
const RETRY: Retry = Retry { attempts: 4, wait: Duration::ZERO, wait_max: Duration::ZERO };
const KEEP: usize = 3;

/// What a run came to that was not disturbed.
pub(super) struct FinalRun {
    /// The records before this one are read.
    pub(super) offset: u64,
}

/// Runs until it crashes, fails or is succeeded.
pub(super) fn process(world: &Arc<World>, id: usize) {
    let gone = Gone(world, id);
    let ended = Process::begin(world, id).and_then(|mut process| {
        let epochs = process.rng.random_range(1..120);
        process.run(epochs)
    });
    match ended {
        Err(CheckpointError::Damaged { reasons }) => panic!("nothing was damaged: {reasons}"),
        Err(CheckpointError::Orphaned { .. }) => world.orphaned(),
        _ => {}
    }
    drop(gone);
}

/// Runs undisturbed, until old things are swept.
pub(super) fn process_to_the_end(world: &Arc<World>, id: usize) -> FinalRun {
    let _gone = Gone(world, id);
    let mut process = Process::begin(world, id).unwrap();
    process.run(process.replay.len() + 40).unwrap();
    // As many as are kept, and one more that says in the log what no longer counts.
    for _ in 0..=KEEP {
        process.checkpoint().unwrap();
        process.run(1).unwrap();
        process.run.sweep(KEEP).unwrap();
    }
    FinalRun { offset: process.offset }
}

/// The place of the checkpoint that a recovery finds; `None` when none is whole.
pub(super) fn look(world: &Arc<World>, id: usize) -> Option<u64> {
    let _gone = Gone(world, id);
    let store = world.store(id).unwrap();
    match Recovery::read(store, RETRY, job()) {
        Ok(recovery) => Some(recovery.checkpoint().expect("a log without checkpoints is damaged").seq()),
        Err(CheckpointError::Damaged { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Tells the world when a process is gone, also by a panic.
struct Gone<'a>(&'a World, usize);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.gone(self.1);
    }
}

struct Process {
    world: Arc<World>,
    id: usize,
    store: Arc<dyn Store>,
    rng: ChaCha8Rng,
    generation: Generation,
    run: Run,
    cuts: CutsLog,
    replay: VecDeque<Cut>,
    /// The next epoch.
    epoch: Epoch,
    offset: u64,
    /// What was handed over of each group.
    handed_over: BTreeMap<StateKey, u64>,
    checkpointed: Option<Epoch>,
}

impl Process {
    fn begin(world: &Arc<World>, id: usize) -> Result<Self, CheckpointError> {
        let store = RETRY.run(|| world.store(id))?;
        let recovery = Recovery::read(Arc::clone(&store), RETRY, job())?;
        let Restart { run, cuts_log, resumption } = recovery.begin()?;
        let Resumption { generation, first_epoch, checkpoint, cuts } = resumption;
        let base = checkpoint.as_ref().map_or(0, |found| found.seq());
        world.begun(Begun { generation: generation.0, base }, cuts.len());
        let offset = checkpoint.as_ref().map_or(0, |found| found.positions()[0].offset);
        let handed_over = keys().map(|key| (key, sum(key, offset))).collect();
        if let Some(found) = &checkpoint {
            for key in keys() {
                let restored = found.sections(key.0, &key.1.into()).fold(0, |state, section| {
                    let number = number_of(key.1, &section.bytes);
                    if section.kind == Kind::Full { number } else { number.wrapping_add(state) }
                });
                assert_eq!(restored, sum(key, offset), "the state of {key:?} at {offset}");
            }
        }
        Ok(Self {
            world: Arc::clone(world),
            id,
            store,
            rng: ChaCha8Rng::seed_from_u64(id as u64),
            generation,
            run,
            cuts: cuts_log,
            replay: cuts.into(),
            epoch: first_epoch,
            offset,
            handed_over,
            checkpointed: None,
        })
    }

    /// Cuts so many epochs, with checkpoints and sweeps between them.
    fn run(&mut self, epochs: usize) -> Result<(), CheckpointError> {
        let mut left = epochs;
        while left > 0 {
            let group = self.rng.random_range(1..4).min(left);
            left -= group;
            self.cut(group)?;
            if self.rng.random_bool(0.4) {
                self.checkpoint()?;
            }
            if self.rng.random_bool(0.15) {
                self.run.sweep(KEEP)?;
            }
        }
        Ok(())
    }

    /// Reads some epochs, makes their cuts durable and writes them to the sink.
    fn cut(&mut self, count: usize) -> Result<(), CheckpointError> {
        let mut cuts = Vec::new();
        let mut records = Vec::new();
        for _ in 0..count {
            let cut = self.replay.pop_front().unwrap_or_else(|| {
                let epoch = Epoch(self.epoch.0 + self.rng.random_range(0..2));
                Cut { epoch, positions: at(self.offset + self.rng.random_range(1..5)) }
            });
            self.epoch = cut.epoch.next();
            records.push(((self.offset, cut.positions[0].offset), (self.generation.0, cut.epoch.0)));
            self.offset = cut.positions[0].offset;
            cuts.push(cut);
        }
        self.cuts.write(&cuts)?;
        for (records, version) in records {
            self.world.sink_write(self.id, records, version)?;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), CheckpointError> {
        if self.epoch.0 == 0 {
            return Ok(());
        }
        let epoch = Epoch(self.epoch.0 - 1);
        if self.checkpointed == Some(epoch) {
            return Ok(());
        }
        let place = (self.generation, epoch, 0, 0);
        let sections = self.hand_over();
        let written = if sections.is_empty() { Vec::new() } else { write_files(&*self.store, RETRY, place, sections)? };
        if self.rng.random_bool(0.1) {
            // On threads of its own the sweep of one checkpoint meets the files of the next.
            self.run.sweep(KEEP)?;
        }
        let seq = self.run.commit(epoch, at(self.offset), serde_json::Value::Null, written)?;
        self.cuts.roll();
        self.checkpointed = Some(epoch);
        let (generation, epoch, offset) = (self.generation.0, epoch.0, self.offset);
        self.world.acknowledged(Acknowledged { generation, seq, epoch, offset });
        Ok(())
    }

    /// The groups that have changed, some of them in full, some in a section with others.
    fn hand_over(&mut self) -> Vec<Section> {
        let mut sections: Vec<Section> = Vec::new();
        for key in keys() {
            let (now, before) = (sum(key, self.offset), self.handed_over[&key]);
            let full = self.rng.random_bool(0.2);
            if now != before || full {
                let (kind, number) = if full { (Kind::Full, now) } else { (Kind::Changes, now.wrapping_sub(before)) };
                let bytes = [key.1.0.to_le_bytes().as_slice(), &number.to_le_bytes()].concat();
                match sections.last_mut().filter(|last| (last.operator, last.kind) == (key.0, kind)) {
                    Some(last) if self.rng.random_bool(0.7) => {
                        last.groups.insert(key.1);
                        last.bytes = [&last.bytes[..], &bytes].concat().into();
                    }
                    _ => {
                        let bytes = bytes.into();
                        sections.push(Section { operator: key.0, groups: key.1.into(), kind, added: 0, bytes });
                    }
                }
                self.handed_over.insert(key, now);
            }
        }
        sections
    }
}

/// What a section holds of a group.
fn number_of(group: KeyGroup, bytes: &[u8]) -> u64 {
    let mut entries = bytes.chunks_exact(size_of::<u16>() + size_of::<u64>()).map(|entry| entry.split_at(2));
    let (_, number) = entries.find(|(of, _)| *of == group.0.to_le_bytes()).expect("the section has a part of it");
    u64::from_le_bytes(number.try_into().unwrap())
}

/// What an operator holds of a group when it has read the records before `offset`.
fn sum((operator, group): StateKey, offset: u64) -> u64 {
    let records = (0..offset).filter(|record| record % u64::from(GROUPS) == u64::from(group.0));
    records.fold(0, |sum: u64, record| sum.wrapping_add((record + operator.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn keys() -> impl Iterator<Item = StateKey> {
    OPERATORS.into_iter().flat_map(|operator| (0..GROUPS).map(move |group| (operator, KeyGroup(group))))
}

fn at(offset: u64) -> Vec<Position> {
    let partition = Arc::new(PartitionId { source: "orders".into(), name: "0".into() });
    vec![Position { partition, identity: String::new(), offset }]
}

fn job() -> JobFacts {
    let operators = OPERATORS.map(|id| OperatorFacts { id, name: id.to_string() }).to_vec();
    let (digest, generation_seen) = ("d".to_owned(), Generation(0));
    JobFacts { digest, workers: 1, key_groups: usize::from(GROUPS), operators, fresh: false, generation_seen }
}
