//! Expressions as a crate that knows SQL would compile them; here a text names one of two.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, SchemaRef};
use proxima_graph::path::{Expression, Formula};
use std::sync::Arc;

/// Of a row: twice its weight, less an hour's part of its age; null without an age.
pub(crate) fn of_row(weight: i64, age: Option<f64>) -> Option<f64> {
    age.map(|age| 2.0 * weight as f64 - age / 3600.0)
}

/// Of the parts of a jump.
pub(crate) fn of_parts(sum: f64, count: i64, max: f64, left: f64, right: f64) -> f64 {
    sum / (1.0 + left.abs() + right.abs()) + max / count as f64
}

#[derive(Debug)]
struct OfRow;

#[derive(Debug)]
struct OfParts;

impl Expression for OfRow {
    fn evaluate(&self, rows: &RecordBatch, scores: &mut Vec<f64>) {
        let weights = rows.column_by_name("weight").unwrap().as_primitive::<Int64Type>();
        let ages = rows.column_by_name("age").unwrap().as_primitive::<Float64Type>();
        scores
            .extend((0..rows.num_rows()).map(|row| {
                of_row(weights.value(row), ages.is_valid(row).then(|| ages.value(row))).unwrap_or(f64::NAN)
            }));
    }
}

impl Expression for OfParts {
    fn evaluate(&self, rows: &RecordBatch, scores: &mut Vec<f64>) {
        let float = |name| rows.column_by_name(name).unwrap().as_primitive::<Float64Type>();
        let count = rows.column_by_name("middles").unwrap().as_primitive::<Int64Type>();
        let (sum, max, left, right) = (float("dot"), float("best"), float("left_sum"), float("right_sum"));
        let of = |row| of_parts(sum.value(row), count.value(row), max.value(row), left.value(row), right.value(row));
        scores.extend((0..rows.num_rows()).map(of));
    }
}

pub(crate) fn compile(formula: &Formula, schema: &SchemaRef) -> Result<Arc<dyn Expression>, String> {
    let (Formula::Sql(text) | Formula::Function(text)) = formula;
    match text.as_str() {
        "of row" if schema.column_with_name("age").is_some() => Ok(Arc::new(OfRow)),
        "of parts" if schema.column_with_name("dot").is_some() => Ok(Arc::new(OfParts)),
        _ => Err(format!("what is {text}?")),
    }
}
