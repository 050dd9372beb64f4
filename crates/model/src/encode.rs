//! Rows of a model's query become samples, on the worker where they are.

use crate::features::{Encoder, missing_column};
use crate::samples::{self, Lists, order_of};
use crate::spec::{BindError, ModelSpec};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringViewArray, UInt32Array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit};
use proxima_engine::{Operator, OperatorStats, Outbox};
use proxima_event::Changes;
use std::sync::Arc;

/// Turns rows into samples. A row without a label or a time, or with features that cannot be read, is left out and
/// counted as failed.
pub struct Encode {
    columns: SampleColumns,
    encoder: Arc<Encoder>,
    failed: u64,
}

/// Where the columns are that are no features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleColumns {
    label: usize,
    time: Option<usize>,
    order: Option<usize>,
}

impl Encode {
    /// Rows with these columns, by this encoder.
    #[must_use]
    pub fn new(columns: SampleColumns, encoder: Arc<Encoder>) -> Self {
        Self { columns, encoder, failed: 0 }
    }

    /// Finds the columns of a model that are no features.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn bind(spec: &ModelSpec, schema: &Schema) -> Result<SampleColumns, Vec<BindError>> {
        let is_label = |found: &DataType| found.is_numeric() || *found == DataType::Boolean;
        let is_time = |found: &DataType| matches!(found, DataType::Timestamp(..) | DataType::Date32);
        let is_order = |found: &DataType| found.is_integer() || found.is_string() || is_time(found);
        let label = find("label", &spec.label, schema, is_label, "true or false, or a number");
        let find_optional = |key, column: &Option<String>, fits: &dyn Fn(&DataType) -> bool, wanted| {
            column.as_ref().map(|column| find(key, column, schema, fits, wanted)).transpose()
        };
        let time = find_optional("time", &spec.time, &is_time, "a TIMESTAMP or a DATE");
        let order = find_optional("order", &spec.order, &is_order, "an integer, text or a time");
        match (label, time, order) {
            (Ok(label), Ok(time), Ok(order)) => Ok(SampleColumns { label, time, order }),
            (label, time, order) => Err([label.err(), time.err(), order.err()].into_iter().flatten().collect()),
        }
    }

    /// The labels; NULL where there is none.
    fn labels(&self, changes: &Changes) -> BooleanArray {
        let label = changes.column(self.columns.label);
        if let Some(labels) = label.as_boolean_opt() {
            return labels.clone();
        }
        let numbers = cast(label, &DataType::Float64).expect("the model was checked: its label is a number");
        numbers.as_primitive::<Float64Type>().iter().map(|number| Some(number? > 0.0)).collect()
    }
}

fn find(
    key: &str,
    column: &str,
    schema: &Schema,
    fits: impl Fn(&DataType) -> bool,
    wanted: &str,
) -> Result<usize, BindError> {
    let (index, field) = schema.column_with_name(column).ok_or_else(|| missing_column(key, column, schema))?;
    if fits(field.data_type()) {
        return Ok(index);
    }
    let message = format!("column \"{column}\" is {}, not {wanted}", field.data_type());
    Err(BindError { key: key.to_owned(), message, advice: "write CAST(…) in the query".to_owned() })
}

/// Microseconds since 1970.
fn micros(column: &ArrayRef) -> Int64Array {
    const CHECKED: &str = "the model was checked: its time is a moment or a day";
    let zone = if let DataType::Timestamp(_, zone) = column.data_type() { zone.clone() } else { None };
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone)).expect(CHECKED);
    cast(&micros, &DataType::Int64).expect(CHECKED).as_primitive::<Int64Type>().clone()
}

/// What orders samples of one time.
struct Orders {
    numbers: Int64Array,
    texts: Option<StringViewArray>,
}

impl Orders {
    /// Integers and times as they are; texts as such, and by a number as far as that goes.
    fn of(column: &ArrayRef) -> Self {
        const CHECKED: &str = "the model was checked: its order is an integer, text or a time";
        let number = |wide: ArrayRef| wide.as_primitive::<Int64Type>().clone();
        match column.data_type() {
            kind if kind.is_string() => {
                let texts = cast(column, &DataType::Utf8View).expect(CHECKED).as_string_view().clone();
                Self { numbers: texts.iter().map(|text| text.map(order_of)).collect(), texts: Some(texts) }
            }
            DataType::Timestamp(..) | DataType::Date32 => Self { numbers: micros(column), texts: None },
            _ => Self { numbers: number(cast(column, &DataType::Int64).expect(CHECKED)), texts: None },
        }
    }

    /// A NULL comes first.
    fn number(&self, row: usize) -> i64 {
        if self.numbers.is_valid(row) { self.numbers.value(row) } else { i64::MIN }
    }
}

/// The texts of these rows, or as many that are NULL.
fn texts_of(orders: Option<&Orders>, kept: &[u32]) -> StringViewArray {
    let texts = match orders.and_then(|orders| orders.texts.as_ref()) {
        Some(texts) => take(texts, &UInt32Array::from(kept.to_vec()), None).expect("the rows are there"),
        None => new_null_array(&DataType::Utf8View, kept.len()),
    };
    texts.as_string_view().clone()
}

impl Operator for Encode {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        let labels = self.labels(&changes);
        let times = self.columns.time.map(|column| micros(changes.column(column)));
        let orders = self.columns.order.map(|column| Orders::of(changes.column(column)));
        let mut lists = Lists::with_capacity(changes.len(), changes.len() * 16);
        let mut kept = Vec::with_capacity(changes.len());
        let mut row = 0;
        self.encoder.each(&changes.rows, |vector| {
            let has_time = times.as_ref().is_none_or(|times| times.is_valid(row));
            if let (Some(vector), true, true) = (vector, labels.is_valid(row), has_time) {
                lists.features.extend_from_slice(vector);
                lists.end();
                kept.push(row as u32);
            }
            row += 1;
        });
        self.failed += (changes.len() - kept.len()) as u64;
        let at = |row: &u32| *row as usize;
        let time = kept.iter().map(|row| times.as_ref().map_or(0, |times| times.value(at(row)))).collect();
        let order = kept.iter().map(|row| orders.as_ref().map_or(0, |orders| orders.number(at(row)))).collect();
        let label = kept.iter().map(|row| Some(labels.value(at(row)))).collect();
        let rows = samples::batch(time, order, texts_of(orders.as_ref(), &kept), label, lists);
        out.push(Changes { weights: changes.weights.take(&kept), ..Changes::inserts(rows) });
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { failed: self.failed, ..OperatorStats::default() }
    }
}
