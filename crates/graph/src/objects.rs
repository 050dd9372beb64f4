//! Attributes of objects: rows of a view become documents by object id, which answers show beside the id.

use crate::columns::{KeyValueRows, text};
use arrow::array::{Array, RecordBatch};
use arrow::json::LineDelimitedWriter;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// Turns each row into a key-value row: the id's text, and the other columns as a JSON object without nulls.
///
/// Reads a stream that is netted by the id: one row at most for an id in an epoch.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRows {
    id: usize,
}

impl ObjectRows {
    /// Rows whose id is in this column.
    #[must_use]
    pub fn new(id: usize) -> Self {
        Self { id }
    }

    fn documents(&self, rows: &RecordBatch) -> Vec<u8> {
        let attributes: Vec<usize> = (0..rows.num_columns()).filter(|&column| column != self.id).collect();
        let rows = rows.project(&attributes).expect("the columns are of this batch");
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&rows).expect("every type of a column can be written as JSON, and memory takes every byte");
        writer.finish().expect("memory takes every byte");
        writer.into_inner()
    }
}

impl Operator for ObjectRows {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        let ids = text(changes.column(self.id));
        let documents = self.documents(&changes.rows);
        let mut writes = KeyValueRows::new(out);
        // JSON text has no line end inside: those in strings are escaped.
        for (row, document) in documents.split(|&byte| byte == b'\n').take(changes.len()).enumerate() {
            match (ids.is_valid(row), changes.weight(row) > 0) {
                (false, _) => {}
                (true, true) => writes.put(ids.value(row).as_bytes(), document),
                (true, false) => writes.delete(ids.value(row).as_bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, AsArray, Decimal128Array, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn a_row_becomes_its_id_and_a_document_of_the_rest() {
        let ids = StringViewArray::from(vec![Some("85123A"), None, Some("gone"), Some("bare")]);
        let texts = StringViewArray::from(vec![Some("a \"white\"\nheart"), Some("x"), Some("y"), None]);
        let prices = Decimal128Array::from(vec![Some(2550), Some(1), Some(1), None]).with_precision_and_scale(10, 3);
        let columns: [(&str, ArrayRef); 3] =
            [("price", Arc::new(prices.unwrap())), ("id", Arc::new(ids)), ("description", Arc::new(texts))];
        let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
        let mut out = Outbox::default();
        ObjectRows::new(1).apply(0, Changes::weighted(rows, vec![1, 1, -1, 1]), &mut out);
        let written = out.drain().next().unwrap();
        let keys: Vec<_> = written.column(0).as_binary_view().iter().flatten().collect();
        assert_eq!(keys, [&b"85123A"[..], b"gone", b"bare"]);
        assert_eq!((written.weight(0), written.weight(1), written.weight(2)), (1, -1, 1));
        let values: Vec<_> = written.column(1).as_binary_view().iter().flatten().collect();
        assert_eq!(values[0], br#"{"price":2.550,"description":"a \"white\"\nheart"}"#);
        assert_eq!(values[2], b"{}");
    }

    #[test]
    fn an_object_may_have_no_attributes() {
        let ids: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b"]));
        let mut out = Outbox::default();
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        ObjectRows::new(0).apply(0, Changes::inserts(rows), &mut out);
        let written = out.drain().next().unwrap();
        assert_eq!(written.len(), 2);
        assert_eq!(written.column(1).as_binary_view().value(1), b"{}");
    }
}
