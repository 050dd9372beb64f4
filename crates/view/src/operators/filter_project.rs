//! WHERE and SELECT without memory: keeps the rows that meet a predicate and computes columns from them.
//!
//! The only operator that evaluates expressions. Weights pass through. A row on which an expression fails (a division
//! by zero, a text that is no number in a `CAST`) is left out and counted, as a batch query cannot: it would fail as a
//! whole. The taking back of such a row fails as well, so nothing is left over.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use datafusion_common::{DataFusionError, Result};
use datafusion_physical_expr::PhysicalExpr;
use proxima_engine::{Operator, OperatorStats, Outbox};
use proxima_event::{Changes, Weights};
use std::borrow::Cow;
use std::sync::Arc;

/// Filters rows, then computes columns.
pub struct FilterProject {
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// What `columns` read, computed before rows are left out; `None` for all columns as they come.
    read: Option<(Vec<Arc<dyn PhysicalExpr>>, SchemaRef)>,
    columns: Option<Vec<Arc<dyn PhysicalExpr>>>,
    output: SchemaRef,
    failed: u64,
}

impl FilterProject {
    /// Keeps the rows for which `predicate` is true (all, without one) and computes `columns` from them (`None` keeps
    /// the columns as they are). `output` names the columns that go out.
    #[must_use]
    pub fn new(
        predicate: Option<Arc<dyn PhysicalExpr>>,
        columns: Option<Vec<Arc<dyn PhysicalExpr>>>,
        output: SchemaRef,
    ) -> Self {
        Self { predicate, read: None, columns, output, failed: 0 }
    }

    /// Says what `columns` read: their columns are then those of `schema`, computed by `read` at next to no cost. Only
    /// these are copied when rows are left out, not what only the predicate needs.
    #[must_use]
    pub fn reading(mut self, read: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef) -> Self {
        self.read = Some((read, schema));
        self
    }

    fn filter(&self, changes: Changes) -> Result<Changes> {
        let Some(predicate) = &self.predicate else { return self.read(changes) };
        let verdict = predicate.evaluate(&changes.rows)?.into_array(changes.len())?;
        let verdict = verdict.as_boolean();
        let keep =
            if verdict.null_count() > 0 { Cow::Owned(prep_null_mask_filter(verdict)) } else { Cow::Borrowed(verdict) };
        let kept = keep.true_count();
        if kept == 0 {
            return Ok(Changes::empty(changes.rows.schema()));
        }
        let changes = self.read(changes)?;
        if kept == changes.len() {
            return Ok(changes);
        }
        let rows = filter_record_batch(&changes.rows, &keep)?;
        Ok(Changes { weights: kept_weights(&changes.weights, &keep), ..Changes::inserts(rows) })
    }

    fn read(&self, changes: Changes) -> Result<Changes> {
        match &self.read {
            None => Ok(changes),
            Some((read, schema)) => Ok(changes.with_rows(computed(read, schema, &changes.rows)?)),
        }
    }

    fn project(&self, changes: &Changes) -> Result<RecordBatch> {
        match &self.columns {
            Some(columns) => computed(columns, &self.output, &changes.rows),
            None => batch(&self.output, changes.rows.columns().to_vec(), changes.len()),
        }
    }
}

fn computed(exprs: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch> {
    let count = rows.num_rows();
    let columns = exprs.iter().map(|expr| expr.evaluate(rows)?.into_array(count)).collect::<Result<_>>()?;
    batch(schema, columns, count)
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn kept_weights(weights: &Weights, keep: &BooleanArray) -> Weights {
    match weights {
        Weights::Ones => Weights::Ones,
        Weights::Rows(weights) => Weights::Rows(keep.values().set_indices().map(|row| weights[row]).collect()),
    }
}

impl FilterProject {
    fn evaluate(&self, changes: Changes) -> Result<Changes> {
        let changes = self.filter(changes)?;
        if changes.is_empty() {
            return Ok(Changes::empty(Arc::clone(&self.output)));
        }
        let rows = self.project(&changes)?;
        Ok(changes.with_rows(rows))
    }

    /// Halves a batch that fails until the rows that fail stand alone.
    fn evaluate_parts(&mut self, changes: &Changes, out: &mut Outbox) {
        match self.evaluate(changes.clone()) {
            Ok(changes) => out.push(changes),
            Err(error) if changes.len() == 1 => self.leave_out(&error),
            Err(_) => {
                let rows: Vec<u32> = (0..changes.len() as u32).collect();
                let (first, second) = rows.split_at(rows.len() / 2);
                self.evaluate_parts(&changes.take(first), out);
                self.evaluate_parts(&changes.take(second), out);
            }
        }
    }

    fn leave_out(&mut self, error: &DataFusionError) {
        if self.failed == 0 {
            tracing::warn!(%error, "an expression fails on a row, which is left out; further ones are only counted");
        }
        self.failed += 1;
    }

    /// How many rows were left out because an expression failed on them.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }
}

impl Operator for FilterProject {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        self.evaluate_parts(&changes, out);
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { failed: self.failed, ..OperatorStats::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{Row, V, batch, rows_of, schema};
    use arrow::datatypes::DataType;
    use datafusion_common::ScalarValue;
    use datafusion_expr::Operator as Op;
    use datafusion_physical_expr::expressions::{binary, col, lit};

    fn run(predicate: bool, rows: &[Row], weights: Vec<i64>) -> (Vec<(Row, i64)>, u64) {
        let input = schema(&[DataType::Int64, DataType::Int64]);
        let column = |name| col(name, &input).unwrap();
        // WHERE c1 < 5, SELECT c0 / c1
        let filter = binary(column("c1"), Op::Lt, lit(ScalarValue::Int64(Some(5))), &input).unwrap();
        let quotient = binary(column("c0"), Op::Divide, column("c1"), &input).unwrap();
        let output = schema(&[DataType::Int64]);
        let mut operator = FilterProject::new(predicate.then_some(filter), Some(vec![quotient]), output);
        let mut out = Outbox::default();
        operator.apply(0, Changes::weighted(batch(&input, rows), weights), &mut out);
        let rows = out.drain().flat_map(|changes| {
            let weights: Vec<i64> = (0..changes.len()).map(|row| changes.weight(row)).collect();
            rows_of(&changes.rows).into_iter().zip(weights).collect::<Vec<_>>()
        });
        (rows.collect(), operator.failed())
    }

    #[test]
    fn keeps_rows_that_are_true_with_their_weights() {
        let row = |a: i128, b: Option<i128>| vec![V::Int(a), b.map_or(V::Null, V::Int)];
        let rows = [row(8, Some(2)), row(8, Some(6)), row(8, None), row(9, Some(-3))];
        let (kept, failed) = run(true, &rows, vec![1, 1, 1, -2]);
        assert_eq!(kept, [(vec![V::Int(4)], 1), (vec![V::Int(-3)], -2)]);
        assert_eq!(failed, 0);
        let (all, _) = run(false, &rows, vec![1, 1, 1, -2]);
        assert_eq!(all.len(), 4);
        assert_eq!(all[2], (vec![V::Null], 1));
    }

    #[test]
    fn a_row_that_fails_is_left_out_alone() {
        let row = |a, b| vec![V::Int(a), V::Int(b)];
        let (kept, failed) = run(false, &[row(1, 1), row(1, 0), row(2, 1), row(3, 1), row(4, 0)], vec![1; 5]);
        assert_eq!(kept.iter().map(|(row, _)| row[0].clone()).collect::<Vec<_>>(), [1, 2, 3].map(V::Int));
        assert_eq!(failed, 2);
    }

    #[test]
    fn only_what_is_read_is_kept_when_rows_are_left_out() {
        let input = schema(&[DataType::Int64, DataType::Int64]);
        let filter = binary(col("c0", &input).unwrap(), Op::Lt, lit(ScalarValue::Int64(Some(3))), &input).unwrap();
        let narrow = schema(&[DataType::Int64]);
        let read = vec![col("c1", &input).unwrap()];
        let twice =
            |schema: &SchemaRef| binary(col("c0", schema).unwrap(), Op::Plus, col("c0", schema).unwrap(), schema);
        for predicate in [Some(filter), None] {
            let all = predicate.is_none();
            let mut operator = FilterProject::new(predicate, Some(vec![twice(&narrow).unwrap()]), narrow.clone())
                .reading(read.clone(), narrow.clone());
            let rows = [vec![V::Int(1), V::Int(10)], vec![V::Int(3), V::Int(30)]];
            let mut out = Outbox::default();
            operator.apply(0, Changes::weighted(batch(&input, &rows), vec![1, 2]), &mut out);
            let out: Vec<Changes> = out.drain().collect();
            let expected = if all { vec![vec![V::Int(20)], vec![V::Int(60)]] } else { vec![vec![V::Int(20)]] };
            assert_eq!(rows_of(&out[0].rows), expected);
            assert_eq!(out[0].weight(0), 1);
        }
    }
}
