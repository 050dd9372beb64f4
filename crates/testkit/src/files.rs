//! A naive reader of CSV files for the oracle: no chunks, no positions, every cell by a library's reader and cast.

use crate::rows::from_text;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::path::{Path, PathBuf};

/// The rows of a CSV file with a header, plain or `.zst`. Empty cells are NULL.
///
/// # Panics
/// When the file cannot be read or a cell is not of its column's type.
#[must_use]
pub fn read_csv(schema: &SchemaRef, path: &Path) -> RecordBatch {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let text = if path.extension().is_some_and(|ending| ending == "zst") {
        zstd::decode_all(&bytes[..]).unwrap_or_else(|error| panic!("cannot unpack {}: {error}", path.display()))
    } else {
        bytes
    };
    let mut reader = csv::Reader::from_reader(&text[..]);
    let header = reader.headers().expect("the header is UTF-8").clone();
    let place = |name: &String| header.iter().position(|column| column == name).expect("every column is in the header");
    let places: Vec<usize> = schema.fields().iter().map(|field| place(field.name())).collect();
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("records are UTF-8")).collect();
    let cell =
        |record: &'_ csv::StringRecord, place: usize| record.get(place).map(str::to_owned).filter(|c| !c.is_empty());
    let rows: Vec<Vec<Option<String>>> =
        records.iter().map(|record| places.iter().map(|&place| cell(record, place)).collect()).collect();
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
