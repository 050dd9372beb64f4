//! The first step of a relation's rows: objects get ids at the worker that owns their key group.

use super::LiveGraph;
use super::attributes::Given;
use super::forget::Forgotten;
use super::rows::batch_of;
use crate::columns::{integers, key_hashes, text, times_us};
use crate::config::RelationColumns;
use crate::graph::RelationId;
use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::{Changes, Weights};
use std::sync::Arc;

/// The columns that [`NameObjects`] puts out. Behind them come the attributes; behind these, where the relation
/// [forgets](crate::RelationRules::forgets), whether the row is taken back.
pub(super) mod output {
    /// The subject's text.
    pub(in crate::live) const SUBJECT: usize = 0;
    /// The object's id.
    pub(in crate::live) const OBJECT: usize = 1;
    /// The time in microseconds, where the relation has times.
    pub(in crate::live) const TIME: usize = 2;
}

/// Puts ids in place of objects' texts. Reads a relation routed by its object, and on input 1 objects to forget, routed by
/// their texts. What comes out weighs as much as a row
/// counts, times the relation's own weight; rows that lack subject, object, weight or time relate nothing.
///
/// The ids are kept by the kind's [`SaveNames`](super::SaveNames), which must read what comes out.
pub struct NameObjects {
    graph: Arc<LiveGraph>,
    relation: RelationId,
    columns: RelationColumns,
    attributes: Vec<usize>,
    epoch: u64,
    forgotten: Forgotten,
    /// Whether it was told that a weight is not what the relation's rules are made for.
    warned: bool,
}

impl NameObjects {
    /// For rows with these columns; `attributes` are in the order of the catalogue.
    #[must_use]
    pub fn new(graph: Arc<LiveGraph>, relation: RelationId, columns: RelationColumns, attributes: Vec<usize>) -> Self {
        Self { graph, relation, columns, attributes, epoch: 0, forgotten: Forgotten::default(), warned: false }
    }

    fn ids(&self, changes: &Changes) -> ArrayRef {
        let hashes = key_hashes(changes, self.columns.object);
        let objects = text(changes.column(self.columns.object));
        let kind = self.graph.kind(self.graph.catalogue[self.relation].object);
        Arc::new(UInt32Array::from(kind.intern_all(self.epoch, &hashes, |row| objects.value(row))))
    }

    /// What is taken back of somebody who was forgotten is known by its sign.
    fn warn_of_signs(&mut self, changes: &Changes) {
        let Some(column) = self.columns.weight.filter(|_| !self.warned) else { return };
        if integers(changes.column(column)).values().iter().any(|&weight| weight < 0) {
            self.warned = true;
            tracing::warn!(
                relation = self.graph.catalogue[self.relation].name,
                "a weight is negative: in a job with [forget] its sums may be wrong where rows are taken back; write signed = true \
                 (docs/graph.md)"
            );
        }
    }

    fn weights(&self, changes: &Changes) -> Weights {
        let Some(column) = self.columns.weight else { return changes.weights.clone() };
        let factors = integers(changes.column(column));
        let weigh = |row| changes.weight(row).wrapping_mul(factors.value(row));
        (0..changes.len()).map(weigh).collect::<Vec<_>>().into()
    }
}

impl Operator for NameObjects {
    fn apply(&mut self, input: usize, changes: Changes, out: &mut Outbox) {
        if input == 1 {
            return self.forgotten.note(&self.graph, &changes);
        }
        let changes = self.columns.without_nulls(changes);
        if changes.is_empty() {
            return;
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(text(changes.column(self.columns.subject))), self.ids(&changes)];
        if let Some(time) = self.columns.time {
            columns.push(Arc::new(times_us(changes.column(time))));
        }
        let attributes = self.attributes.iter().map(|&column| changes.column(column));
        columns.extend(Given::of(&self.graph.catalogue[self.relation].attributes, attributes).columns());
        if self.graph.store(self.relation).rules.forgets {
            self.warn_of_signs(&changes);
            let taken_back: BooleanArray = (0..changes.len()).map(|row| Some(changes.weight(row) < 0)).collect();
            columns.push(Arc::new(taken_back));
        }
        out.push(Changes { weights: self.weights(&changes), ..Changes::inserts(batch_of(columns)) });
    }

    fn finish(&mut self, end: EpochEnd, _out: &mut Outbox) {
        let object = self.graph.catalogue[self.relation].object;
        for (hash, text) in self.forgotten.take(object) {
            self.graph.kind(object).leave(end.epoch.0, hash, &text);
        }
        self.epoch = end.epoch.0 + 1;
    }
}
