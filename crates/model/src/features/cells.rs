//! One feature over the rows of a batch.

use super::sparse;
use crate::samples::feature;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use proxima_event::hash::{combine, hash_columns};
use std::sync::Arc;

/// How a feature reads its column. Hashes are whole; slots are cut to those of the model.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Number {
        slot: u32,
        log: bool,
        missing: Option<u32>,
        value: f64,
    },
    Buckets {
        namespace: u64,
        bounds: Vec<f64>,
        missing: Option<u64>,
        value: f64,
    },
    Category {
        namespace: u64,
        missing: Option<u64>,
    },
    Sparse {
        namespace: u64,
        missing: Option<u32>,
    },
    /// The features that it crosses, by their places among those before it.
    Cross {
        namespace: u64,
        parts: Vec<usize>,
    },
}

/// What a row has no feature for, among hashes.
const NONE: u64 = 0;

/// A feature's values, one for each row.
pub(super) enum Cells {
    /// Values of one slot; a NaN is missing.
    Numbers {
        slot: u32,
        missing: Option<u32>,
        values: Vec<f32>,
    },
    Hashes(Vec<u64>),
    Sparse {
        namespace: u64,
        missing: Option<u32>,
        texts: StringViewArray,
    },
}

impl Cells {
    /// A feature of one column.
    pub(super) fn of(shape: &Shape, column: &ArrayRef) -> Self {
        match shape {
            Shape::Number { slot, log, missing, value } => {
                let scale = |x: f64| if *log { x.signum() * x.abs().ln_1p() } else { x };
                let finite = |x: f64| Some(scale(x) as f32).filter(|x| x.is_finite());
                // What does not fit into 32 bits is as good as missing.
                let other = finite(*value).unwrap_or(f32::NAN);
                let finite = numbers(column, *value).into_iter().map(|x| finite(x).unwrap_or(other));
                Self::Numbers { slot: *slot, missing: *missing, values: finite.collect() }
            }
            Shape::Buckets { namespace, bounds, missing, value } => {
                let bucket = |x: f64| match x.is_nan() {
                    true => missing.unwrap_or(NONE),
                    false => combine(*namespace, bounds.partition_point(|bound| *bound <= x) as u64),
                };
                Self::Hashes(numbers(column, *value).into_iter().map(bucket).collect())
            }
            Shape::Category { namespace, missing } => {
                let hashes = hash_columns(&[canonical(column)], column.len());
                let hash = |(row, hash)| match column.is_null(row) {
                    true => missing.unwrap_or(NONE),
                    false => combine(*namespace, hash),
                };
                Self::Hashes(hashes.into_iter().enumerate().map(hash).collect())
            }
            Shape::Sparse { namespace, missing } => {
                Self::Sparse { namespace: *namespace, missing: *missing, texts: texts(column) }
            }
            Shape::Cross { .. } => unreachable!("a cross is made of other features"),
        }
    }

    /// The combinations of other features; nothing where one of them is nothing.
    pub(super) fn cross<'a>(namespace: u64, parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut crossed: Option<Vec<u64>> = None;
        for part in parts {
            let Self::Hashes(part) = part else { unreachable!("only hashed features are crossed") };
            let crossed = crossed.get_or_insert_with(|| vec![namespace; part.len()]);
            for (crossed, &part) in crossed.iter_mut().zip(part) {
                *crossed = if *crossed == NONE || part == NONE { NONE } else { combine(*crossed, part) };
            }
        }
        Self::Hashes(crossed.unwrap_or_default())
    }

    /// Adds a row's features to its vector. Says whether they could be read.
    pub(super) fn push(&self, row: usize, mask: u64, vector: &mut Vec<u64>) -> bool {
        match self {
            Self::Numbers { slot, missing, values } => match values[row] {
                x if x.is_nan() => vector.extend(missing.map(|slot| feature(slot, 1.0))),
                // A zero adds nothing to a sum.
                0.0 => {}
                x => vector.push(feature(*slot, x)),
            },
            Self::Hashes(hashes) => match hashes[row] {
                NONE => {}
                hash => vector.push(feature((hash & mask) as u32, 1.0)),
            },
            Self::Sparse { missing, texts, .. } if texts.is_null(row) => {
                vector.extend(missing.map(|slot| feature(slot, 1.0)));
            }
            Self::Sparse { namespace, texts, .. } => {
                return sparse::read(texts.value(row).as_bytes(), *namespace, mask, vector).is_some();
            }
        }
        true
    }
}

/// A column in the type that an attribute of such values has, so that those of a query are the same categories.
fn canonical(column: &ArrayRef) -> ArrayRef {
    const CHECKED: &str = "days are moments, and decimals have a nearest float";
    match column.data_type() {
        DataType::Date32 | DataType::Date64 => {
            cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None)).expect(CHECKED)
        }
        kind if kind.is_decimal() => cast(column, &DataType::Float64).expect(CHECKED),
        _ => Arc::clone(column),
    }
}

/// A column as numbers; where it is NULL or not finite the value that stands for that, which may be NaN.
fn numbers(column: &ArrayRef, missing: f64) -> Vec<f64> {
    const CHECKED: &str = "the model was checked: the column is a number";
    let wide = match column.data_type() {
        DataType::Float64 => Arc::clone(column),
        _ => cast(column, &DataType::Float64).expect(CHECKED),
    };
    let wide: &Float64Array = wide.as_primitive::<Float64Type>();
    let known = |value: f64| if value.is_finite() { value } else { missing };
    match wide.null_count() {
        0 => wide.values().iter().map(|&value| known(value)).collect(),
        _ => wide.iter().map(|value| value.map_or(missing, known)).collect(),
    }
}

fn texts(column: &ArrayRef) -> StringViewArray {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().clone(),
        _ => cast(column, &DataType::Utf8View)
            .expect("the model was checked: the column is text")
            .as_string_view()
            .clone(),
    }
}
