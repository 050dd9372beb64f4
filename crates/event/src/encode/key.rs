//! A row's key as one text: a document's id, a key in a store.

use super::write_value;
use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;

/// The id of a document without key columns: such a target holds one row.
const ONLY: &str = "all";

/// A row's id: its key's values as text. NULL is `\N`, and a text that could be taken for it gets a `\` before it. Several
/// values are joined with `|`; a `|` or `\` inside of them gets a `\` before it, so that different keys never share an id.
#[must_use]
pub fn id_text(rows: &RecordBatch, key: &[usize], row: usize) -> String {
    match key {
        [] => ONLY.to_owned(),
        [column] => match value_text(rows.column(*column).as_ref(), row) {
            Some(text) if text.starts_with('\\') && text.trim_start_matches('\\') == "N" => format!("\\{text}"),
            Some(text) => text,
            None => "\\N".to_owned(),
        },
        columns => {
            let parts = columns.iter().map(|&column| match value_text(rows.column(column).as_ref(), row) {
                Some(text) => text.replace('\\', "\\\\").replace('|', "\\|"),
                None => "\\N".to_owned(),
            });
            parts.collect::<Vec<_>>().join("|")
        }
    }
}

/// A value as text: strings as they are, everything else as in JSON. Nothing for NULL.
#[must_use]
pub fn value_text(array: &dyn Array, row: usize) -> Option<String> {
    let mut text = Vec::new();
    write_value(&mut text, array, row);
    match text.first() {
        Some(b'"') => Some(serde_json::from_slice(&text).expect("the writer made a JSON string")),
        _ if array.is_null(row) => None,
        // JSON has no such numbers.
        Some(b'n') => Some(array_value_to_string(array, row).expect("a float that is not finite has a text")),
        _ => Some(String::from_utf8(text).expect("the writer made JSON, which is UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray};
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
        let texts = StringArray::from(vec![None, Some("\\N"), Some("\\\\N"), Some("N"), Some("\\Nx")]);
        let floats = Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5, -0.5]);
        let columns: [(&str, ArrayRef); 2] = [("t", Arc::new(texts)), ("f", Arc::new(floats))];
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let ids = |column| (0..5).map(|row| id_text(&rows, &[column], row)).collect::<Vec<_>>();
        assert_eq!(ids(0), [r"\N", r"\\N", r"\\\N", "N", r"\Nx"]);
        assert_eq!(ids(1), ["NaN", "inf", "-inf", "1.5", "-0.5"]);
    }
}
