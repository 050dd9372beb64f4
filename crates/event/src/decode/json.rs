//! JSON lines: one object a line, nested as deep as its columns are.
//!
//! Only what the columns want is read; everything else is skipped, but must be JSON. Where a key comes twice the last
//! one counts. STRING columns take numbers, words and nested values as their text; numbers in quotes are numbers where
//! the column wants some. A missing key is NULL.
//!
//! The general way ([`general`]) reads any record.

mod general;
#[cfg(test)]
mod tests;

pub(super) use general::push_json;

use super::batches::{Batches, Page};
use super::{DecodeConfig, DecodeStats, Decoded, Decoder};
use crate::{Chunk, Payload};
use arrow::buffer::Buffer;
use std::ops::Range;

/// Decodes JSON lines.
#[derive(Debug)]
pub(crate) struct JsonDecoder {
    batches: Batches,
    stats: DecodeStats,
}

impl JsonDecoder {
    pub(crate) fn new(config: DecodeConfig) -> Self {
        Self { batches: Batches::new(&config), stats: DecodeStats::default() }
    }

    /// Decodes lines that are valid UTF-8.
    fn lines(&mut self, page: &mut Page<'_>, lines: Range<usize>, data: &Buffer, out: &mut Decoded) {
        let mut at = lines.start;
        while at < lines.end {
            let line = line_at(page.bytes, at);
            at = line.end + 1;
            if page.bytes[line.clone()].iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            self.general_line(page, line, out);
            self.batches.hand_over_full(data, out);
        }
    }

    fn general_line(&mut self, page: &mut Page<'_>, line: Range<usize>, out: &mut Decoded) {
        self.stats.general += 1;
        let text = std::str::from_utf8(&page.bytes[line.clone()]).expect("checked for the whole chunk");
        if let Err(reason) = general::push_record(&mut self.batches.columns, text, page.bytes) {
            self.batches.columns.undo();
            page.reject(line, reason, out);
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded) {
        let (data, len, first_line) = match &chunk.payload {
            Payload::Bytes { data, len, first_line, .. } => (data, *len, *first_line),
            Payload::Changes(changes) => return out.batches.push(changes.clone()),
        };
        let mut page = Page::new(chunk, &data.as_slice()[..len], first_line);
        let mut at =
            if chunk.start == 0 && page.bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        while at < len {
            let valid = valid_lines(page.bytes, at);
            self.lines(&mut page, at..valid, data, out);
            at = valid;
            if at < len {
                let line = line_at(page.bytes, at);
                at = line.end + 1;
                page.reject(line, "not valid UTF-8".into(), out);
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

/// The line that begins at `start`, without its end.
fn line_at(bytes: &[u8], start: usize) -> Range<usize> {
    let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
    start..end
}

/// Where the first line from `start` on begins that is not valid UTF-8; the end if all are.
fn valid_lines(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    if simdutf8::basic::from_utf8(rest).is_ok() {
        return bytes.len();
    }
    match simdutf8::compat::from_utf8(rest) {
        Ok(_) => bytes.len(),
        Err(error) => {
            memchr::memrchr(b'\n', &rest[..error.valid_up_to()]).map_or(start, |line_end| start + line_end + 1)
        }
    }
}
