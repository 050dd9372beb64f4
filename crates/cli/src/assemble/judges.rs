//! Judges of recommendations, told what happens by the rows of relations.

use crate::evaluate::Texts;
use crate::job::JobPlan;
use arrow::array::{Array, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, Rows, SortField};
use proxima_engine::{EpochEnd, NodeId, Operator, Outbox, Route, SnapshotError, StateReader, StateWriter, Topology};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet};
use proxima_graph::{Graph, KindId, LiveGraph, RelationColumns, RelationInput};
use proxima_recommend::evaluate::{LiveJudge, Metrics, Saved};
use std::collections::HashMap;
use std::sync::Arc;

/// A judge at work.
#[derive(Clone)]
pub struct Judged {
    /// The recommendation or split that is judged.
    pub name: String,
    /// The relation whose rows tell what was wanted.
    pub by: String,
    /// What judges.
    pub judge: Arc<LiveJudge>,
    graph: Arc<LiveGraph>,
    item: KindId,
}

impl Judged {
    /// The figures of each variant.
    #[must_use]
    pub fn metrics(&self) -> Vec<(String, Metrics)> {
        let items = self.graph.population(self.item);
        self.judge.metrics(usize::try_from(items).unwrap_or(usize::MAX))
    }
}

/// How the identities of operators begin that tell judges. One without state has figures that begin anew.
pub const JUDGES: &str = "judge ";

/// The judges of a job, told of each new row of their relations, and of what is forgotten. Rows that are taken back have
/// happened all the same.
pub(super) fn add_judges(
    job: &JobPlan,
    (relations, forget): (&[RelationInput], Option<NodeId>),
    (graph, began): (&Arc<LiveGraph>, Epoch),
    topology: &mut Topology,
) -> Vec<Judged> {
    let mut judges = Vec::new();
    for (name, plan) in &job.judges {
        let input = relations.iter().find(|input| input.relation == plan.by).expect("every relation has an input");
        let relation = &job.catalogue[plan.by];
        let judge = Arc::new(LiveJudge::new(plan.k));
        let kinds = [relation.subject, relation.object].map(|kind| job.catalogue[kind].name.clone());
        let (told, columns) = (Arc::clone(&judge), input.columns);
        // No key: all rows go to one worker, which saves all figures.
        let to_owner = |node| (node, Route::ByKey(Vec::new()));
        let inputs = [Some(input.rows), forget].into_iter().flatten().map(to_owner).collect();
        let node = topology.operator(format!("judge of {name}"), inputs, move || {
            Box::new(Happenings::new(Arc::clone(&told), columns, kinds.clone()))
        });
        topology.identify(node, format!("{JUDGES}{name} by {} at {} since {}", relation.name, plan.k, began.0), true);
        let (by, item) = (relation.name.clone(), relation.object);
        judges.push(Judged { name: name.clone(), by, judge, graph: Arc::clone(graph), item });
    }
    judges
}

/// Tells a judge of the new rows of each epoch, and keeps what it knows in checkpoints.
struct Happenings {
    judge: Arc<LiveJudge>,
    columns: RelationColumns,
    /// The kinds of subjects and of items.
    kinds: [String; 2],
    is_owner: bool,
    /// The rows of this epoch, and what it forgets.
    rows: Vec<Changes>,
    forgotten: Vec<Changes>,
}

impl Happenings {
    fn new(judge: Arc<LiveJudge>, columns: RelationColumns, kinds: [String; 2]) -> Self {
        let (rows, forgotten) = (Vec::new(), Vec::new());
        Self { judge, columns, kinds, is_owner: false, rows, forgotten }
    }

    fn forget(&self, changes: &Changes) {
        let (kinds, ids) = (text(changes, 0), text(changes, 1));
        let is_there = |row: &usize| changes.weight(*row) > 0 && kinds.is_valid(*row) && ids.is_valid(*row);
        for row in (0..changes.len()).filter(is_there) {
            let (kind, id) = (kinds.value(row), ids.value(row));
            let [subjects, items] = &self.kinds;
            if kind == subjects {
                self.judge.forget_subject(id);
            }
            if kind == items {
                self.judge.forget_item(id);
            }
        }
    }
}

fn text(changes: &Changes, column: usize) -> StringViewArray {
    let texts =
        cast(changes.column(column), &DataType::Utf8View).expect("kinds and ids are texts: the job was checked");
    texts.as_string_view().clone()
}

/// The rows of each batch that all of them together add: one that is taken back and comes again as it was, because its
/// business row has changed elsewhere, is nothing new.
fn appeared(batches: &[Changes]) -> Vec<Vec<usize>> {
    let all = |batch: &Changes| (0..batch.len()).collect();
    if batches.iter().all(|batch| (0..batch.len()).all(|row| batch.weight(row) > 0)) {
        return batches.iter().map(all).collect();
    }
    let fields = batches[0].rows.schema_ref().fields().iter().map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(fields.collect()).expect("columns of relations have an order");
    let rows =
        |batch: &Changes| converter.convert_columns(batch.rows.columns()).expect("all batches have these columns");
    let rows: Vec<Rows> = batches.iter().map(rows).collect();
    let mut sums: HashMap<Row<'_>, i64> = HashMap::new();
    for (batch, rows) in batches.iter().zip(&rows) {
        rows.iter().enumerate().for_each(|(row, key)| *sums.entry(key).or_default() += batch.weight(row));
    }
    let mut new = Vec::with_capacity(batches.len());
    for (batch, rows) in batches.iter().zip(&rows) {
        let mut of_batch = Vec::new();
        for (row, key) in rows.iter().enumerate().filter(|(row, _)| batch.weight(*row) > 0) {
            let left = sums.get_mut(&key).expect("each row was added up");
            if *left > 0 {
                *left -= batch.weight(row);
                of_batch.push(row);
            }
        }
        new.push(of_batch);
    }
    new
}

/// The key group that rows without a key belong to.
fn owner() -> KeyGroup {
    KeyGroup::of(hash_columns(&[], 1)[0], KEY_GROUPS)
}

impl Operator for Happenings {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        match input {
            0 => self.rows.push(self.columns.without_nulls(changes)),
            _ => self.forgotten.push(changes),
        }
    }

    fn finish(&mut self, _end: EpochEnd, _out: &mut Outbox) {
        let rows = std::mem::take(&mut self.rows);
        for (rows, new) in rows.iter().zip(appeared(&rows)) {
            let texts = Texts::of(rows, &self.columns);
            for row in new {
                let (subject, object) = texts.of_row(row);
                self.judge.happened(subject, object);
            }
        }
        std::mem::take(&mut self.forgotten).iter().for_each(|forgotten| self.forget(forgotten));
        if self.is_owner {
            self.judge.end_epoch();
        }
    }

    fn own(&mut self, owned: &KeyGroupSet) {
        self.is_owner = owned.contains(owner());
        if self.is_owner {
            self.judge.wait();
        }
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        if self.is_owner {
            self.judge.track();
        }
    }

    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        if !self.is_owner {
            return;
        }
        let Saved { whole, batches } = self.judge.save(rewrite.contains(owner()));
        match whole {
            true => batches.iter().for_each(|batch| out.full(owner(), batch)),
            false => batches.iter().for_each(|batch| out.changes(owner(), batch)),
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        while let Some(batch) = state.next_batch()? {
            let misfit = || SnapshotError::Mismatch("what a judge knows is wanted".to_owned());
            self.judge.load(&batch).ok_or_else(misfit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    #[test]
    fn a_row_that_comes_again_as_it_was_is_not_new() {
        let batch = |values: &[i64], weights: &[i64]| {
            let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
            Changes::weighted(RecordBatch::try_from_iter([("value", values)]).unwrap(), weights.to_vec())
        };
        assert_eq!(appeared(&[batch(&[1, 1], &[1, 1])]), [[0, 1]]);
        // 1 comes again as it was, 2 came twice before it went once, 3 is new.
        let batches = [batch(&[1, 2, 2], &[-1, 1, 1]), batch(&[1, 2, 3], &[1, -1, 1])];
        assert_eq!(appeared(&batches), [vec![1], vec![2]]);
    }
}
