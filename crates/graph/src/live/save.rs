//! The ids of a kind in checkpoints.

use super::LiveGraph;
use super::forget::Forgotten;
use super::rows::{batch_of, misfit};
use crate::graph::KindId;
use arrow::array::{AsArray, StringArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroup, KeyGroupSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Saves the texts of a kind, and takes back those of objects to forget, routed by their texts.
/// Reads besides what all operators put out that give ids of the kind, and so saves after them: what
/// they have given in later epochs is saved too and does no harm, for nothing refers to it yet.
pub struct SaveNames {
    graph: Arc<LiveGraph>,
    kind: KindId,
    owned: KeyGroupSet,
    /// How many texts of each key group stand in the last save.
    saved: Vec<u32>,
    /// The numbers of each key group that were forgotten since the last save.
    gone: BTreeMap<KeyGroup, Vec<u32>>,
    forget: Option<usize>,
    forgotten: Forgotten,
}

impl SaveNames {
    /// For the ids of this kind. Objects to forget come on input `forget`, if any do.
    #[must_use]
    pub fn new(graph: Arc<LiveGraph>, kind: KindId, forget: Option<usize>) -> Self {
        let (owned, forgotten) = (KeyGroupSet::none(), Forgotten::default());
        Self { graph, kind, owned, saved: vec![0; KEY_GROUPS], gone: BTreeMap::new(), forget, forgotten }
    }
}

impl Operator for SaveNames {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if Some(input) == self.forget {
            self.forgotten.note(&self.graph, &changes);
        }
    }

    /// All that gives ids has ended the epoch, and all edges of whom it forgets are gone: now their texts may go.
    fn finish(&mut self, end: EpochEnd, _out: &mut Outbox) {
        for (hash, _) in self.forgotten.take(self.kind) {
            let group = KeyGroup::of(hash, KEY_GROUPS);
            let gone = self.graph.kind(self.kind).names(group).write().forget(end.epoch.0);
            self.gone.entry(group).or_default().extend(gone);
        }
    }

    fn track(&mut self, owned: &KeyGroupSet) {
        self.owned = *owned;
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        for group in self.owned.iter() {
            let names = self.graph.kind(self.kind).names(group).read();
            let names = &names.table;
            let first = std::mem::replace(&mut self.saved[usize::from(group.0)], names.len() as u32);
            let whole = rewrite.contains(group);
            let numbers = if whole { 0 } else { first }..names.len() as u32;
            // What came since the last save and is gone has no text below.
            let mut gone = self.gone.remove(&group).unwrap_or_default();
            gone.retain(|&number| number < first);
            if !whole && !gone.is_empty() {
                out.changes(group, &batch_of(vec![Arc::new(UInt32Array::from(gone))]));
            }
            if numbers.is_empty() {
                continue;
            }
            let rows = batch_of(vec![Arc::new(numbers.map(|number| names.get(number)).collect::<StringArray>())]);
            if whole { out.full(group, &rows) } else { out.changes(group, &rows) }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let mut names = self.graph.kind(self.kind).names(state.group()).write();
        let names = &mut names.table;
        while let Some(batch) = state.next_batch()? {
            let [texts] = batch.columns() else { return Err(misfit()) };
            if let Some(gone) = texts.as_primitive_opt::<UInt32Type>() {
                gone.values().iter().for_each(|&number| names.forget(number));
                continue;
            }
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
