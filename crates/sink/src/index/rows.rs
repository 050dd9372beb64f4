//! From an Arrow row to a document: its searchable values, its source.

use super::layout::Kind;
use super::mapping::Mapping;
use super::time;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use proxima_event::encode;
use tantivy::TantivyDocument;
use tantivy::schema::Field;

/// How a column's values are reached, down to the fields that are indexed.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Values of an indexed field.
    Leaf {
        /// Its place in the layout.
        field: usize,
        /// How it is indexed.
        kind: Kind,
    },
    /// Each field of a struct.
    Struct(Vec<Node>),
    /// Each item of a list: the field then has many values.
    List(Box<Node>),
    /// Kept in the source alone.
    Stored,
}

/// The whole document.
pub(crate) fn document(
    mapping: &Mapping,
    nodes: &[Node],
    rows: &RecordBatch,
    row: usize,
    id: &str,
    version: u64,
) -> TantivyDocument {
    let mut source = Vec::with_capacity(64 * nodes.len());
    encode::write_row(&mut source, rows, row);
    let mut document = TantivyDocument::with_capacity(source.len() + 64 * nodes.len());
    document.add_text(mapping.id, id);
    document.add_u64(mapping.version, version);
    document.add_text(mapping.source, std::str::from_utf8(&source).expect("JSON is UTF-8"));
    for (node, column) in nodes.iter().zip(rows.columns()) {
        add(mapping, node, column.as_ref(), row, &mut document);
    }
    document
}

fn add(mapping: &Mapping, node: &Node, array: &dyn Array, row: usize, document: &mut TantivyDocument) {
    if array.is_null(row) {
        return;
    }
    if let DataType::Dictionary(..) = array.data_type() {
        let dictionary = array.as_any_dictionary();
        return add(mapping, node, dictionary.values().as_ref(), dictionary.normalized_keys()[row], document);
    }
    match node {
        Node::Stored => {}
        Node::Struct(fields) => {
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                add(mapping, field, column.as_ref(), row, document);
            }
        }
        Node::List(item) => {
            let items = match array.data_type() {
                DataType::LargeList(_) => array.as_list::<i64>().value(row),
                _ => array.as_list::<i32>().value(row),
            };
            (0..items.len()).for_each(|row| add(mapping, item, items.as_ref(), row, document));
        }
        Node::Leaf { field, kind } => {
            let leaf = &mapping.leaves[*field];
            match kind {
                Kind::Text => add_text(leaf.field, leaf.words, text_at(array, row), document),
                kind => add_plain(leaf.field, *kind, array, row, document),
            }
        }
    }
}

fn add_text(whole: Field, words: Option<Field>, text: &str, document: &mut TantivyDocument) {
    document.add_text(whole, text);
    if let Some(words) = words {
        document.add_text(words, text);
    }
}

fn add_plain(field: Field, kind: Kind, array: &dyn Array, row: usize, document: &mut TantivyDocument) {
    match kind {
        Kind::Boolean => document.add_bool(field, array.as_boolean().value(row)),
        Kind::Unsigned => document.add_u64(field, array.as_primitive::<UInt64Type>().value(row)),
        Kind::Time => document.add_text(field, encode::time::format_time(encode::time::raw_time(array, row))),
        Kind::Float => add_float(field, f64::from(array.as_primitive::<Float32Type>().value(row)), document),
        Kind::Double => add_float(field, array.as_primitive::<Float64Type>().value(row), document),
        Kind::WideDecimal { scale, .. } => {
            let text = encode::decimal::format(array.as_primitive::<Decimal128Type>().value(row), scale);
            add_float(field, text.parse().expect("a decimal is a float's text too"), document);
        }
        _ => document.add_i64(field, integer_at(array, row)),
    }
}

/// NaN and infinities stay out of the index, as they have no place in the JSON of the source.
fn add_float(field: Field, value: f64, document: &mut TantivyDocument) {
    if value.is_finite() {
        // One zero: -0.0 would be a term of its own.
        document.add_f64(field, value + 0.0);
    }
}

/// The raw units of what is indexed in signed 64 bits.
fn integer_at(array: &dyn Array, row: usize) -> i64 {
    match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(row)) * time::DAY_MS,
        DataType::Timestamp(TimeUnit::Second, _) => encode::time::raw_timestamp(array, TimeUnit::Second, row) * 1000,
        DataType::Timestamp(unit, _) => encode::time::raw_timestamp(array, *unit, row),
        DataType::Decimal128(..) => {
            // At most 18 digits. A batch that breaks its own type is cut to the end of the range.
            let units = array.as_primitive::<Decimal128Type>().value(row);
            i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
        }
        other => unreachable!("the layout indexes no {other} as an integer"),
    }
}

fn text_at(array: &dyn Array, row: usize) -> &str {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        _ => array.as_string_view().value(row),
    }
}
