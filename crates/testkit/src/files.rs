//! A naive reader of CSV files for the oracle: no chunks, no positions, every cell by a library's reader and cast.

use crate::rows::from_text;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The records of a CSV file with a header, plain or `.zst`, each by column.
///
/// # Panics
/// When the file cannot be read.
pub fn records(path: &Path) -> impl Iterator<Item = BTreeMap<String, String>> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let text = if path.extension().is_some_and(|ending| ending == "zst") {
        zstd::decode_all(&bytes[..]).unwrap_or_else(|error| panic!("cannot unpack {}: {error}", path.display()))
    } else {
        bytes
    };
    let records = csv::Reader::from_reader(std::io::Cursor::new(text)).into_deserialize();
    records.map(|record| record.expect("records are UTF-8 and as wide as the header"))
}

/// The rows of a CSV file with a header, plain or `.zst`. Empty cells are NULL.
///
/// # Panics
/// When the file cannot be read or a cell is not of its column's type.
#[must_use]
pub fn read_csv(schema: &SchemaRef, path: &Path) -> RecordBatch {
    let records: Vec<_> = records(path).collect();
    let cells = |record: &'_ BTreeMap<String, String>| {
        let cell = |name: &String| record.get(name).expect("every column is in the header").clone();
        schema.fields().iter().map(|field| Some(cell(field.name())).filter(|c| !c.is_empty())).collect()
    };
    let rows: Vec<Vec<Option<String>>> = records.iter().map(cells).collect();
    from_text(schema, rows.iter().map(|row| row.iter().map(Option::as_deref).collect()))
}

/// The files of a folder, by name.
///
/// # Panics
/// When it cannot be listed.
#[must_use]
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the entry can be read").path()).collect();
    files.sort();
    files
}

/// The folder of a shipped example.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}
