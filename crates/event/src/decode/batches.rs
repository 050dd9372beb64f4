//! The frame around every text decoder: full batches go out, bad records are rejected with their place.

use super::columns::Columns;
use super::{DecodeConfig, Decoded};
use crate::{Changes, Chunk, Payload, Rejected};
use arrow::buffer::Buffer;
use std::ops::Range;

/// A rejected record's bytes are kept up to here.
const RECORD_MAX: usize = 64 * 1024;

/// Columns that are handed over whenever they are full.
#[derive(Debug)]
pub(crate) struct Batches {
    /// The columns of the batch under way.
    pub(crate) columns: Columns,
    rows_max: usize,
}

impl Batches {
    pub(crate) fn new(config: &DecodeConfig) -> Self {
        Self { columns: Columns::new(config), rows_max: config.batch_rows.max(1) }
    }

    /// How many rows the batch under way has room for; never 0.
    pub(crate) fn room(&self) -> usize {
        self.rows_max - self.columns.rows()
    }

    /// Hands the batch over if it is full.
    pub(crate) fn hand_over_full(&mut self, chunk: &Buffer, out: &mut Decoded) {
        if self.room() == 0 {
            self.hand_over(chunk, out);
        }
    }

    /// Hands over whatever rows there are. At the latest at a chunk's end: views point into that chunk.
    pub(crate) fn hand_over(&mut self, chunk: &Buffer, out: &mut Decoded) {
        if self.columns.rows() > 0 {
            out.batches.push(Changes::inserts(self.columns.finish(chunk)));
        }
    }
}

/// The text of a chunk and where it stands.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    chunk: &'a Chunk,
    /// The records, without the slack.
    pub(crate) bytes: &'a [u8],
    /// The line of the byte at `counted`, so that each byte is looked at once however many records are bad; `None` until
    /// one is.
    line: Option<u64>,
    first_line: u64,
    counted: usize,
}

impl<'a> Page<'a> {
    pub(crate) fn new(chunk: &'a Chunk, bytes: &'a [u8], first_line: u64) -> Self {
        Self { chunk, bytes, line: None, first_line, counted: 0 }
    }

    /// The position and the line of the record at byte `start`, line 0 where that is not known. Asked for in the order of
    /// the records.
    fn place(&mut self, start: usize) -> (u64, u64) {
        if let Payload::Bytes { messages: Some(_), .. } = &self.chunk.payload {
            return (self.position(start), 0);
        }
        let mut line = self.line.unwrap_or_else(|| self.first_line());
        if line > 0 {
            line += memchr::memchr_iter(b'\n', &self.bytes[self.counted..start]).count() as u64;
        }
        (self.line, self.counted) = (Some(line), start);
        (self.position(start), line)
    }

    /// The number of the chunk's first line.
    fn first_line(&self) -> u64 {
        match &self.chunk.payload {
            Payload::Bytes { lines: Some(lines), .. } => {
                lines.lines_before(self.chunk.start).map_or(0, |before| before + 1)
            }
            _ => self.first_line,
        }
    }

    /// The position of the record at byte `start`.
    pub(crate) fn position(&self, start: usize) -> u64 {
        match &self.chunk.payload {
            Payload::Bytes { messages: Some(messages), .. } => messages.offset_at(start),
            _ => self.chunk.start + start as u64,
        }
    }

    /// The place of the record at byte `start` among those of its source in this run, in the lower 48 bits; it begins again
    /// at their end. Files that are read one after another are partitions of their own, so a position alone does not
    /// say what is newer.
    pub(crate) fn order(&self, start: usize) -> u64 {
        /// Records that stand so far from the beginning of their chunk, or farther, have the order of their batch.
        const FARTHEST: u64 = (1 << 24) - 1;
        let within = self.position(start).saturating_sub(self.chunk.start).min(FARTHEST);
        (self.chunk.order << 24 | within) & ((1 << 48) - 1)
    }

    /// Rejects a record. Records come in order.
    pub(crate) fn reject(&mut self, record: Range<usize>, reason: String, out: &mut Vec<Rejected>) {
        let (offset, line) = self.place(record.start);
        out.push(Rejected {
            partition: self.chunk.partition.clone(),
            offset,
            line,
            reason,
            record: self.bytes[record.start..record.end.min(record.start + RECORD_MAX)].to_vec(),
        });
    }
}
