//! Checkpoints in memory that survive a run, for tests that crash runs.

use parking_lot::Mutex;
use proxima_engine::{Bundle, Bundles, CheckpointStore, Commit, Cut, OperatorState, Restored, SavedState, SectionKind};
use proxima_event::{Epoch, KeyGroupSet, PartitionId, Position};
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

/// The bundles of a checkpoint by operator, each with the key groups for which it counts.
#[derive(Clone, Default)]
struct Chains(BTreeMap<String, Vec<Bundle>>);

impl Chains {
    /// Adds what an operator saved.
    fn add(&mut self, state: OperatorState) {
        let OperatorState { operator, rewritten, bundles } = state;
        let chain = self.0.entry(operator).or_default();
        let full = bundles.iter().filter(|bundle| bundle.kind == SectionKind::Full);
        let whole = full.fold(rewritten, |whole, bundle| whole.union(&bundle.groups));
        for bundle in &mut *chain {
            bundle.groups = bundle.groups.iter().filter(|&group| !whole.contains(group)).collect();
        }
        chain.retain(|bundle| !bundle.groups.is_empty());
        chain.extend(bundles);
    }
}

impl SavedState for Chains {
    fn bundles<'a>(&'a self, operator: &str, groups: &KeyGroupSet) -> Result<Bundles<'a>, String> {
        let groups = *groups;
        let bundles = self.0.get(operator).into_iter().flatten().cloned();
        let bundles = bundles.map(move |bundle| Bundle { groups: bundle.groups.intersection(&groups), ..bundle });
        Ok(Box::new(bundles.filter(|bundle| !bundle.groups.is_empty())))
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
