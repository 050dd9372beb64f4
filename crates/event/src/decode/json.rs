//! JSON lines: one object a line, nested as deep as its columns are.
//!
//! Only what the columns want is read; everything else is skipped, but must be JSON. Where a key comes twice the last
//! one counts, but each must be a value of the column. STRING columns take numbers, words and nested values as their
//! text; numbers in quotes are numbers where the column wants some. A missing key is NULL.
//!
//! The general way ([`general`]) reads any record and alone rejects some. Most records never go it: they have the
//! [`shape`] of an earlier one and are read by [prediction](predict), five to ten times faster.

#[cfg(test)]
mod differential;
mod general;
mod predict;
mod scan;
mod shape;
mod shapes;
pub(super) mod skip;
#[cfg(test)]
mod tests;

pub(super) use general::{invalid, push_json, push_record, push_value};
pub(super) use predict::Predictor;
pub(super) use skip::Input;

use super::batches::{Batches, Page};
use super::{DecodeConfig, DecodeStats, Decoded, Decoder};
use crate::{Chunk, Payload};
use arrow::buffer::Buffer;
use std::ops::Range;

/// Decodes JSON lines.
#[derive(Debug)]
pub(crate) struct JsonDecoder {
    batches: Batches,
    predictor: Predictor,
    stats: DecodeStats,
}

impl JsonDecoder {
    pub(crate) fn new(config: DecodeConfig) -> Self {
        Self { batches: Batches::new(&config), predictor: Predictor::new(), stats: DecodeStats::default() }
    }

    /// Decodes lines that are valid UTF-8.
    fn lines(&mut self, page: &mut Page<'_>, lines: Range<usize>, data: &Buffer, out: &mut Decoded) {
        let input = Input { padded: data.as_slice(), end: lines.end };
        let mut at = lines.start;
        while at < lines.end {
            let rows = self.batches.room();
            let (next, predicted) = self.predictor.read(&mut self.batches.columns, input, at, rows);
            self.stats.predicted += predicted as u64;
            at = next;
            if predicted < rows && at < lines.end {
                let line = line_at(page.bytes, at);
                at = line.end + 1;
                self.line(page, line, input, out);
            }
            self.batches.hand_over_full(data, out);
        }
    }

    /// Decodes a line the general way, and learns from it.
    fn line(&mut self, page: &mut Page<'_>, line: Range<usize>, input: Input<'_>, out: &mut Decoded) {
        if page.bytes[line.clone()].iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.stats.general += 1;
        let columns = &mut self.batches.columns;
        let text = input.text(line.start, line.end).expect("the line is one of the input's");
        match general::push_record(columns, text, page.bytes) {
            Ok(()) => self.predictor.learn(columns, Input { end: line.end, ..input }, line.start),
            Err(reason) => {
                columns.undo();
                page.reject(line, reason, &mut out.rejected);
            }
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded) {
        let (data, len, first_line) = match &chunk.payload {
            Payload::Bytes { data, len, first_line, .. } => (data, *len, *first_line),
            Payload::Changes(changes) => return out.batches.push(changes.clone()),
            Payload::Unread { .. } => unreachable!("a chunk is fetched before it is decoded"),
        };
        let mut page = Page::new(chunk, &data.as_slice()[..len], first_line);
        let mut runs = Runs::new(chunk, page.bytes);
        while let Some(run) = runs.next(page.bytes) {
            match run {
                Run::Text(lines) => self.lines(&mut page, lines, data, out),
                Run::Broken(line) => {
                    self.stats.general += 1;
                    page.reject(line, NOT_UTF8.into(), &mut out.rejected);
                }
            }
        }
        self.batches.hand_over(data, out);
    }

    fn stats(&self) -> DecodeStats {
        self.stats
    }
}

/// What some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a line is rejected that is no text.
pub(super) const NOT_UTF8: &str = "not valid UTF-8";

/// Lines of a chunk that are text, or one that is none.
pub(super) enum Run {
    /// Whole lines of valid UTF-8.
    Text(Range<usize>),
    /// One line that is not valid UTF-8, without its end.
    Broken(Range<usize>),
}

/// A chunk's lines in runs.
pub(super) struct Runs {
    at: usize,
    /// Almost every chunk passes this, the fastest check; only others are asked where they are bad.
    all_valid: bool,
}

impl Runs {
    pub(super) fn new(chunk: &Chunk, bytes: &[u8]) -> Self {
        let at = if chunk.start == 0 && bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { at, all_valid: simdutf8::basic::from_utf8(&bytes[at..]).is_ok() }
    }

    /// The next run of `bytes`, which are the same each time.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<Run> {
        if self.at >= bytes.len() {
            return None;
        }
        let valid = if self.all_valid { bytes.len() } else { valid_lines(bytes, self.at) };
        if valid > self.at {
            return Some(Run::Text(std::mem::replace(&mut self.at, valid)..valid));
        }
        let line = line_at(bytes, self.at);
        self.at = line.end + 1;
        Some(Run::Broken(line))
    }
}

/// The line that begins at `start`, without its end.
pub(super) fn line_at(bytes: &[u8], start: usize) -> Range<usize> {
    let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
    start..end
}

/// Where the first line from `start` on begins that is not valid UTF-8; the end if all are.
fn valid_lines(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    match simdutf8::compat::from_utf8(rest) {
        Ok(_) => bytes.len(),
        Err(error) => {
            memchr::memrchr(b'\n', &rest[..error.valid_up_to()]).map_or(start, |line_end| start + line_end + 1)
        }
    }
}
