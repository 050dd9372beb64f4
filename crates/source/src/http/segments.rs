//! The files of the log: segments of about one size, each named by the number of its first record.

use super::entry::Entry;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const ENDING: &str = ".log";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first record.
    pub base: u64,
    /// How many bytes of it are durable.
    pub bytes: u64,
}

impl Segment {
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}{ENDING}", self.base))
    }
}

/// Finds the segments of a folder, cuts off what a crash has torn, and shows every entry. Gives the segments and the
/// number of the next record.
pub(super) fn recover(folder: &Path, mut visit: impl FnMut(&Entry)) -> io::Result<(VecDeque<Segment>, u64)> {
    let mut segments = list(folder)?;
    let (mut next, last) = (segments.front().map_or(0, |segment| segment.base), segments.len().saturating_sub(1));
    for (at, segment) in segments.iter_mut().enumerate() {
        let path = segment.path(folder);
        if segment.base != next {
            return Err(damaged(&path, 0, &format!("record {next} should be its first")));
        }
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let len = file.metadata()?.len();
        let mut bytes = BufReader::with_capacity(1 << 20, &file);
        while let Some((entry, size)) = Entry::read(&mut bytes)?.filter(|(entry, _)| entry.first == next) {
            next = entry.end();
            segment.bytes += size;
            visit(&entry);
        }
        if segment.bytes < len && at < last {
            return Err(damaged(&path, segment.bytes, "an entry does not have its checksum"));
        }
        if segment.bytes < len {
            let torn = len - segment.bytes;
            tracing::warn!(path = %path.display(), torn, "cut off a request that was not written whole before a crash");
            file.set_len(segment.bytes)?;
            file.sync_all()?;
        }
    }
    Ok((segments, next))
}

fn list(folder: &Path) -> io::Result<VecDeque<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let base = name.to_str().and_then(|name| name.strip_suffix(ENDING)).and_then(|number| number.parse().ok());
        segments.extend(base.map(|base| Segment { base, bytes: 0 }));
    }
    segments.sort_by_key(|segment| segment.base);
    Ok(segments.into())
}

fn damaged(path: &Path, at: u64, what: &str) -> io::Error {
    let text = format!("{} is damaged at byte {at}: {what}; restore it, or move the log away", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Makes a segment whose name survives a crash.
pub(super) fn create(folder: &Path, base: u64) -> io::Result<(Segment, File)> {
    let segment = Segment { base, bytes: 0 };
    let file = OpenOptions::new().append(true).create(true).open(segment.path(folder))?;
    // What a failed attempt may have left.
    file.set_len(0)?;
    File::open(folder)?.sync_all()?;
    Ok((segment, file))
}

/// Reads durable entries, one block after another.
#[derive(Debug)]
pub(super) struct SegmentReader {
    pub base: u64,
    file: File,
    at: u64,
}

impl SegmentReader {
    pub(super) fn open(folder: &Path, segment: &Segment) -> io::Result<Self> {
        Ok(Self { base: segment.base, file: File::open(segment.path(folder))?, at: 0 })
    }

    /// Passes by the entries that hold only records before `next`, none of them behind byte `end`. Gives how many bytes
    /// they take.
    pub(super) fn pass(&mut self, next: u64, end: u64) -> io::Result<u64> {
        let mut bytes = BufReader::with_capacity(1 << 20, (&self.file).take(end));
        while let Some((_, size)) = Entry::read(&mut bytes)?.filter(|(entry, _)| entry.end() <= next) {
            self.at += size;
        }
        Ok(self.at)
    }

    /// Whole entries of about `room` bytes, none of them behind byte `end`, and how many bytes they take. None at
    /// the end.
    pub(super) fn read(&mut self, end: u64, mut room: usize) -> io::Result<(Vec<Entry>, u64)> {
        loop {
            let left = end.saturating_sub(self.at);
            let mut block = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(room)];
            self.file.read_exact_at(&mut block, self.at)?;
            let (mut rest, mut entries, mut taken) = (block.as_slice(), Vec::new(), 0);
            while let Some((entry, size)) = Entry::read(&mut rest)? {
                entries.push(entry);
                taken += size;
            }
            self.at += taken;
            if taken > 0 || left == 0 {
                return Ok((entries, taken));
            }
            if block.len() as u64 == left {
                let text = format!("the log is damaged at byte {} of segment {}", self.at, self.base);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            room *= 2;
        }
    }
}
