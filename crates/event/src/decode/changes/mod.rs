//! Changes of a database's tables, as Maxwell, Debezium and Canal write them: rows that appear and rows that go.
//!
//! A stream of changes carries many tables. Each record is looked at once: whose change it is (`maxwell`, `debezium`,
//! `canal`), and if a table wants it, what changes (`rows`). An update is the old row going and the new one appearing.
//! What is no change of a wanted table is skipped and counted, never rejected.

mod canal;
mod debezium;
mod maxwell;
mod members;
mod rows;
mod table;

pub use table::{ChangeConfig, TableName};

use super::batches::Page;
use super::json::{Input, NOT_UTF8, Run, Runs, invalid, line_at, skip};
use super::source::{SourceDecoded, SourceDecoder};
use super::{DecodeConfig, DecodeStats, Decoded, Decoder, Format};
use crate::{Chunk, Payload};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rows::{Record, Rows};
use std::ops::Range;
use std::sync::Arc;
use table::Names;

/// The last column of a table with a key: the order of its rows within what their source has read. It begins again at its
/// end, so that only the difference of two says which row is newer. No column of a job can be named so.
pub const SEQUENCE: &str = "$sequence";

/// A schema with the column [`SEQUENCE`] behind its own.
#[must_use]
pub fn with_sequence(schema: &SchemaRef) -> SchemaRef {
    let sequence = Arc::new(Field::new(SEQUENCE, DataType::UInt64, false));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([sequence]).collect::<Vec<_>>()))
}

/// What a record does to a row, by where its parts stand.
#[derive(Clone, Debug)]
enum Change {
    /// The row appears.
    Insert(Range<usize>),
    /// The row goes.
    Delete(Range<usize>),
    /// One row in place of another.
    Replace { before: Option<Range<usize>>, after: Range<usize> },
    /// One row in place of another, which had these values in some columns and the same in the others.
    Overlay { after: Range<usize>, old: Option<Range<usize>> },
}

/// What a record proved to be.
enum Found<'a> {
    /// Nothing that a table wants.
    Skipped,
    /// Changes of this table's rows; the record ends there.
    Rows { database: &'a str, table: &'a str, end: usize },
    /// No such record.
    Bad(String),
}

impl Found<'_> {
    fn lacks(part: &str) -> Self {
        Self::Bad(format!("missing \"{part}\""))
    }
}

/// Decodes changes for all tables of a source.
#[derive(Debug)]
pub(super) struct ChangeDecoder {
    format: Format,
    debezium: debezium::Reader,
    names: Names,
    tables: Vec<Rows>,
    changes: Vec<Change>,
    /// The table that took the last record: the next one's too, most often.
    last: usize,
    /// The table that has read ahead.
    ahead: Option<usize>,
}

impl ChangeDecoder {
    pub(super) fn new(format: Format, tables: &[DecodeConfig]) -> Self {
        let name = |table: &DecodeConfig| table.changes.as_ref().and_then(|changes| changes.table.clone());
        Self {
            format,
            debezium: debezium::Reader::default(),
            names: Names(tables.iter().map(name).collect()),
            tables: tables.iter().map(|table| Rows::new(format, table)).collect(),
            changes: Vec::new(),
            last: 0,
            ahead: None,
        }
    }

    /// Takes in one record; says whether it was a table's. One that a table cannot read is none of the others' either.
    fn record(&mut self, page: &Page<'_>, input: Input<'_>, start: usize) -> Result<bool, String> {
        let Self { format, debezium, names, tables, changes, last, ahead } = self;
        changes.clear();
        let read = match format {
            Format::Debezium => debezium.read(input, start, names, changes, &mut |at| {
                *ahead = Some(*last);
                tables.get_mut(*last)?.read_ahead(input, at)
            }),
            Format::Canal => canal::read(input, start, names, changes).map(|found| (found, None)),
            _ => maxwell::read(input, start, names, changes, &mut |database, table, at| {
                let first = names.of(database, table).next()?;
                *ahead = Some(first);
                tables[first].read_ahead(input, at)
            })
            .map(|found| (found, None)),
        };
        let Some((found, forms)) = read else { return Err(invalid(input, start)) };
        let (database, table) = match found {
            Found::Skipped => return Ok(false),
            Found::Bad(reason) => return Err(reason),
            Found::Rows { end, .. } if skip::blanks(input, end) != input.end => return Err(invalid(input, start)),
            Found::Rows { database, table, .. } => (database, table),
        };
        let record = Record { input, order: page.order(start) };
        let mut wanted = false;
        for (nth, at) in names.of(database, table).enumerate() {
            tables[at].begin(forms.as_ref());
            if let Err(reason) = tables[at].take(record, changes) {
                for (other, at) in names.of(database, table).enumerate() {
                    if other > nth {
                        tables[at].begin(forms.as_ref());
                    }
                    tables[at].take_back(record, changes);
                }
                return Err(reason);
            }
            (wanted, *last) = (true, at);
        }
        Ok(wanted)
    }

    fn lines(&mut self, page: &mut Page<'_>, lines: Range<usize>, data: &Buffer, out: &mut SourceDecoded) {
        let mut at = lines.start;
        while at < lines.end {
            let line = line_at(page.bytes, at);
            at = line.end + 1;
            let input = Input { padded: data.as_slice(), end: line.end };
            let start = skip::blanks(input, line.start);
            if start == line.end {
                continue;
            }
            let taken = self.record(page, input, start);
            if let Some(rows) = self.ahead.take().and_then(|at| self.tables.get_mut(at)) {
                rows.forget();
            }
            match taken {
                Ok(true) => {
                    for (rows, table) in self.tables.iter_mut().zip(&mut out.tables) {
                        rows.hand_over_full(data, table);
                    }
                }
                Ok(false) => out.skipped += 1,
                Err(reason) => page.reject(line, reason, &mut out.rejected),
            }
        }
    }
}

impl SourceDecoder for ChangeDecoder {
    fn decode(&mut self, chunk: &Chunk, out: &mut SourceDecoded) {
        let (data, len, first_line) = match &chunk.payload {
            Payload::Bytes { data, len, first_line, .. } => (data, *len, *first_line),
            Payload::Changes(changes) => return out.tables.iter_mut().for_each(|table| table.push(changes.clone())),
            Payload::Unread { .. } => unreachable!("a chunk is fetched before it is decoded"),
        };
        let mut page = Page::new(chunk, &data.as_slice()[..len], first_line);
        let mut runs = Runs::new(chunk, page.bytes);
        while let Some(run) = runs.next(page.bytes) {
            match run {
                Run::Text(lines) => self.lines(&mut page, lines, data, out),
                Run::Broken(line) => page.reject(line, NOT_UTF8.into(), &mut out.rejected),
            }
        }
        for (rows, table) in self.tables.iter_mut().zip(&mut out.tables) {
            rows.hand_over(data, table);
        }
    }
}

/// The decoder of one table alone.
impl Decoder for ChangeDecoder {
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded) {
        let mut decoded = SourceDecoded::new(self.tables.len());
        SourceDecoder::decode(self, chunk, &mut decoded);
        out.batches.extend(decoded.tables.into_iter().flatten());
        out.rejected.append(&mut decoded.rejected);
    }

    fn stats(&self) -> DecodeStats {
        let mut sum = DecodeStats::default();
        for stats in self.tables.iter().map(Rows::stats) {
            sum.predicted += stats.predicted;
            sum.general += stats.general;
        }
        sum
    }
}
