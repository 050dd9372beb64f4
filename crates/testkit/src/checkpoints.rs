//! Checkpoints in memory that survive a run, for tests that crash runs.

use parking_lot::Mutex;
use proxima_engine::{CheckpointStore, Commit, Cut, OperatorState, Restored, SavedState, Section, SectionKind};
use proxima_event::{Epoch, KeyGroup, KeyGroupSet, PartitionId, Position};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What runs have written so far. A crash keeps what was promised to be durable, and some of the rest.
#[derive(Clone, Default)]
pub struct MemoryCheckpoints(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    cuts: Vec<Cut>,
    /// The last epoch whose cut was waited for: it must not be lost.
    durable: Option<u64>,
    /// State by epoch.
    written: BTreeMap<u64, Vec<OperatorState>>,
    committed: Option<(Commit, Arc<Chains>)>,
    /// How often key groups to save whole were asked for.
    asked: u16,
}

/// The sections of a checkpoint by operator and key group.
#[derive(Clone, Default)]
struct Chains(BTreeMap<(String, KeyGroup), Vec<Section>>);

impl Chains {
    /// Adds what an operator saved.
    fn add(&mut self, state: OperatorState) {
        for group in state.rewritten.iter() {
            self.0.remove(&(state.operator.clone(), group));
        }
        for section in state.sections {
            let chain = self.0.entry((state.operator.clone(), section.group)).or_default();
            if section.kind == SectionKind::Full {
                chain.clear();
            }
            chain.push(section);
        }
    }
}

impl SavedState for Chains {
    fn sections(&self, operator: &str, group: KeyGroup) -> Result<Vec<Section>, String> {
        Ok(self.0.get(&(operator.to_owned(), group)).cloned().unwrap_or_default())
    }
}

impl MemoryCheckpoints {
    /// What a run after a crash finds. Of the cuts that nobody waited for, `keeps` says how many are left.
    #[must_use]
    pub fn crash(&self, keeps: usize) -> Restored {
        let mut stored = self.0.lock();
        let durable = stored.durable;
        let promised = stored.cuts.iter().filter(|cut| Some(cut.epoch.0) <= durable).count();
        stored.cuts.truncate(promised + keeps);
        let epoch = stored.committed.as_ref().map(|(commit, _)| commit.epoch);
        stored.cuts.retain(|cut| Some(cut.epoch) > epoch);
        stored.written.clear();
        let checkpoint = stored.committed.as_ref().map(|(commit, _)| commit.clone());
        let state = stored.committed.as_ref().map(|(_, state)| Arc::clone(state) as Arc<dyn SavedState>);
        Restored { checkpoint, state, cuts: stored.cuts.clone() }
    }
}

/// Where the partitions of a cut stand at its end.
fn ends(cut: &Cut) -> BTreeMap<&PartitionId, u64> {
    cut.positions.iter().map(|position| (&*position.partition, position.offset)).collect()
}

impl CheckpointStore for MemoryCheckpoints {
    fn append_cut(&self, cut: Cut) {
        let mut stored = self.0.lock();
        // A replay makes the cuts of the run before it again.
        if let Some(made) = stored.cuts.iter().find(|made| made.epoch == cut.epoch) {
            assert_eq!(ends(made), ends(&cut), "a replayed epoch is cut as it was");
            return;
        }
        assert!(stored.cuts.last().is_none_or(|last| last.epoch < cut.epoch), "cuts come in order");
        stored.cuts.push(cut);
    }

    fn wait_cut(&self, epoch: Epoch, _stopped: &dyn Fn() -> bool) -> Result<(), String> {
        let mut stored = self.0.lock();
        stored.durable = stored.durable.max(Some(epoch.0));
        Ok(())
    }

    /// A few key groups each time, ever others.
    fn rewrites(&self, _operator: &str) -> KeyGroupSet {
        let mut stored = self.0.lock();
        stored.asked = stored.asked.wrapping_add(1);
        let turn = stored.asked % 5;
        KeyGroupSet::all().iter().filter(|group| group.0 % 5 == turn).collect()
    }

    fn write_state(&self, epoch: Epoch, _worker: usize, state: Vec<OperatorState>) -> Result<(), String> {
        self.0.lock().written.entry(epoch.0).or_default().extend(state);
        Ok(())
    }

    fn commit(&self, checkpoint: Commit) -> Result<Vec<Position>, String> {
        let mut stored = self.0.lock();
        let mut chains = stored.committed.as_ref().map(|(_, chains)| Chains::clone(chains)).unwrap_or_default();
        for state in stored.written.remove(&checkpoint.epoch.0).unwrap_or_default() {
            chains.add(state);
        }
        let positions = checkpoint.positions.clone();
        stored.committed = Some((checkpoint, Arc::new(chains)));
        Ok(positions)
    }
}
