//! The last step of objects' rows: they become attributes of the graph.

use super::LiveGraph;
use super::attributes::Given;
use super::forget::Forgotten;
use super::kind::group_of;
use super::rows::{batch_of, ids_of, misfit};
use super::watch::Ends;
use crate::columns::{key_hashes, text};
use crate::graph::KindId;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, KeyGroup, KeyGroupSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Writes attributes of objects. Reads a stream that is netted by the id, on the worker that owns the id: one row at
/// most for an id in an epoch; and on input 1 objects to forget, routed by their texts.
pub struct Describe {
    graph: Arc<LiveGraph>,
    kind: KindId,
    id: usize,
    attributes: Vec<usize>,
    /// A key group of this worker.
    group: Option<KeyGroup>,
    /// Where checkpoints are on: the objects that have changed since the last save.
    changed: Option<BTreeSet<u32>>,
    /// Where somebody watches: the objects that have changed in this epoch.
    told: Ends,
    described: u64,
    epoch: u64,
    forgotten: Forgotten,
}

impl Describe {
    /// For rows whose id is in column `id`; `attributes` are in the order of the catalogue.
    #[must_use]
    pub fn new(graph: Arc<LiveGraph>, kind: KindId, id: usize, attributes: Vec<usize>) -> Self {
        let (forgotten, told) = (Forgotten::default(), Ends::default());
        Self { graph, kind, id, attributes, group: None, changed: None, told, described: 0, epoch: 0, forgotten }
    }

    fn set(&mut self, id: u32, given: Option<(&Given, usize)>) {
        let kind = self.graph.kind(self.kind);
        self.group = Some(group_of(id));
        let before = kind.is_described(id);
        match given {
            Some((given, row)) => kind.describe(id, given, row),
            None => kind.undescribe(id),
        }
        self.described = self.described + u64::from(given.is_some()) - u64::from(before);
    }

    /// An object is not described as it was before this epoch.
    fn note(&mut self, id: u32) {
        if let Some(changed) = &mut self.changed {
            changed.insert(id);
        }
        if self.graph.is_told_of(self.kind) {
            self.told.note(id);
        }
    }

    /// The attributes of some objects of one key group, in batches as [`Describe::read`] takes them.
    fn batches(&self, ids: &[u32]) -> Vec<arrow::array::RecordBatch> {
        let kind = self.graph.kind(self.kind);
        let (there, gone): (Vec<u32>, Vec<u32>) = ids.iter().partition(|&&id| kind.is_described(id));
        let batch = |ids: Vec<u32>, is_there: bool| {
            let flags: ArrayRef = Arc::new(BooleanArray::from(vec![is_there; ids.len()]));
            let attributes = if is_there { kind.export(&ids) } else { Vec::new() };
            batch_of([Arc::new(UInt32Array::from(ids)), flags].into_iter().chain(attributes).collect())
        };
        let batches = [(there, true), (gone, false)].into_iter().filter(|(ids, _)| !ids.is_empty());
        batches.map(|(ids, is_there)| batch(ids, is_there)).collect()
    }
}

impl Operator for Describe {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if input == 1 {
            return self.forgotten.note(&self.graph, &changes);
        }
        let (hashes, texts) = (key_hashes(&changes, self.id), text(changes.column(self.id)));
        let attributes = self.attributes.iter().map(|&column| changes.column(column));
        let given = Given::of(&self.graph.catalogue[self.kind].attributes, attributes);
        for (row, &hash) in hashes.iter().enumerate().filter(|(row, _)| texts.is_valid(*row)) {
            let id = self.graph.kind(self.kind).intern(self.epoch, hash, texts.value(row));
            self.set(id, (changes.weight(row) > 0).then_some((&given, row)));
            self.note(id);
        }
        self.graph.changed();
    }

    fn finish(&mut self, end: EpochEnd, _out: &mut Outbox) {
        for (hash, text) in self.forgotten.take(self.kind).collect::<Vec<_>>() {
            if let Some(id) = self.graph.kind(self.kind).leave(end.epoch.0, hash, &text) {
                self.set(id, None);
                self.graph.changed();
                self.note(id);
            }
        }
        self.epoch = end.epoch.0 + 1;
        if let Some(group) = self.group {
            self.graph.kind(self.kind).settle(group);
        }
        self.graph.tell_described(self.kind, std::mem::take(&mut self.told));
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.changed = Some(BTreeSet::new());
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        for group in rewrite.iter() {
            let ids = self.graph.kind(self.kind).described_in(group);
            self.batches(&ids).iter().for_each(|batch| out.full(group, batch));
        }
        let mut groups = BTreeMap::<KeyGroup, Vec<u32>>::new();
        for id in self.changed.replace(BTreeSet::new()).unwrap_or_default() {
            groups.entry(group_of(id)).or_default().push(id);
        }
        for (group, ids) in groups.into_iter().filter(|(group, _)| !rewrite.contains(*group)) {
            self.batches(&ids).iter().for_each(|batch| out.changes(group, batch));
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let graph = Arc::clone(&self.graph);
        while let Some(batch) = state.next_batch()? {
            let [ids, flags, attributes @ ..] = batch.columns() else { return Err(misfit()) };
            let flags = flags.as_boolean_opt().ok_or_else(misfit)?;
            let catalogued = &graph.catalogue[self.kind].attributes;
            let given = Given::of(catalogued, attributes);
            for (row, &id) in ids_of(ids)?.iter().enumerate() {
                let is_there = flags.value(row);
                if is_there && attributes.len() != catalogued.len() {
                    return Err(misfit());
                }
                self.set(id, is_there.then_some((&given, row)));
            }
            graph.changed();
        }
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { keys: self.described, ..OperatorStats::default() }
    }
}
