//! A row's key as one text: a document's id, a key in a store.

use super::write_value;
use arrow::array::{Array, RecordBatch};

/// The id of a document without key columns: such a target holds one row.
const ONLY: &str = "all";

/// A row's id: its key's values as text. Several are joined with `|`; a `|` or `\` inside of them gets a `\`
/// before it, so that different keys never share an id. NULL is `\N`.
#[must_use]
pub fn id_text(rows: &RecordBatch, key: &[usize], row: usize) -> String {
    match key {
        [] => ONLY.to_owned(),
        [column] => key_text(rows.column(*column).as_ref(), row).unwrap_or_else(|| "\\N".to_owned()),
        columns => {
            let parts = columns.iter().map(|&column| match key_text(rows.column(column).as_ref(), row) {
                Some(text) => text.replace('\\', "\\\\").replace('|', "\\|"),
                None => "\\N".to_owned(),
            });
            parts.collect::<Vec<_>>().join("|")
        }
    }
}

fn key_text(array: &dyn Array, row: usize) -> Option<String> {
    let mut text = Vec::new();
    write_value(&mut text, array, row);
    match text.first() {
        Some(b'"') => Some(serde_json::from_slice(&text).expect("the writer made a JSON string")),
        _ if array.is_null(row) => None,
        _ => Some(String::from_utf8(text).expect("the writer made JSON, which is UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn different_keys_never_share_an_id() {
        let columns: [(&str, ArrayRef); 3] = [
            ("a", Arc::new(StringArray::from(vec![Some("x|y"), Some("x"), None]))),
            ("b", Arc::new(StringArray::from(vec![Some("z"), Some("y|z"), Some("\\N")]))),
            ("n", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let ids: Vec<_> = (0..3).map(|row| id_text(&rows, &[0, 1], row)).collect();
        assert_eq!(ids, [r"x\|y|z", r"x|y\|z", r"\N|\\N"]);
        assert_eq!((id_text(&rows, &[0], 0), id_text(&rows, &[2], 1)), ("x|y".into(), "2".into()));
        assert_eq!(id_text(&rows, &[], 0), "all");
    }
}
