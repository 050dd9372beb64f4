//! Rows as JSON text, the same in every sink: every digit of a decimal, times as ISO text, structs as objects.
//!
//! At the end of a record's way: a document's `_source`, a message's value. [`id_text`] and [`write_fields`] give the key.

pub mod decimal;
mod key;
pub mod time;

pub use key::{id_text, value_text};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use serde::Serialize;
use std::io::Write;

/// Appends a whole row as an object.
pub fn write_row(out: &mut Vec<u8>, rows: &RecordBatch, row: usize) {
    let schema = rows.schema_ref();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    write_object(out, names.zip(rows.columns()), row);
}

/// Appends an object of some of a row's columns, in the order given.
pub fn write_fields(out: &mut Vec<u8>, rows: &RecordBatch, columns: &[usize], row: usize) {
    let schema = rows.schema_ref();
    let fields = columns.iter().map(|&column| (schema.field(column).name().as_str(), rows.column(column)));
    write_object(out, fields, row);
}

fn write_object<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = (&'a str, &'a ArrayRef)>, row: usize) {
    out.push(b'{');
    for (at, (name, column)) in fields.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_plain(out, &name);
        out.push(b':');
        write_value(out, column.as_ref(), row);
    }
    out.push(b'}');
}

/// Appends one value.
pub fn write_value(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match array.data_type() {
        DataType::Boolean => write_plain(out, &array.as_boolean().value(row)),
        DataType::Int8 => write_plain(out, &array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => write_plain(out, &array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write_plain(out, &array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write_plain(out, &array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => write_plain(out, &array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => write_plain(out, &array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => write_plain(out, &array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => write_plain(out, &array.as_primitive::<UInt64Type>().value(row)),
        // JSON knows no infinity and no NaN: serde writes null for them.
        DataType::Float32 => write_plain(out, &array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => write_plain(out, &array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let units = array.as_primitive::<Decimal128Type>().value(row);
            out.extend_from_slice(decimal::format(units, *scale).as_bytes());
        }
        _ => write_other(out, array, row),
    }
}

fn write_other(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    match array.data_type() {
        DataType::Utf8 => write_plain(out, &array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => write_plain(out, &array.as_string::<i64>().value(row)),
        DataType::Utf8View => write_plain(out, &array.as_string_view().value(row)),
        DataType::Binary => write_base64(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => write_base64(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => write_base64(out, array.as_binary_view().value(row)),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            write_plain(out, &time::format_date(i64::from(days)));
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            write_plain(out, &time::format_time(time::raw_time(array, row)));
        }
        DataType::Timestamp(unit, zone) => {
            write_plain(out, &time::format_timestamp(time::raw_timestamp(array, *unit, row), *unit, zone.is_some()));
        }
        _ => write_nested(out, array, row),
    }
}

fn write_nested(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    match array.data_type() {
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str());
            write_object(out, names.zip(array.as_struct().columns()), row);
        }
        DataType::List(_) => write_list(out, array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => write_list(out, array.as_list::<i64>().value(row).as_ref()),
        DataType::Map(..) => write_map(out, array, row),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            write_value(out, dictionary.values().as_ref(), dictionary.normalized_keys()[row]);
        }
        // Decoders and views make no other types; what an engine's function may still return is shown as text.
        _ => {
            let text = arrow::util::display::array_value_to_string(array, row).unwrap_or_default();
            write_plain(out, &text);
        }
    }
}

fn write_list(out: &mut Vec<u8>, items: &dyn Array) {
    out.push(b'[');
    for row in 0..items.len() {
        if row > 0 {
            out.push(b',');
        }
        write_value(out, items, row);
    }
    out.push(b']');
}

fn write_map(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    out.push(b'{');
    for entry in 0..entries.len() {
        if entry > 0 {
            out.push(b',');
        }
        let mut key = Vec::new();
        write_value(&mut key, keys.as_ref(), entry);
        if key.first() == Some(&b'"') {
            out.extend_from_slice(&key);
        } else {
            write_plain(out, &String::from_utf8_lossy(&key));
        }
        out.push(b':');
        write_value(out, values.as_ref(), entry);
    }
    out.push(b'}');
}

fn write_plain<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out.by_ref(), value).expect("plain values always serialise into memory");
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for sign in 0..4 {
            let index = (bits >> (18 - 6 * sign)) as usize & 63;
            out.push(if sign <= chunk.len() { SIGNS[index] } else { b'=' });
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn a_row_is_an_object_of_its_columns() {
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(Int64Array::from(vec![7]))),
            ("name", Arc::new(StringArray::from(vec![Some("a \"b\"")]))),
            ("price", Arc::new(Decimal128Array::from(vec![Some(1250)]).with_precision_and_scale(10, 2).unwrap())),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let text = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(&|out| write_row(out, &rows, 0)), r#"{"id":7,"name":"a \"b\"","price":12.50}"#);
        assert_eq!(text(&|out| write_fields(out, &rows, &[2, 0], 0)), r#"{"price":12.50,"id":7}"#);
        assert_eq!(text(&|out| write_fields(out, &rows, &[], 0)), "{}");
    }
}
