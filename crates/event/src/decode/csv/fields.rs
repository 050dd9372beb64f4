//! Records to fields: `csv-core` takes quotes away, this keeps what it gives and what it does not say.

use super::Span;
use csv_core::{ReadRecordResult, Reader};

/// The fields of one record at a time.
#[derive(Debug)]
pub(super) struct Fields {
    reader: Reader,
    /// The fields without quotes, one after the other, with room behind them.
    text: Vec<u8>,
    /// Where each field ends in `text`, with room behind them.
    ends: Vec<usize>,
    /// How many of the ends are this record's.
    count: usize,
}

impl Default for Fields {
    fn default() -> Self {
        // Room for usual records; it grows where one needs more.
        Self { reader: Reader::new(), text: vec![0; 4096], ends: vec![0; 64], count: 0 }
    }
}

/// How far the records of a chunk have been read.
#[derive(Debug)]
pub(super) struct Records {
    at: usize,
}

impl Fields {
    /// Begins with the first record of other bytes.
    pub(super) fn records(&mut self) -> Records {
        self.reader.reset();
        Records { at: 0 }
    }

    /// Reads the next record and says where it stands, without its line end.
    pub(super) fn next(&mut self, bytes: &[u8], records: &mut Records) -> Option<Span> {
        let blank = bytes[records.at..].iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count();
        let start = records.at + blank;
        if start == bytes.len() {
            return None;
        }
        records.at = start;
        let (mut wrote, mut ended) = (0, 0);
        loop {
            let input = &bytes[records.at..];
            let (text, ends) = (&mut self.text[wrote..], &mut self.ends[ended..]);
            let (result, read, more_text, more_ends) = self.reader.read_record(input, text, ends);
            records.at += read;
            wrote += more_text;
            ended += more_ends;
            match result {
                // At the end of the chunk the reader learns from empty input that nothing follows.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
            }
        }
        self.count = ended;
        let record = &bytes[start..records.at];
        let line_end = record.iter().rev().take_while(|&&byte| byte == b'\n' || byte == b'\r').count();
        Some(start..records.at - line_end)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Where a field lies in the text of all.
    pub(super) fn range(&self, field: usize) -> Span {
        let start = field.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[field]
    }

    pub(super) fn bytes(&self, field: usize) -> &[u8] {
        &self.text[self.range(field)]
    }

    /// The text of all fields. `record` is where they stood.
    pub(super) fn text(&self, record: &[u8]) -> Result<&str, String> {
        let end = self.count.checked_sub(1).map_or(0, |last| self.ends[last]);
        if end != record.len() && memchr::memchr(b'"', record).is_some() && raw(record).1 {
            return Err("a quoted field has no end".into());
        }
        simdutf8::basic::from_utf8(&self.text[..end]).map_err(|_| "not valid UTF-8".into())
    }

    /// Whether an empty field stands as `""`. Rarely asked, so it reads the record once more.
    pub(super) fn quoted_empty(&self, record: &[u8], field: usize) -> bool {
        if memchr::memmem::find(record, b"\"\"").is_none() {
            return false;
        }
        raw(record).0.get(field).is_some_and(|field| &record[field.clone()] == b"\"\"")
    }
}

/// Where the fields of a record stand, with their quotes, and whether the last is quoted and has no end. A quote that a field
/// does not begin with is a character as any other.
fn raw(record: &[u8]) -> (Vec<Span>, bool) {
    let (mut fields, mut start, mut quoted, mut behind_quotes) = (Vec::new(), 0, false, 0);
    for (place, &byte) in record.iter().enumerate() {
        match byte {
            b'"' if quoted => (quoted, behind_quotes) = (false, place + 1),
            // A quote that is doubled closes and opens again.
            b'"' => quoted = place == start || (place == behind_quotes && record[start] == b'"'),
            b',' if !quoted => {
                fields.push(start..place);
                start = place + 1;
            }
            _ => {}
        }
    }
    fields.push(start..record.len());
    (fields, quoted)
}
