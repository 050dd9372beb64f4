//! From Arrow rows to what the scripts take: the arguments that set a row in one of the layouts.

use crate::config::Layout;
use arrow::array::RecordBatch;
use proxima_event::encode;

/// What is to stand under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) version: u64,
    /// Fields and values of a hash, or one document; nothing deletes the key.
    pub(crate) arguments: Vec<Vec<u8>>,
}

impl Write {
    /// The bytes it takes in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.arguments.iter().map(|argument| argument.len() + 24).sum::<usize>() + 64
    }
}

/// A row in a layout.
pub(crate) fn arguments(layout: Layout, rows: &RecordBatch, row: usize, version: u64) -> Vec<Vec<u8>> {
    match layout {
        Layout::Hash => fields(rows, row),
        Layout::Json => vec![document(rows, row, version)],
    }
}

/// The columns that are not NULL, as text: strings as they are, everything else as in JSON.
fn fields(rows: &RecordBatch, row: usize) -> Vec<Vec<u8>> {
    let schema = rows.schema_ref();
    let mut fields = Vec::with_capacity(2 * rows.num_columns());
    for (column, field) in schema.fields().iter().enumerate() {
        if let Some(text) = encode::value_text(rows.column(column).as_ref(), row) {
            fields.push(field.name().clone().into_bytes());
            fields.push(text.into_bytes());
        }
    }
    fields
}

/// The row as an object, with the version in front of it.
fn document(rows: &RecordBatch, row: usize, version: u64) -> Vec<u8> {
    let mut document = format!("{{\"_version\":{version}").into_bytes();
    let begin = document.len();
    encode::write_row(&mut document, rows, row);
    // `{"a":1}` goes on as `,"a":1}`; a row without columns ends at once.
    let empty = document.get(begin + 1) == Some(&b'}');
    if empty {
        drop(document.drain(begin..=begin));
    } else {
        document[begin] = b',';
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringArray, StructArray};
    use arrow::datatypes::{DataType, Field};
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let price = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        let inner: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let place = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int64, true)), inner)]);
        let columns: [(&str, ArrayRef); 6] = [
            ("id", Arc::new(Int64Array::from(vec![7]))),
            ("name", Arc::new(StringArray::from(vec!["a \"b\""]))),
            ("price", Arc::new(price)),
            ("gone", Arc::new(StringArray::from(vec![None::<&str>]))),
            ("new", Arc::new(BooleanArray::from(vec![true]))),
            ("place", Arc::new(place)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn a_hash_leaves_null_out() {
        let fields = arguments(Layout::Hash, &rows(), 0, 5);
        let texts: Vec<_> = fields.into_iter().map(|field| String::from_utf8(field).unwrap()).collect();
        let wanted = ["id", "7", "name", "a \"b\"", "price", "12.50", "new", "true", "place", r#"{"x":1}"#];
        assert_eq!(texts, wanted);
    }

    #[test]
    fn a_document_begins_with_its_version() {
        let document = arguments(Layout::Json, &rows(), 0, 5).remove(0);
        let wanted = r#"{"_version":5,"id":7,"name":"a \"b\"","price":12.50,"gone":null,"new":true,"place":{"x":1}}"#;
        assert_eq!(String::from_utf8(document).unwrap(), wanted);
        let nothing = rows().project(&[]).unwrap();
        assert_eq!(arguments(Layout::Json, &nothing, 0, 5), [br#"{"_version":5}"#.to_vec()]);
    }
}
