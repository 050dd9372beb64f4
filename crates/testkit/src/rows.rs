//! Rows as values: how tests expand changes into tables and compare tables without regard to order.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewBuilder, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proxima_event::Changes;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The table that `changes` add up to: each row as often as its net weight says.
///
/// # Panics
/// When a row's net weight is below zero, or a batch has other columns than `schema`.
#[must_use]
pub fn expand(schema: &SchemaRef, changes: &[Changes]) -> RecordBatch {
    let all =
        concat_batches(schema, changes.iter().map(|batch| &batch.rows)).expect("changes have the table's columns");
    let weights: Vec<i64> = changes.iter().flat_map(|batch| (0..batch.len()).map(|row| batch.weight(row))).collect();
    if weights.iter().all(|&weight| weight == 1) {
        return all;
    }
    let fields = all.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(fields).expect("all our types can be compared");
    let rows = converter.convert_columns(all.columns()).expect("the columns are of the schema");
    let mut net: BTreeMap<_, (u32, i64)> = BTreeMap::new();
    for (row, weight) in weights.iter().enumerate() {
        net.entry(rows.row(row)).or_insert((row as u32, 0)).1 += weight;
    }
    let mut kept = Vec::new();
    for &(row, weight) in net.values() {
        let times = usize::try_from(weight).expect("no row goes more often than it came");
        kept.extend(std::iter::repeat_n(row, times));
    }
    take_record_batch(&all, &UInt32Array::from(kept)).expect("row numbers are within the batch")
}

/// One value, for comparing and showing.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Cell {
    /// NULL.
    Null,
    /// Anything exact, as text.
    Exact(String),
    /// A floating-point number.
    Float(f64),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Exact(text) => f.write_str(text),
            Self::Float(number) => write!(f, "{number:?}"),
        }
    }
}

/// All rows, sorted: exact columns first, so that rows which differ only within the tolerance of floats line up.
#[must_use]
pub fn sorted(rows: &RecordBatch) -> Vec<Vec<Cell>> {
    let columns: Vec<Vec<Cell>> = rows.columns().iter().map(|column| cells(column)).collect();
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&column| rows.column(column).data_type().is_floating());
    let mut table: Vec<Vec<Cell>> =
        (0..rows.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
    table.sort_by(|a, b| {
        let compare = |&column: &usize| a[column].partial_cmp(&b[column]).unwrap_or(std::cmp::Ordering::Equal);
        order.iter().map(compare).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    table
}

fn cells(column: &dyn Array) -> Vec<Cell> {
    if column.data_type().is_floating() {
        let numbers = cast(column, &DataType::Float64).expect("floats widen");
        return numbers
            .as_primitive::<Float64Type>()
            .iter()
            .map(|number| number.map_or(Cell::Null, Cell::Float))
            .collect();
    }
    let options = FormatOptions::default().with_null("NULL");
    let format = ArrayFormatter::try_new(column, &options).expect("all our types can be shown");
    (0..column.len())
        .map(|row| if column.is_null(row) { Cell::Null } else { Cell::Exact(format.value(row).to_string()) })
        .collect()
}

/// Says how two tables differ, order-free; `None` when they do not. Floats may differ by `tolerance`, relative.
#[must_use]
pub fn difference(found: &RecordBatch, expected: &RecordBatch, tolerance: f64) -> Option<String> {
    let types = |rows: &RecordBatch| -> Vec<_> {
        rows.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    if types(found) != types(expected) {
        return Some(format!("columns are {:?}, expected {:?}", types(found), types(expected)));
    }
    let (found, expected) = (sorted(found), sorted(expected));
    let alike = |a: &Vec<Cell>, b: &Vec<Cell>| a.iter().zip(b).all(|(a, b)| close(a, b, tolerance));
    let first = found.iter().zip(&expected).position(|(a, b)| !alike(a, b));
    let first = first.or_else(|| (found.len() != expected.len()).then_some(found.len().min(expected.len())))?;
    Some(format!(
        "{} rows, expected {}; from sorted row {first} on:\n  found\n{}  expected\n{}",
        found.len(),
        expected.len(),
        show(&found[first..]),
        show(&expected[first..])
    ))
}

fn close(a: &Cell, b: &Cell, tolerance: f64) -> bool {
    match (a, b) {
        (Cell::Float(a), Cell::Float(b)) if a != b => {
            (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
        }
        _ => a == b,
    }
}

fn show(rows: &[Vec<Cell>]) -> String {
    const SHOWN: usize = 8;
    let line = |row: &Vec<Cell>| format!("    {}\n", row.iter().map(Cell::to_string).collect::<Vec<_>>().join(" | "));
    rows.iter().take(SHOWN).map(line).collect()
}

/// A table from text: each cell is cast to its column's type; `None` is NULL.
///
/// # Panics
/// When a cell is not of its column's type.
#[must_use]
pub fn from_text<'a>(schema: &SchemaRef, rows: impl IntoIterator<Item = Vec<Option<&'a str>>>) -> RecordBatch {
    let mut builders: Vec<_> = schema.fields().iter().map(|_| StringViewBuilder::new()).collect();
    for row in rows {
        assert_eq!(row.len(), builders.len(), "one cell for each column");
        for (builder, cell) in builders.iter_mut().zip(row) {
            builder.append_option(cell);
        }
    }
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let columns = builders.iter_mut().zip(schema.fields()).map(|(builder, field)| {
        let text: ArrayRef = Arc::new(builder.finish());
        arrow::compute::cast_with_options(&text, field.data_type(), &options).expect("cells are of their column's type")
    });
    let columns: Vec<_> = columns.collect();
    RecordBatch::try_new(Arc::clone(schema), columns).expect("columns are of the schema")
}

/// All rows, sorted, as plain comma-separated lines.
#[must_use]
pub fn as_csv(rows: &RecordBatch) -> String {
    let line = |row: Vec<Cell>| row.iter().map(Cell::to_string).collect::<Vec<_>>().join(",") + "\n";
    sorted(rows).into_iter().map(line).collect()
}
