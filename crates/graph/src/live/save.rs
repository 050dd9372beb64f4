//! The ids of a kind in checkpoints.

use super::LiveGraph;
use super::rows::{batch_of, misfit};
use crate::graph::KindId;
use arrow::array::{AsArray, StringArray};
use proxima_engine::{Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroupSet};
use std::sync::Arc;

/// Saves the texts of a kind. Reads what all operators put out that give ids of the kind, and so saves after them: what
/// they have given in later epochs is saved too and does no harm, for nothing refers to it yet.
pub struct SaveNames {
    graph: Arc<LiveGraph>,
    kind: KindId,
    owned: KeyGroupSet,
    /// How many texts of each key group stand in the last save.
    saved: Vec<u32>,
}

impl SaveNames {
    /// For the ids of this kind.
    #[must_use]
    pub fn new(graph: Arc<LiveGraph>, kind: KindId) -> Self {
        Self { graph, kind, owned: KeyGroupSet::none(), saved: vec![0; KEY_GROUPS] }
    }
}

impl Operator for SaveNames {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {}

    fn track(&mut self, owned: &KeyGroupSet) {
        self.owned = *owned;
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        for group in self.owned.iter() {
            let names = self.graph.kind(self.kind).names(group).read();
            let first = std::mem::replace(&mut self.saved[usize::from(group.0)], names.len() as u32);
            let whole = rewrite.contains(group);
            let numbers = if whole { 0 } else { first }..names.len() as u32;
            if numbers.is_empty() {
                continue;
            }
            let rows = batch_of(vec![Arc::new(numbers.map(|number| names.get(number)).collect::<StringArray>())]);
            if whole { out.full(group, &rows) } else { out.changes(group, &rows) }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let mut names = self.graph.kind(self.kind).names(state.group()).write();
        while let Some(batch) = state.next_batch()? {
            let [texts] = batch.columns() else { return Err(misfit()) };
            let hashes = hash_columns(batch.columns(), batch.num_rows());
            for (text, hash) in texts.as_string_opt::<i32>().ok_or_else(misfit)?.iter().zip(hashes) {
                match text {
                    Some(text) => _ = names.intern(hash, text),
                    None => names.skip(),
                }
            }
        }
        self.saved[usize::from(state.group().0)] = names.len() as u32;
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let sizes = self.owned.iter().map(|group| self.graph.kind(self.kind).size(group));
        let (keys, bytes) = sizes.fold((0, 0), |(keys, bytes), size| (keys + size.0, bytes + size.1));
        OperatorStats { keys, bytes, ..OperatorStats::default() }
    }
}
