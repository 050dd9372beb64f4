//! CSV as RFC 4180 has it: a header, quotes, line ends within quotes.
//!
//! Columns are found by their name in the header: the very same, or else the only one that differs in case alone. An
//! empty field is NULL, for strings too; an empty field in quotes (`""`) is the empty string. Columns of nested types
//! hold JSON. What is wrong with one record (number of fields, bad UTF-8, a value, an open quote at the end) rejects
//! that record.

mod fields;
mod header;
#[cfg(test)]
mod tests;

use super::batches::{Batches, Page};
use super::columns::{Columns, Shown, Text};
use super::{DecodeConfig, Decoded, Decoder, json};
use crate::chunk::RECORD_BYTES_MAX;
use crate::{Chunk, Payload};
use fields::Fields;
use header::Header;
use std::ops::Range;

/// Decodes CSV.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    batches: Batches,
    names: Vec<String>,
    fields: Fields,
    header: Option<Header>,
}

impl CsvDecoder {
    pub(crate) fn new(config: DecodeConfig) -> Self {
        let names = config.schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { batches: Batches::new(&config), names, fields: Fields::default(), header: None }
    }
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded) {
        let (data, len, first_line, header) = match &chunk.payload {
            Payload::Bytes { data, len, first_line, header, .. } => (data, *len, *first_line, header),
            Payload::Changes(changes) => return out.batches.push(changes.clone()),
            Payload::Unread { .. } => unreachable!("a chunk is fetched before it is decoded"),
        };
        let raw = header.as_deref().unwrap_or_default();
        if self.header.as_ref().is_none_or(|header| &*header.raw != raw) {
            self.header = Some(Header::read(raw, &self.names, &mut self.fields));
        }
        let header = self.header.as_ref().expect("set above");
        let mut page = Page::new(chunk, &data.as_slice()[..len], first_line);
        let mut records = self.fields.records();
        while let Some(record) = self.fields.next(page.bytes, &mut records) {
            match fill(&mut self.batches.columns, header, &self.fields, &page.bytes[record.clone()]) {
                Ok(()) => self.batches.hand_over_full(data, out),
                Err(reason) => {
                    self.batches.columns.undo();
                    page.reject(record, reason, &mut out.rejected);
                }
            }
        }
        self.batches.hand_over(data, out);
    }
}

/// Appends one record to the columns.
fn fill(columns: &mut Columns, header: &Header, fields: &Fields, record: &[u8]) -> Result<(), String> {
    header.check()?;
    if record.len() >= RECORD_BYTES_MAX {
        // The source cut it off here, so its last field may look whole without being so.
        return Err(format!("longer than {} MiB", RECORD_BYTES_MAX >> 20));
    }
    let text = fields.text(record)?;
    if fields.len() != header.fields {
        return Err(format!("{} fields under a header of {}", fields.len(), header.fields));
    }
    for (column, &field) in header.columns.iter().enumerate() {
        let root = columns.roots[column];
        let value = &text[fields.range(field)];
        if value.is_empty() && !fields.quoted_empty(record, field) {
            columns.push_null(root)?;
        } else if columns.nodes[root].data_type.is_nested() {
            json::push_json(columns, root, value)?;
        } else {
            columns.push_text(root, Text::Elsewhere(value), Shown::Quoted(value))?;
        }
    }
    columns.end_row()
}

/// A part of the chunk.
type Span = Range<usize>;
