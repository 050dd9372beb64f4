//! Formulas that a job brings itself. This crate knows neither SQL nor modules: it gives columns and takes numbers.

use super::declare::Formula;
use crate::catalogue::{AttributeKind, Relation};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// A compiled expression: a number for each row of a batch.
pub trait Expression: Debug + Send + Sync {
    /// Appends a number for each row; not-a-number where the expression is null or fails.
    fn evaluate(&self, rows: &RecordBatch, scores: &mut Vec<f64>);
}

/// Makes an [`Expression`] of a formula, for columns of this schema; or says what is wrong with it.
pub type Compile<'a> = dyn Fn(&Formula, &SchemaRef) -> Result<Arc<dyn Expression>, String> + 'a;

/// A function that paths may name as a selector's or a merger's formula: `merger = { function = "damped" }`.
pub trait Function: Send + Sync {
    /// The function over columns of this schema: those of [`row_schema`] or of [`parts_schema`].
    ///
    /// # Errors
    /// When it cannot be computed from them; says why.
    fn bind(&self, columns: &SchemaRef) -> Result<Arc<dyn Expression>, String>;
}

/// Functions by their names.
pub type Functions = BTreeMap<String, Arc<dyn Function>>;

/// The columns that the expression of a selector reads: `weight`, `time`, `age` in seconds of event time, then the
/// relation's attributes.
#[must_use]
pub fn row_schema(relation: &Relation) -> SchemaRef {
    let mut fields = vec![
        Field::new("weight", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("age", DataType::Float64, true),
    ];
    fields.extend(relation.attributes.iter().map(|attribute| {
        let kind = match attribute.kind {
            AttributeKind::Bool => DataType::Boolean,
            AttributeKind::Int => DataType::Int64,
            AttributeKind::Float => DataType::Float64,
            AttributeKind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            AttributeKind::Text => DataType::Utf8View,
        };
        Field::new(&attribute.name, kind, true)
    }));
    Arc::new(Schema::new(fields))
}

/// The columns that the expression of a merger reads: `dot` is the sum of l·r, `middles` the number of objects in the
/// middle, `best` the greatest l·r, `left_sum` and `right_sum` the sums of l and of r.
#[must_use]
pub fn parts_schema() -> SchemaRef {
    let float = |name| Field::new(name, DataType::Float64, false);
    Arc::new(Schema::new(vec![
        float("dot"),
        Field::new("middles", DataType::Int64, false),
        float("best"),
        float("left_sum"),
        float("right_sum"),
    ]))
}
