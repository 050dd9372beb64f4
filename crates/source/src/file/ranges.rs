//! Plain files of lines are not read here but planned: ranges of bytes that end at line ends.
//!
//! The source's thread looks only for the last line end of each range, a small read near its end. The bytes are read by
//! the worker that decodes them ([`Unread`]), so that they pass one core's cache once, and two workers have nearly two
//! cores. Lines are counted only when one is rejected.

use super::io_error;
use super::reader::BYTE_ORDER_MARK;
use super::track::Halt;
use memchr::{memchr, memchr_iter, memrchr};
use parking_lot::Mutex;
use proxima_event::chunk::RECORD_BYTES_MAX;
use proxima_event::{Chunk, Intake, PartitionId, Payload, SourceError, Unread};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// How many bytes a range has: with the columns that they are decoded to they stay in a core's cache. What each batch
/// costs beside its rows is a twelfth of the time with half as many.
const RANGE_BYTES: u64 = 512 * 1024;

/// A range holds at most so many records, for each takes a byte and a line end. Where fewer are wanted in a chunk they
/// must be counted before, so a [`Reader`](super::reader::Reader) reads.
pub(super) const RECORDS_MAX: usize = RANGE_BYTES as usize / 2;

/// How much is looked at to find a line end: more than a line of most files.
const LOOK_BYTES: u64 = 4 * 1024;

/// How much is read at once when much must be looked at.
const SCAN_BYTES: u64 = 64 * 1024;

/// Places whose line is remembered. Workers reject records of ranges that are near one another.
const PLACES_MAX: usize = 64;

/// An open file whose ranges are read by workers.
#[derive(Debug)]
pub(super) struct RangeFile {
    file: Arc<File>,
    path: PathBuf,
    /// How many lines end before some offsets.
    lines_before: Mutex<BTreeMap<u64, u64>>,
}

impl RangeFile {
    pub(super) fn new(file: Arc<File>, path: PathBuf) -> Self {
        Self { file, path, lines_before: Mutex::default() }
    }

    fn failed(&self, error: io::Error) -> SourceError {
        io_error("read", &self.path, error)
    }

    /// Up to `len` bytes from `start` on.
    fn look(&self, start: u64, len: u64, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        bytes.resize(usize::try_from(len).expect("little is looked at"), 0);
        match self.file.read_exact_at(bytes, start) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.cut_off(start + len)),
            outcome => outcome.map_err(|error| self.failed(error)),
        }
    }

    fn cut_off(&self, end: u64) -> SourceError {
        let reason = format!("it was cut off before byte {end} while it was being read");
        self.failed(io::Error::new(ErrorKind::UnexpectedEof, reason))
    }

    /// Counts the line ends between two offsets.
    fn count_lines(&self, mut start: u64, end: u64) -> Result<u64, SourceError> {
        let (mut bytes, mut lines) = (Vec::new(), 0);
        while start < end {
            self.look(start, SCAN_BYTES.min(end - start), &mut bytes)?;
            lines += memchr_iter(b'\n', &bytes).count() as u64;
            start += bytes.len() as u64;
        }
        Ok(lines)
    }
}

impl Unread for RangeFile {
    fn read(&self, start: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        match self.file.read_exact_at(buffer, start) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.cut_off(start + buffer.len() as u64)),
            outcome => outcome.map_err(|error| self.failed(error)),
        }
    }

    /// Counts on from the nearest place before that is known, so each byte is looked at about once however many records
    /// are rejected. Others wait: what they ask for is near.
    fn lines_before(&self, start: u64) -> Option<u64> {
        let mut known = self.lines_before.lock();
        let (place, lines) = known.range(..=start).next_back().map_or((0, 0), |(&place, &lines)| (place, lines));
        let lines = lines + self.count_lines(place, start).ok()?;
        known.insert(start, lines);
        if known.len() > PLACES_MAX {
            known.pop_first();
        }
        Some(lines)
    }
}

/// Cuts a file into ranges.
pub(super) struct Planner {
    file: Arc<RangeFile>,
    partition: Arc<PartitionId>,
    /// Where the next range begins.
    offset: u64,
    /// The bytes that were looked at last.
    bytes: Vec<u8>,
    /// Line ends and bytes of the last look: how long lines are about here.
    sample: (usize, usize),
    range_bytes: u64,
    record_bytes_max: usize,
}

impl Planner {
    /// Plans from `offset` on, where a record begins.
    pub(super) fn new(file: RangeFile, partition: Arc<PartitionId>, offset: u64) -> Self {
        Self {
            file: Arc::new(file),
            partition,
            offset,
            bytes: Vec::new(),
            sample: (0, 0),
            range_bytes: RANGE_BYTES,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }

    #[cfg(test)]
    pub(super) fn with_limits(mut self, range_bytes: u64, record_bytes_max: usize) -> Self {
        (self.range_bytes, self.record_bytes_max) = (range_bytes, record_bytes_max);
        self
    }

    /// Where the next range begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next range; `None` at the end of the file, where a last record needs no line end.
    pub(super) fn next(&mut self, intake: &dyn Intake) -> Result<Option<Chunk>, Halt> {
        let size = self.file.file.metadata().map_err(|error| self.file.failed(error))?.len();
        if self.offset == 0 && size > 0 {
            self.skip_mark(size)?;
        }
        let start = self.offset;
        if start >= size {
            return Ok(None);
        }
        let end = self.range_end(size, intake)?;
        self.offset = end;
        let records = self.estimate(end - start).min(intake.records_max());
        // What is longer is one record that is too long: its front is enough to reject it.
        let len = usize::try_from(end - start).map_or(self.record_bytes_max, |len| len.min(self.record_bytes_max));
        let bytes = Arc::clone(&self.file) as Arc<dyn Unread>;
        let payload = Payload::Unread { bytes, len };
        Ok(Some(Chunk { partition: Arc::clone(&self.partition), start, end, records, order: 0, payload }))
    }

    /// Skips what editors of one operating system put in front of a text.
    fn skip_mark(&mut self, size: u64) -> Result<(), SourceError> {
        self.file.look(0, size.min(BYTE_ORDER_MARK.len() as u64), &mut self.bytes)?;
        if self.bytes == BYTE_ORDER_MARK {
            self.offset = BYTE_ORDER_MARK.len() as u64;
        }
        Ok(())
    }

    /// Where the range ends that begins at the offset: behind the last line end in it; if there is none, behind the next.
    fn range_end(&mut self, size: u64, intake: &dyn Intake) -> Result<u64, Halt> {
        let (start, full) = (self.offset, self.offset + self.range_bytes);
        if size <= full {
            if self.sample.1 == 0 {
                self.look(start, LOOK_BYTES.min(size - start))?;
            }
            return Ok(size);
        }
        let (mut end, mut len) = (full, LOOK_BYTES);
        while end > start {
            let begin = end.saturating_sub(len).max(start);
            self.look(begin, end - begin)?;
            if let Some(newline) = memrchr(b'\n', &self.bytes) {
                return Ok(begin + newline as u64 + 1);
            }
            (end, len) = (begin, SCAN_BYTES);
        }
        end = full;
        while end < size {
            if intake.stopped() {
                return Err(Halt::Stopped);
            }
            self.look(end, SCAN_BYTES.min(size - end))?;
            if let Some(newline) = memchr(b'\n', &self.bytes) {
                return Ok(end + newline as u64 + 1);
            }
            end += self.bytes.len() as u64;
        }
        Ok(size)
    }

    fn look(&mut self, start: u64, len: u64) -> Result<(), SourceError> {
        self.file.look(start, len, &mut self.bytes)?;
        self.sample = (memchr_iter(b'\n', &self.bytes).count(), self.bytes.len());
        Ok(())
    }

    /// About how many records so many bytes are.
    fn estimate(&self, bytes: u64) -> usize {
        let (lines, looked_at) = self.sample;
        (bytes as usize).saturating_mul(lines) / looked_at.max(1) + 1
    }
}
