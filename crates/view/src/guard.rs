//! An expression that fails on a row gives NULL for it: one bad row must not stop a job.
//!
//! A cast of text that is no number, a division by zero: a batch engine ends the query there. Here the query never
//! ends, so the row is found by halving the batch, and what it would have given is NULL. A filter drops such a row.

use crate::scalar::Scalar;
use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// An expression whose failures are NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Guard {
    inner: Scalar,
}

impl Guard {
    pub(crate) fn new(inner: Arc<dyn PhysicalExpr>) -> Self {
        Self { inner: Scalar(inner) }
    }

    fn evaluate_rows(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let rows = batch.num_rows();
        let data_type = self.inner.0.data_type(&batch.schema())?;
        if rows == 0 {
            return Ok(new_empty_array(&data_type));
        }
        match self.inner.0.evaluate(batch).and_then(|value| value.into_array(rows)) {
            Ok(array) => Ok(array),
            Err(_) if rows == 1 => Ok(new_null_array(&data_type, 1)),
            Err(_) => {
                let half = rows / 2;
                let first = self.evaluate_rows(&batch.slice(0, half))?;
                let second = self.evaluate_rows(&batch.slice(half, rows - half))?;
                let halves: [&dyn Array; 2] = [&first, &second];
                Ok(concat(&halves)?)
            }
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.0)
    }
}

impl PhysicalExpr for Guard {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.0.data_type(schema)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        match self.inner.0.evaluate(batch) {
            Ok(value) => Ok(value),
            Err(_) => Ok(ColumnarValue::Array(self.evaluate_rows(batch)?)),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self::new(children.remove(0))))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.0.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::{Field, Int32Type};
    use datafusion_physical_expr::expressions::{CastExpr, Column};

    #[test]
    fn only_the_rows_that_fail_are_null() {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        let texts = StringArray::from(vec![Some("1"), Some("x"), None, Some("4"), Some("5"), Some("")]);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(texts)]).unwrap();
        let cast = CastExpr::new(Arc::new(Column::new("text", 0)), DataType::Int32, None);
        assert!(cast.evaluate(&batch).is_err(), "without a guard the batch fails");
        let guarded = Guard::new(Arc::new(cast)).evaluate(&batch).unwrap().into_array(6).unwrap();
        let numbers: Vec<_> = guarded.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(numbers, [Some(1), None, None, Some(4), Some(5), None]);
    }
}
