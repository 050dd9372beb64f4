//! WHERE and SELECT without memory: keeps the rows that meet a predicate and computes columns from them.
//!
//! The only operator that evaluates expressions. Weights pass through.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use datafusion_common::Result;
use datafusion_physical_expr::PhysicalExpr;
use proxima_engine::{Operator, Outbox};
use proxima_event::{Changes, Weights};
use std::borrow::Cow;
use std::sync::Arc;

/// Filters rows, then computes columns.
pub struct FilterProject {
    predicate: Option<Arc<dyn PhysicalExpr>>,
    columns: Option<Vec<Arc<dyn PhysicalExpr>>>,
    output: SchemaRef,
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
        Self { predicate, columns, output }
    }

    fn filter(&self, changes: Changes) -> Result<Changes> {
        let Some(predicate) = &self.predicate else { return Ok(changes) };
        let verdict = predicate.evaluate(&changes.rows)?.into_array(changes.len())?;
        let verdict = verdict.as_boolean();
        let keep =
            if verdict.null_count() > 0 { Cow::Owned(prep_null_mask_filter(verdict)) } else { Cow::Borrowed(verdict) };
        if keep.true_count() == changes.len() {
            return Ok(changes);
        }
        let rows = filter_record_batch(&changes.rows, &keep)?;
        Ok(Changes { rows, weights: kept_weights(&changes.weights, &keep), hashes: None })
    }

    fn project(&self, changes: &Changes) -> Result<RecordBatch> {
        let rows = changes.len();
        let columns: Vec<ArrayRef> = match &self.columns {
            None => changes.rows.columns().to_vec(),
            Some(columns) => {
                columns.iter().map(|column| column.evaluate(&changes.rows)?.into_array(rows)).collect::<Result<_>>()?
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)?)
    }
}

fn kept_weights(weights: &Weights, keep: &BooleanArray) -> Weights {
    match weights {
        Weights::Ones => Weights::Ones,
        Weights::Rows(weights) => Weights::Rows(keep.values().set_indices().map(|row| weights[row]).collect()),
    }
}

impl Operator for FilterProject {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        let changes = self.filter(changes).expect("the planner refuses predicates that can fail on a row");
        if changes.is_empty() {
            return;
        }
        let rows = self.project(&changes).expect("the planner refuses expressions that can fail on a row");
        out.push(changes.with_rows(rows));
    }
}
