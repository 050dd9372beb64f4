//! Bytes to chunks: the pure reader of one file. It knows no files, so every way of reading shares it.
//!
//! The caller asks for a block's buffer ([`Reader::buffer`]; an unfinished record stands at its front already), appends
//! bytes of the file and hands it back ([`Reader::block`]). The chunks that come out share the block's memory.

use super::Framing;
use super::frame::Framer;
use arrow::buffer::Buffer;
use memchr::{memchr, memchr_iter};
use proxima_event::chunk::{RECORD_BYTES_MAX, SLACK, is_blank};
use proxima_event::{Chunk, PartitionId, Payload, Stopped};
use std::sync::Arc;

/// How much is read at once: large enough that calls cost nothing, small enough to stay in a core's cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// What editors of one operating system put in front of a text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Cuts one file into chunks of whole records.
#[derive(Debug)]
pub(super) struct Reader {
    partition: Arc<PartitionId>,
    framer: Framer,
    header: Header,
    /// The unfinished record behind the last chunk.
    rest: Vec<u8>,
    /// The position of `rest`.
    offset: u64,
    /// The line of `rest`.
    line: u64,
    /// A record beyond the limit whose end is still to come.
    too_long: Option<TooLong>,
    block_bytes: usize,
    record_bytes_max: usize,
}

/// The first record of a CSV file.
#[derive(Clone, Debug)]
enum Header {
    /// The framing has none.
    None,
    Awaited,
    Known(Arc<[u8]>),
}

/// The front of a record that is longer than the limit, and where that record begins.
#[derive(Debug)]
struct TooLong {
    front: Vec<u8>,
    start: u64,
    line: u64,
}

impl Reader {
    pub(super) fn new(partition: Arc<PartitionId>, framing: Framing) -> Self {
        let header = if matches!(framing, Framing::Csv { .. }) { Header::Awaited } else { Header::None };
        Self {
            partition,
            framer: Framer::new(framing),
            header,
            rest: Vec::new(),
            offset: 0,
            line: 1,
            too_long: None,
            block_bytes: BLOCK_BYTES,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }

    #[cfg(test)]
    pub(super) fn with_limits(mut self, block_bytes: usize, record_bytes_max: usize) -> Self {
        (self.block_bytes, self.record_bytes_max) = (block_bytes, record_bytes_max);
        self
    }

    /// The partition that this reader cuts.
    pub(super) fn partition(&self) -> &Arc<PartitionId> {
        &self.partition
    }

    /// Goes on under another name.
    pub(super) fn rename(&mut self, partition: Arc<PartitionId>) {
        self.partition = partition;
    }

    /// Goes on at `offset`, where a record begins, if it holds nothing back. Lines are numbered wrongly from here on.
    pub(super) fn skip_to(&mut self, offset: u64) {
        debug_assert!(self.rest.is_empty() && self.too_long.is_none(), "records are skipped as a whole");
        self.offset = offset;
    }

    /// How many bytes of the file it was given.
    pub(super) fn taken(&self) -> u64 {
        self.offset + self.rest.len() as u64
    }

    /// The position behind the last chunk.
    pub(super) fn offset(&self) -> u64 {
        self.too_long.as_ref().map_or(self.offset, |record| record.start)
    }

    /// A buffer to append the next bytes to, at most as many as the number says. `available` is how many bytes there
    /// may be: what comes in drops must not hold whole blocks of memory.
    pub(super) fn buffer(&mut self, available: u64) -> (Vec<u8>, usize) {
        let rest = std::mem::take(&mut self.rest);
        // A long record doubles the buffer, so that it is copied a few times at the most.
        let total = self.block_bytes.max(2 * rest.len()).min(self.record_bytes_max);
        let room = (total - rest.len()).min(usize::try_from(available).unwrap_or(usize::MAX)).max(1);
        let mut bytes = Vec::with_capacity(rest.len() + room + SLACK);
        bytes.extend_from_slice(&rest);
        (bytes, room)
    }

    /// Cuts a buffer, to which bytes were appended or not, into chunks of at most `records_max` records.
    pub(super) fn block(
        &mut self,
        mut bytes: Vec<u8>,
        records_max: usize,
        mut offer: impl FnMut(Chunk) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let mut begin = self.skip_front(&bytes, &mut offer)?;
        begin += self.take_header(&bytes[begin..]);
        let mut run = self.framer.run(&bytes[begin..], records_max);
        if run.len == 0 {
            bytes.drain(..begin);
            self.keep(bytes);
            return Ok(());
        }
        let len = bytes.len();
        bytes.resize(len + SLACK, 0);
        let data = Buffer::from_vec(bytes);
        while run.len > 0 {
            let chunk = self.chunk(data.slice_with_length(begin, run.len + SLACK), run.len, run.records);
            (self.offset, self.line) = (chunk.end, self.line + run.lines);
            begin += run.len;
            offer(chunk)?;
            run = self.framer.run(&data[begin..len], records_max);
        }
        self.keep(data[begin..len].to_vec());
        Ok(())
    }

    /// Ends the file, or at least the record: what is left is a record of its own.
    pub(super) fn finish(&mut self, mut offer: impl FnMut(Chunk) -> Result<(), Stopped>) -> Result<(), Stopped> {
        if self.too_long.is_some() {
            return self.offer_too_long(&mut offer);
        }
        let rest = std::mem::take(&mut self.rest);
        self.framer.reset();
        let start = self.offset;
        self.offset += rest.len() as u64;
        if is_blank(&rest) {
            return Ok(());
        }
        let lines = memchr_iter(b'\n', &rest).count() as u64;
        let line = self.line;
        self.line += lines;
        if matches!(self.header, Header::Awaited) {
            self.header = Header::Known(trim_line_ends(&rest).into());
            return Ok(());
        }
        offer(Chunk::from_bytes(Arc::clone(&self.partition), start, rest, 1, line, self.header()))
    }

    fn chunk(&self, data: Buffer, len: usize, records: usize) -> Chunk {
        Chunk {
            partition: Arc::clone(&self.partition),
            start: self.offset,
            end: self.offset + len as u64,
            records,
            order: 0,
            payload: Payload::Bytes {
                data,
                len,
                first_line: self.line,
                header: self.header(),
                messages: None,
                lines: None,
            },
        }
    }

    fn header(&self) -> Option<Arc<[u8]>> {
        match &self.header {
            Header::Known(header) => Some(Arc::clone(header)),
            Header::None | Header::Awaited => None,
        }
    }

    /// Takes the header off the front of a file, and says how many bytes it took.
    fn take_header(&mut self, bytes: &[u8]) -> usize {
        let mut begin = 0;
        while matches!(self.header, Header::Awaited) {
            let run = self.framer.run(&bytes[begin..], 1);
            if run.len == 0 {
                break;
            }
            if run.records > 0 {
                self.header = Header::Known(trim_line_ends(&bytes[begin..begin + run.len]).into());
            }
            self.offset += run.len as u64;
            self.line += run.lines;
            begin += run.len;
        }
        begin
    }

    /// Skips what stands before the next record: a byte order mark, the rest of a record that was too long.
    fn skip_front(
        &mut self,
        bytes: &[u8],
        offer: &mut impl FnMut(Chunk) -> Result<(), Stopped>,
    ) -> Result<usize, Stopped> {
        if self.offset == 0 && self.too_long.is_none() && bytes.starts_with(BYTE_ORDER_MARK) {
            self.framer.reset();
            self.offset = BYTE_ORDER_MARK.len() as u64;
            return Ok(BYTE_ORDER_MARK.len());
        }
        if self.too_long.is_none() {
            return Ok(0);
        }
        let newline = memchr(b'\n', bytes);
        let skipped = newline.map_or(bytes.len(), |at| at + 1);
        self.offset += skipped as u64;
        if newline.is_some() {
            self.offer_too_long(offer)?;
        }
        Ok(skipped)
    }

    /// Keeps the bytes behind the last whole record, or begins to skip if they are beyond the limit already.
    fn keep(&mut self, rest: Vec<u8>) {
        if rest.len() < self.record_bytes_max {
            self.rest = rest;
            return;
        }
        self.framer.reset();
        let start = self.offset;
        self.offset += rest.len() as u64;
        self.too_long = Some(TooLong { front: rest, start, line: self.line });
    }

    /// Hands on the front of a record that is too long, as one record that takes all its bytes: its length makes a
    /// decoder reject it, and nothing behind its front can be taken for a record. Within an open quote the end of the
    /// record cannot be known; the next line end is taken for it, so that one lost quote does not cost the whole file.
    fn offer_too_long(&mut self, offer: &mut impl FnMut(Chunk) -> Result<(), Stopped>) -> Result<(), Stopped> {
        let Some(TooLong { front, start, line }) = self.too_long.take() else { return Ok(()) };
        self.line = line + 1 + memchr_iter(b'\n', &front).count() as u64;
        let chunk = Chunk::from_bytes(Arc::clone(&self.partition), start, front, 1, line, self.header());
        offer(Chunk { end: self.offset, ..chunk })
    }
}

/// A record without the line ends and blank lines around it.
fn trim_line_ends(record: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let begin = record.iter().position(|byte| !is_end(byte)).unwrap_or(record.len());
    let end = record.iter().rposition(|byte| !is_end(byte)).map_or(begin, |last| last + 1);
    &record[begin..end]
}
