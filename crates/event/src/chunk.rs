//! What a source hands to the engine: a run of whole records of one partition, in order.

use crate::Changes;
use crate::source::{PartitionId, SourceError};
use arrow::buffer::Buffer;
use memchr::memchr_iter;
use std::fmt;
use std::sync::Arc;

/// Readable bytes behind the records of a chunk, so that a decoder may load whole vectors.
pub const SLACK: usize = 64;

/// Records of this many bytes or more are rejected, so that one lost line end or quote does not fill the memory.
/// A source hands on the first bytes of such a record, exactly as many as this, as a record without its end.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A run of whole records of one partition.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Where it comes from.
    pub partition: Arc<PartitionId>,
    /// The position of its first record: for files the byte offset (in the decompressed stream).
    pub start: u64,
    /// The position behind its last record: where reading resumes once this chunk is in a checkpoint.
    pub end: u64,
    /// How many records it holds (for text formats: lines that are not blank, which may prove to be no records). Of
    /// records that are still [unread](Payload::Unread) an estimate.
    pub records: usize,
    /// How many chunks of the source the engine took before it, in this run: what is newer of two records. Sources leave
    /// it at 0.
    pub order: u64,
    /// The records.
    pub payload: Payload,
}

/// The places of messages in the text of a chunk: each is a line there, its own line ends turned to spaces (between the
/// tokens of JSON they mean the same).
#[derive(Clone, Debug, Default)]
pub struct Messages {
    starts: Vec<u32>,
    offsets: Vec<u64>,
}

impl Messages {
    /// Adds the message that begins at byte `start` of the text and has `offset` in its partition. Both grow.
    pub fn push(&mut self, start: u32, offset: u64) {
        self.starts.push(start);
        self.offsets.push(offset);
    }

    /// The offset of the message that byte `at` of the text belongs to.
    ///
    /// # Panics
    /// When there are no messages.
    #[must_use]
    pub fn offset_at(&self, at: usize) -> u64 {
        let behind = self.starts.partition_point(|&start| start as usize <= at);
        self.offsets[behind.saturating_sub(1)]
    }
}

/// A partition whose bytes can be read at any place, by any thread.
///
/// The thread of its source then only says which bytes come next. The worker that decodes them reads them right before:
/// they are touched by one core only, and into memory that this core has used before.
pub trait Unread: fmt::Debug + Send + Sync {
    /// Fills the buffer with the bytes from position `start` on.
    ///
    /// # Errors
    /// When they cannot be read, or end too early.
    fn read(&self, start: u64, buffer: &mut [u8]) -> Result<(), SourceError>;

    /// How many lines end before position `start`; `None` when that cannot be found out any more. It may be slow, so it
    /// is asked for rejected records only.
    fn lines_before(&self, start: u64) -> Option<u64>;
}

/// The records of a chunk.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Text or binary records that a decoder takes apart.
    Bytes {
        /// The records, followed by [`SLACK`] bytes of no meaning.
        data: Buffer,
        /// How many bytes of `data` belong to the records.
        len: usize,
        /// The number (from 1) of the first line, for messages. The header of a CSV file is line 1.
        first_line: u64,
        /// The header record of a CSV file, without line end.
        header: Option<Arc<[u8]>>,
        /// Where each message begins, for records that come one by one and have positions of their own.
        messages: Option<Arc<Messages>>,
        /// What knows the number of the first line, if that was not worth counting before a record is rejected.
        lines: Option<Arc<dyn Unread>>,
    },
    /// Lines that are still where the source found them: [`Chunk::fetch`] reads them.
    Unread {
        /// What reads them.
        bytes: Arc<dyn Unread>,
        /// How many bytes they are, from the chunk's start on.
        len: usize,
    },
    /// Rows that are typed already: from memory, or from a source that decodes by itself.
    Changes(Changes),
}

impl Chunk {
    /// Collects the messages of a partition, from `start` on, to one chunk.
    #[must_use]
    pub fn of_messages(partition: Arc<PartitionId>, start: u64) -> MessageChunk {
        MessageChunk { partition, start, text: Vec::new(), messages: Messages::default(), records: 0 }
    }

    /// A chunk of `bytes`, to which the slack is added here.
    #[must_use]
    pub fn from_bytes(
        partition: Arc<PartitionId>,
        start: u64,
        mut bytes: Vec<u8>,
        records: usize,
        first_line: u64,
        header: Option<Arc<[u8]>>,
    ) -> Self {
        let len = bytes.len();
        bytes.resize(len + SLACK, 0);
        let payload =
            Payload::Bytes { data: Buffer::from_vec(bytes), len, first_line, header, messages: None, lines: None };
        Self { partition, start, end: start + len as u64, records, order: 0, payload }
    }

    /// Reads what is [unread](Payload::Unread) and counts its records; other chunks stay as they are. The bytes are put
    /// into `buffer`, whatever it held: one that was used before costs least.
    ///
    /// # Errors
    /// When the bytes cannot be read any more.
    pub fn fetch(self, mut buffer: Vec<u8>) -> Result<Self, SourceError> {
        let Payload::Unread { bytes, len } = self.payload else { return Ok(self) };
        if buffer.len() < len + SLACK {
            buffer.resize(len + SLACK, 0);
        }
        bytes.read(self.start, &mut buffer[..len])?;
        let records = count_lines(&buffer[..len]);
        let data = Buffer::from_vec(buffer);
        let payload = Payload::Bytes { data, len, first_line: 0, header: None, messages: None, lines: Some(bytes) };
        Ok(Self { records, payload, ..self })
    }
}

/// The lines that are not blank; the last one may lack its end.
fn count_lines(text: &[u8]) -> usize {
    let mut begin = 0;
    let mut count = 0;
    for newline in memchr_iter(b'\n', text) {
        count += usize::from(!is_blank(&text[begin..newline]));
        begin = newline + 1;
    }
    count + usize::from(!is_blank(&text[begin..]))
}

/// Whether a line, without its newline, is blank: no record.
#[must_use]
pub fn is_blank(line: &[u8]) -> bool {
    line.is_empty() || line == b"\r"
}

/// A chunk of messages in the making.
#[derive(Debug)]
pub struct MessageChunk {
    partition: Arc<PartitionId>,
    start: u64,
    text: Vec<u8>,
    messages: Messages,
    records: usize,
}

impl MessageChunk {
    /// Adds the message at `offset` of the partition.
    pub fn push(&mut self, offset: u64, message: &[u8]) {
        let start = self.text.len();
        self.messages.push(u32::try_from(start).expect("a chunk is flushed long before 4 GiB"), offset);
        self.text.extend_from_slice(message);
        for at in memchr::memchr2_iter(b'\n', b'\r', message) {
            self.text[start + at] = b' ';
        }
        self.text.push(b'\n');
        self.records += 1;
    }

    /// How many messages it holds.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The chunk; reading goes on at `end`, behind what was pushed and what was left out.
    #[must_use]
    pub fn finish(self, end: u64) -> Chunk {
        let Self { partition, start, text, messages, records } = self;
        let mut chunk = Chunk::from_bytes(partition, start, text, records, 0, None);
        chunk.end = end;
        if let Payload::Bytes { messages: places, .. } = &mut chunk.payload {
            *places = Some(Arc::new(messages));
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_not_counted() {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("\n\r\na\r\n\nb", 2), ("a\n\r", 1), ("\r\r\n", 1)] {
            assert_eq!(count_lines(text.as_bytes()), lines, "{text:?}");
        }
    }
}
