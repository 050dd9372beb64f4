//! Rows of a relation with ids in place of texts: on their way into a shard, and in checkpoints.

use super::attributes::Given;
use super::edges::StoredEdge;
use super::kind::{KindStore, group_of};
use super::shard::RowChange;
use crate::catalogue::Relation;
use crate::graph::NO_TIME;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
use proxima_engine::SnapshotError;
use proxima_event::{KEY_GROUPS, KeyGroup};
use std::ops::Range;
use std::sync::Arc;

/// Rows of one relation. Weights are what is added to the weight of the edge.
#[derive(Clone, Debug)]
pub(super) struct EdgeRows {
    pub(super) subjects: Vec<u32>,
    pub(super) objects: Vec<u32>,
    pub(super) weights: Vec<i64>,
    /// Empty where the relation has no times.
    pub(super) times_us: Vec<i64>,
    pub(super) given: Given,
}

impl EdgeRows {
    pub(super) fn len(&self) -> usize {
        self.subjects.len()
    }

    pub(super) fn time_us(&self, row: usize) -> i64 {
        self.times_us.get(row).copied().unwrap_or(NO_TIME)
    }

    pub(super) fn newest_us(&self) -> Option<i64> {
        self.times_us.iter().copied().max()
    }

    /// The edge that a row makes; the place of its attributes is not known yet.
    pub(super) fn edge(&self, row: usize) -> StoredEdge {
        let (object, weight) = (self.objects[row], self.weights[row]);
        StoredEdge { object, weight, time_us: self.time_us(row), row: super::attributes::NO_ROW }
    }

    /// What a row changes, where its objects are of this kind.
    pub(super) fn change<'a>(&'a self, row: usize, objects: &'a KindStore) -> RowChange<'a> {
        RowChange {
            subject: self.subjects[row],
            object: self.objects[row],
            weight: self.weights[row],
            time_us: self.time_us(row),
            given: &self.given,
            row,
            objects,
        }
    }

    /// As a checkpoint holds them: subject, object, weight, time where there is one, attributes.
    pub(super) fn to_batch(&self) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.subjects.clone())),
            Arc::new(UInt32Array::from(self.objects.clone())),
            Arc::new(Int64Array::from(self.weights.clone())),
        ];
        if !self.times_us.is_empty() {
            columns.push(Arc::new(Int64Array::from(self.times_us.clone())));
        }
        columns.extend(self.given.columns());
        batch_of(columns)
    }

    pub(super) fn from_batch(batch: &RecordBatch, relation: &Relation) -> Result<Self, SnapshotError> {
        let fixed = 3 + usize::from(relation.timed);
        if batch.num_columns() != fixed + relation.attributes.len() {
            return Err(misfit());
        }
        let ids = |column: usize| {
            let ids = batch.column(column).as_primitive_opt::<UInt32Type>();
            Ok::<_, SnapshotError>(ids.ok_or_else(misfit)?.values().to_vec())
        };
        let numbers = |column: usize| {
            let numbers = batch.column(column).as_primitive_opt::<Int64Type>();
            Ok::<_, SnapshotError>(numbers.ok_or_else(misfit)?.values().to_vec())
        };
        Ok(Self {
            subjects: ids(0)?,
            objects: ids(1)?,
            weights: numbers(2)?,
            times_us: if relation.timed { numbers(3)? } else { Vec::new() },
            given: Given::of(&relation.attributes, &batch.columns()[fixed..]),
        })
    }

    /// The rows that are not older than a bound.
    pub(super) fn since(self, bound_us: i64, relation: &Relation) -> Self {
        if self.times_us.iter().all(|&time| time >= bound_us) {
            return self;
        }
        let kept: UInt32Array =
            (0..self.len()).filter(|&row| self.times_us[row] >= bound_us).map(|row| Some(row as u32)).collect();
        let rows = take_record_batch(&self.to_batch(), &kept).expect("row numbers are within the batch");
        Self::from_batch(&rows, relation).expect("it was made of such rows")
    }
}

/// Columns whose names nobody reads.
pub(super) fn batch_of(columns: Vec<ArrayRef>) -> RecordBatch {
    let field = |(number, column): (usize, &ArrayRef)| Field::new(number.to_string(), column.data_type().clone(), true);
    let fields: Vec<Field> = columns.iter().enumerate().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the columns have one value for each row")
}

/// Rows in the order of their key groups, and where each group's stand.
type Grouped = (RecordBatch, Vec<(KeyGroup, Range<usize>)>);

/// Batches that begin with a column of ids as one, by key group, and where each group's rows stand.
pub(super) fn by_group(batches: &[RecordBatch]) -> Option<Grouped> {
    let all = concat_batches(&batches.first()?.schema(), batches).expect("the batches are alike");
    let ids = all.column(0).as_primitive::<UInt32Type>().values();
    let (order, ranges) = order_by_group(ids);
    let rows = take_record_batch(&all, &UInt32Array::from(order)).expect("row numbers are within the batch");
    Some((rows, ranges))
}

/// The places of ids by key group, in their order within each, and where each group's are.
fn order_by_group(ids: &[u32]) -> (Vec<u32>, Vec<(KeyGroup, Range<usize>)>) {
    let mut next = [0; KEY_GROUPS];
    ids.iter().for_each(|&id| next[usize::from(group_of(id).0)] += 1);
    let (mut ranges, mut end) = (Vec::new(), 0);
    for (group, next) in (0..).map(KeyGroup).zip(&mut next) {
        let start = end;
        end += std::mem::replace(next, start);
        ranges.extend((start < end).then_some((group, start..end)));
    }
    let mut order = vec![0; ids.len()];
    for (row, &id) in (0..).zip(ids) {
        let next = &mut next[usize::from(group_of(id).0)];
        order[*next] = row;
        *next += 1;
    }
    (order, ranges)
}

/// The newest time of a relation, as a checkpoint holds it beside the rows: a batch of one column.
pub(super) fn newest_batch(newest_us: i64) -> RecordBatch {
    batch_of(vec![Arc::new(Int64Array::from(vec![newest_us]))])
}

/// The time in a batch of [`newest_batch`]'s.
pub(super) fn newest_of(batch: &RecordBatch) -> Option<i64> {
    let [column] = batch.columns() else { return None };
    column.as_primitive_opt::<Int64Type>().filter(|times| !times.is_empty()).map(|times| times.value(0))
}

pub(super) fn misfit() -> SnapshotError {
    SnapshotError::Mismatch("the rows are not those of the job's graph".into())
}

/// Whether a column of ids can be read.
pub(super) fn ids_of(column: &ArrayRef) -> Result<&[u32], SnapshotError> {
    match column.data_type() {
        DataType::UInt32 => Ok(column.as_primitive::<UInt32Type>().values()),
        _ => Err(misfit()),
    }
}
