//! The source `http`: records that clients post, kept in a log of its own until the job has them.
//!
//! A request is answered when its records are on the disk ([`log`], [`writer`]): what was answered is never lost, and a request
//! that comes again with the same key is not written twice ([`keys`]). The source reads the log as any other reads its
//! files: one partition, whose positions are the numbers of its records. [`split`] takes bodies apart, [`entry`] is
//! the form of a request in the log, [`segments`] are its files. Segments before the oldest checkpoint that is kept
//! are deleted when [`Source::release`] says so.

mod config;
mod entry;
mod keys;
mod log;
mod segments;
mod split;
#[cfg(test)]
mod tests;
mod writer;

pub use config::HttpConfig;
pub use keys::KEYS_MAX;
pub use log::{Accepted, Answer, HttpLog, Refused};

use entry::Entry;
use log::Shared;
use proxima_event::{Chunk, Intake, PartitionId, Position, Release, Source, SourceError, Stopped};
use segments::{Segment, SegmentReader};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that are read, and offered, at once.
const BLOCK_BYTES: usize = 512 << 10;
/// How often a waiting source looks whether the run ends.
const WAIT: Duration = Duration::from_millis(50);

/// Reads a log while it grows.
pub struct HttpSource {
    log: Arc<HttpLog>,
}

impl HttpSource {
    /// Reads this log.
    #[must_use]
    pub fn new(log: Arc<HttpLog>) -> Self {
        Self { log }
    }
}

impl Source for HttpSource {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let resume = intake.resume();
        let shared = &self.log.shared;
        let place = &shared.config.folder;
        let begin = begin(shared, resume.positions.first())?;
        let partition = partition(&shared.config.source);
        let announced =
            Position { partition: Arc::clone(&partition), identity: shared.identity.clone(), offset: begin };
        intake.open(announced);
        intake.resumed();
        let mut reader = Reader::new(shared, partition, begin);
        reader.seek().map_err(|error| io_error("read", place, error))?;
        for cut in &resume.cuts {
            // Where the log began comes before where it stood: the last one counts.
            if let Some(position) = cut.last()
                && !reader.read_to(position.offset, &*intake).map_err(|error| io_error("read", place, error))?
            {
                return Ok(());
            }
            intake.cut_replayed();
        }
        let existed = shared.state.lock().durable;
        let mut told = false;
        while !intake.stopped() {
            if !told && reader.next >= existed {
                intake.caught_up(&shared.config.source);
                told = true;
            }
            let durable = shared.state.lock().durable;
            intake.end_known(&reader.partition, durable);
            if !reader.read_to(durable, &*intake).map_err(|error| io_error("read", place, error))? {
                return Ok(());
            }
            if shared.is_stuck(reader.next) {
                intake.want_checkpoint();
            }
            shared.wait_behind(durable, WAIT);
        }
        Ok(())
    }

    fn release(&self) -> Option<Release> {
        let log = Arc::downgrade(&self.log);
        Some(Box::new(move |positions| {
            let Some(log) = log.upgrade() else { return };
            let own = positions.iter().find(|position| *position.partition.source == *log.shared.config.source);
            if let Some(position) = own
                && let Err(error) = log.release(position.offset)
            {
                tracing::warn!(source = %log.shared.config.source, %error, "cannot delete segments that are done");
            }
        }))
    }
}

/// The one partition of such a source.
fn partition(source: &str) -> Arc<PartitionId> {
    Arc::new(PartitionId { source: source.into(), name: "log".into() })
}

/// Where reading begins: at the position of a checkpoint, else with the first record that is still there.
fn begin(shared: &Shared, position: Option<&Position>) -> Result<u64, SourceError> {
    let state = shared.state.lock();
    let first = state.segments.front().map_or(0, |segment| segment.base);
    let folder = shared.config.folder.display();
    let Some(position) = position else {
        if first > 0 {
            tracing::warn!(
                "{folder} begins at record {first}: those before were let go of, and what begins anew lacks them"
            );
        }
        return Ok(first);
    };
    if position.identity != shared.identity {
        let text = format!("cannot resume {}: {folder} holds another log than the checkpoint's", position.partition);
        return Err(SourceError::Config(text));
    }
    if !(first..=state.durable).contains(&position.offset) {
        let (wanted, end) = (position.offset, state.durable);
        let text = format!(
            "cannot resume {} at record {wanted}: {folder} holds records {first} to {end}; restore the folder",
            position.partition
        );
        return Err(SourceError::Config(text));
    }
    Ok(position.offset)
}

/// Offers the records of a log in order.
struct Reader<'a> {
    shared: &'a Shared,
    partition: Arc<PartitionId>,
    segment: Option<SegmentReader>,
    /// The next record to offer.
    next: u64,
    /// Records that were read and not offered, with the number of the first.
    read: VecDeque<Vec<u8>>,
    first_read: u64,
}

impl<'a> Reader<'a> {
    fn new(shared: &'a Shared, partition: Arc<PartitionId>, next: u64) -> Self {
        Self { shared, partition, segment: None, next, read: VecDeque::new(), first_read: next }
    }

    /// Goes to where reading begins: what lies before it is not unread.
    fn seek(&mut self) -> io::Result<()> {
        let Some(at) = self.standing_in() else { return Ok(()) };
        let mut segment = SegmentReader::open(&self.shared.config.folder, &at)?;
        let before = segment.pass(self.next, at.bytes)?;
        self.segment = Some(segment);
        let mut state = self.shared.state.lock();
        let from_here = state.segments.iter().filter(|segment| segment.base >= at.base);
        state.unread = from_here.map(|segment| segment.bytes).sum::<u64>().saturating_sub(before);
        Ok(())
    }

    /// The segment that holds the next record, or will hold it.
    fn standing_in(&self) -> Option<Segment> {
        let state = self.shared.state.lock();
        state.segments.iter().take_while(|segment| segment.base <= self.next).last().cloned()
    }

    /// Offers everything before `end`. `false` when the run ends.
    fn read_to(&mut self, end: u64, intake: &dyn Intake) -> io::Result<bool> {
        while self.next < end {
            while self.read.is_empty() {
                self.fill()?;
            }
            if intake.stopped() || self.offer(end, intake).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the next entries; those before `next` are dropped.
    fn fill(&mut self) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, format!("record {} is gone", self.next));
        let durable = self.shared.state.lock().durable;
        // Only then: what is durable by now lies within it.
        let at = self.standing_in().ok_or_else(gone)?;
        if self.next >= durable {
            let text = format!("record {} was never written: the log ends at {durable}", self.next);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        if self.segment.as_ref().is_none_or(|segment| segment.base != at.base) {
            self.segment = Some(SegmentReader::open(&self.shared.config.folder, &at)?);
        }
        let segment = self.segment.as_mut().expect("it was opened above");
        let (entries, bytes) = segment.read(at.bytes, BLOCK_BYTES)?;
        let mut state = self.shared.state.lock();
        state.unread = state.unread.saturating_sub(bytes);
        drop(state);
        if entries.is_empty() {
            let text = format!("segment {} ends before record {}", at.base, self.next);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        entries.into_iter().for_each(|entry| self.keep(entry));
        Ok(())
    }

    fn keep(&mut self, entry: Entry) {
        let skip = usize::try_from(self.next.saturating_sub(entry.first)).unwrap_or(usize::MAX);
        if self.read.is_empty() {
            self.first_read = entry.first.max(self.next);
        }
        self.read.extend(entry.records.into_iter().skip(skip));
    }

    fn offer(&mut self, end: u64, intake: &dyn Intake) -> Result<(), Stopped> {
        debug_assert_eq!(self.next, self.first_read, "records are offered in order");
        let mut chunk = Chunk::of_messages(Arc::clone(&self.partition), self.next);
        while self.next < end && chunk.records() < intake.records_max() && chunk.bytes() < BLOCK_BYTES {
            let Some(record) = self.read.pop_front() else { break };
            chunk.push(self.next, &record);
            self.next += 1;
        }
        self.first_read = self.next;
        intake.offer(chunk.finish(self.next))
    }
}

/// What tells this log from another in the same place: the time of its making.
fn identity(folder: &Path) -> io::Result<String> {
    const FILE: &str = "identity";
    match fs::read_to_string(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let identity = format!("{:x}-{:x}", since.as_nanos(), std::process::id());
            replace(folder, FILE, identity.as_bytes())?;
            Ok(identity)
        }
        found => found,
    }
}

/// Puts a file in the place of another, whole or not at all.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!("{name}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn io_error(tried: &'static str, place: &Path, source: io::Error) -> SourceError {
    SourceError::Io { tried, place: place.display().to_string(), source }
}
