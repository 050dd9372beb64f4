//! What a source hands to the engine: a run of whole records of one partition, in order.

use crate::{Changes, source::PartitionId};
use arrow::buffer::Buffer;
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
    /// How many records it holds (for text formats: lines that are not blank, which may prove to be no records).
    pub records: usize,
    /// The records.
    pub payload: Payload,
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
    },
    /// Rows that are typed already: from memory, or from a source that decodes by itself.
    Changes(Changes),
}

impl Chunk {
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
        let payload = Payload::Bytes { data: Buffer::from_vec(bytes), len, first_line, header };
        Self { partition, start, end: start + len as u64, records, payload }
    }
}
