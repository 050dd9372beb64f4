//! Rows become sparse vectors: each feature of a model reads a column and names slots.
//!
//! A slot is the lower bits of a hash: of the namespace alone for a number, of namespace and value for everything else.
//! The hash is the project's ([`proxima_event::hash`]), the same on every machine and in every version, so that a model
//! that was saved meets the features that it was trained on.

mod cells;
mod sparse;
#[cfg(test)]
mod tests;

use crate::samples::feature;
use crate::spec::{BindError, FeatureKind, FeatureSpec, Missing, ModelSpec};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use cells::{Cells, Shape};
use proxima_event::hash::{combine, hash_str};

/// What stands for NULL and for the bias where a namespace has its values: numbers from the digits of π.
const MISSING: u64 = 0x38d0_1377_be54_66cf;
const BIAS: u64 = 0x34e9_0c6c_c0ac_29b7;

/// Makes the vectors of a model from batches with certain columns.
#[derive(Clone, Debug)]
pub struct Encoder {
    features: Vec<Bound>,
    bias: Option<u32>,
    mask: u64,
}

/// A feature that knows its column.
#[derive(Clone, Debug)]
struct Bound {
    name: String,
    column: usize,
    shape: Shape,
}

impl Encoder {
    /// Finds the columns that a model's features read.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn bind(spec: &ModelSpec, schema: &Schema) -> Result<Self, Vec<BindError>> {
        let mask = spec.slots() as u64 - 1;
        let (mut features, mut errors) = (Vec::new(), Vec::new());
        // Crosses last: they are made of the others.
        let (crosses, plain): (Vec<_>, Vec<_>) = spec.features.iter().partition(|feature| is_cross(feature));
        for feature in plain.iter().chain(&crosses) {
            match bind_one(feature, &plain, schema, mask) {
                Ok(bound) => features.push(bound),
                Err(error) => errors.push(error),
            }
        }
        let bias = spec.bias.then_some((BIAS & mask) as u32);
        if errors.is_empty() { Ok(Self { features, bias, mask }) } else { Err(errors) }
    }

    /// Hands over the vector of each row; `None` where the row holds something that cannot be read.
    pub fn each(&self, rows: &RecordBatch, mut visit: impl FnMut(Option<&[u64]>)) {
        let cells = self.cells(rows);
        let mut vector = Vec::new();
        for row in 0..rows.num_rows() {
            vector.clear();
            let readable = cells.iter().all(|cells| cells.push(row, self.mask, &mut vector));
            vector.extend(self.bias.map(|slot| feature(slot, 1.0)));
            visit(readable.then_some(&vector));
        }
    }

    /// Hands over the name of each feature with its part of the vector of a row, and `bias` with the last. Nothing where
    /// the row holds something that cannot be read.
    pub fn each_part(&self, rows: &RecordBatch, row: usize, mut visit: impl FnMut(&str, &[u64])) {
        let mut parts = Vec::new();
        for (cells, bound) in self.cells(rows).iter().zip(&self.features) {
            let mut part = Vec::new();
            if !cells.push(row, self.mask, &mut part) {
                return;
            }
            parts.push((bound.name.as_str(), part));
        }
        parts.extend(self.bias.map(|slot| ("bias", vec![feature(slot, 1.0)])));
        parts.iter().for_each(|(name, part)| visit(name, part));
    }

    fn cells(&self, rows: &RecordBatch) -> Vec<Cells> {
        let mut cells: Vec<Cells> = Vec::with_capacity(self.features.len());
        for bound in &self.features {
            let made = match &bound.shape {
                Shape::Cross { namespace, parts } => Cells::cross(*namespace, parts.iter().map(|&part| &cells[part])),
                shape => Cells::of(shape, rows.column(bound.column)),
            };
            cells.push(made);
        }
        cells
    }
}

fn is_cross(feature: &FeatureSpec) -> bool {
    matches!(feature.kind, FeatureKind::Cross(_))
}

/// Binds a feature; `plain` are those that are no crosses.
fn bind_one(spec: &FeatureSpec, plain: &[&FeatureSpec], schema: &Schema, mask: u64) -> Result<Bound, BindError> {
    let namespace = hash_str(&spec.namespace);
    let slot = |hash: u64| (hash & mask) as u32;
    let missing = match spec.missing {
        Missing::Own => Some(combine(namespace, MISSING)),
        Missing::Skip | Missing::Value(_) => None,
    };
    let value = if let Missing::Value(value) = spec.missing { value } else { f64::NAN };
    if let FeatureKind::Cross(parts) = &spec.kind {
        let parts = parts.iter().map(|part| part_of(spec, part, plain)).collect::<Result<_, _>>()?;
        return Ok(Bound { name: spec.name.clone(), column: 0, shape: Shape::Cross { namespace, parts } });
    }
    let (column, data_type) = column(spec, schema)?;
    let shape = match &spec.kind {
        FeatureKind::Number | FeatureKind::Log => {
            let log = spec.kind == FeatureKind::Log;
            Shape::Number { slot: slot(namespace), log, missing: missing.map(slot), value }
        }
        FeatureKind::Buckets(bounds) => Shape::Buckets { namespace, bounds: bounds.clone(), missing, value },
        FeatureKind::Sparse => Shape::Sparse { namespace, missing: missing.map(slot) },
        FeatureKind::Category | FeatureKind::Cross(_) => Shape::Category { namespace, missing },
    };
    let (fits, wanted, cast) = match shape {
        Shape::Number { .. } | Shape::Buckets { .. } => {
            (data_type.is_numeric() || *data_type == DataType::Boolean, "a number", "CAST(… AS DOUBLE)")
        }
        Shape::Sparse { .. } => (data_type.is_string(), "text", "CAST(… AS STRING)"),
        _ => (!data_type.is_nested(), "a single value", "unnest(…) or one of its fields"),
    };
    if fits {
        return Ok(Bound { name: spec.name.clone(), column, shape });
    }
    let message = format!("column \"{}\" is {data_type}, not {wanted}", spec.column);
    Err(error(spec, "column", message, format!("write {cast} in the query")))
}

fn column<'a>(spec: &FeatureSpec, schema: &'a Schema) -> Result<(usize, &'a DataType), BindError> {
    let found = schema.column_with_name(&spec.column);
    let (column, field) =
        found.ok_or_else(|| missing_column(&format!("features.{}.column", spec.name), &spec.column, schema))?;
    Ok((column, field.data_type()))
}

/// The query does not have a column.
pub(crate) fn missing_column(key: &str, column: &str, schema: &Schema) -> BindError {
    let columns: Vec<_> = schema.fields().iter().map(|field| format!("\"{}\"", field.name())).collect();
    let message = format!("the query has no column \"{column}\"");
    BindError { key: key.to_owned(), message, advice: format!("it has {}", columns.join(", ")) }
}

/// The part of a cross, by its place among the features that are no crosses.
fn part_of(cross: &FeatureSpec, part: &str, plain: &[&FeatureSpec]) -> Result<usize, BindError> {
    let is_hashed = |feature: &FeatureSpec| matches!(feature.kind, FeatureKind::Category | FeatureKind::Buckets(_));
    let advice = "a cross is of features of the model that are categories or buckets".to_owned();
    match plain.iter().position(|feature| feature.name == part) {
        Some(at) if is_hashed(plain[at]) => Ok(at),
        Some(_) => Err(error(cross, "of", format!("feature \"{part}\" is neither a category nor buckets"), advice)),
        None => Err(error(cross, "of", format!("\"{part}\" is no feature that can be crossed"), advice)),
    }
}

fn error(spec: &FeatureSpec, key: &str, message: String, advice: String) -> BindError {
    BindError { key: format!("features.{}.{key}", spec.name), message, advice }
}
