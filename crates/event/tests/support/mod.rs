//! Changes as text: what a decoder gives for some lines, row by row.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proxima_event::decode::{ChangeConfig, DecodeConfig, EpochUnit, Format, SEQUENCE, SourceDecoded, source_decoder};
use proxima_event::{Chunk, PartitionId, Rejected};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A column that may be NULL.
pub(crate) fn column(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// A table that reads all changes of `name`, with a key of its first columns.
pub(crate) fn table(name: &str, fields: Vec<Field>, key: usize) -> DecodeConfig {
    let changes = ChangeConfig {
        table: (!name.is_empty()).then(|| name.parse().unwrap()),
        key: (0..key).collect(),
        decimals_base64: false,
        utc: vec![],
    };
    DecodeConfig {
        schema: Arc::new(Schema::new(fields)),
        zone: chrono_tz::Asia::Shanghai,
        epoch_unit: EpochUnit::Millis,
        batch_rows: 7,
        changes: Some(changes),
    }
}

/// What some lines gave.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// By table, the rows in order: `+` or `-`, then the values; NULL is `~`.
    pub(crate) tables: Vec<Vec<String>>,
    /// By table with a key, what its rows amount to in the order of their sequences.
    pub(crate) held: Vec<BTreeMap<String, String>>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) skipped: u64,
}

/// Decodes lines, cut into chunks of `chunk_lines`.
pub(crate) fn decode(format: Format, tables: &[DecodeConfig], lines: &[&str], chunk_lines: usize) -> Given {
    let mut decoder = source_decoder(format, tables.to_vec());
    let partition = Arc::new(PartitionId { source: "changes".into(), name: "shop.json".into() });
    let mut given = Given { tables: vec![vec![]; tables.len()], ..Given::default() };
    let mut sequenced: Vec<Vec<(u64, String, String)>> = vec![vec![]; tables.len()];
    let (mut start, mut line) = (0, 1);
    for (order, part) in (0..).zip(lines.chunks(chunk_lines)) {
        let text: String = part.iter().map(|line| format!("{line}\n")).collect();
        let len = text.len() as u64;
        let mut out = SourceDecoded::new(tables.len());
        let chunk = Chunk::from_bytes(partition.clone(), start, text.into(), part.len(), line, None);
        decoder.decode(&Chunk { order, ..chunk }, &mut out);
        (start, line) = (start + len, line + part.len() as u64);
        given.rejected.append(&mut out.rejected);
        given.skipped += out.skipped;
        for (at, batches) in out.tables.iter().enumerate() {
            let width = tables[at].schema.fields().len();
            for changes in batches {
                for row in 0..changes.len() {
                    let shown = shown(&changes.rows.columns()[..width], row);
                    let sign = if changes.weight(row) > 0 { '+' } else { '-' };
                    if changes.rows.num_columns() > width {
                        assert_eq!(changes.rows.schema().field(width).name(), SEQUENCE);
                        let sequence = changes.column(width).as_primitive::<UInt64Type>().value(row);
                        let key = tables[at].changes.as_ref().unwrap().key.len();
                        let key: Vec<&str> = shown.split(" | ").take(key).collect();
                        sequenced[at].push((sequence, key.join(" | "), format!("{sign} {shown}")));
                    }
                    given.tables[at].push(format!("{sign} {shown}"));
                }
            }
        }
    }
    given.held = sequenced.into_iter().map(held).collect();
    given
}

/// The newest row of each key.
fn held(mut rows: Vec<(u64, String, String)>) -> BTreeMap<String, String> {
    rows.sort_by_key(|(sequence, ..)| *sequence);
    let mut held = BTreeMap::new();
    for (_, key, row) in rows {
        match row.strip_prefix("+ ") {
            Some(row) => held.insert(key, row.to_owned()),
            None => held.remove(&key),
        };
    }
    held
}

fn shown(columns: &[ArrayRef], row: usize) -> String {
    let options = FormatOptions::new().with_null("~");
    let value = |column: &ArrayRef| {
        if column.is_null(row) {
            return "~".to_owned();
        }
        ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string()
    };
    columns.iter().map(value).collect::<Vec<_>>().join(" | ")
}
