//! One file on its way to the engine: the open file, the stream of its bytes, the reader that cuts them.

use super::config::{FileConfig, Framing};
use super::discover::Found;
use super::identity::{Identity, Key};
use super::io_error;
use super::ranges::{self, Planner, RangeFile};
use super::reader::Reader;
use super::stream::{Compression, Stream};
use proxima_event::{Chunk, Intake, PartitionId, Position, SourceError, Stopped};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The least room for the next read: enough to notice the end of a file without holding much.
const ROOM_BYTES_MIN: u64 = 4 * 1024;

/// Why reading ends early.
#[derive(Debug)]
pub(super) enum Halt {
    /// The run ends.
    Stopped,
    /// The outside failed.
    Failed(SourceError),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// A file that is being read.
pub(super) struct Track {
    pub path: PathBuf,
    pub identity: Identity,
    pub compression: Compression,
    /// The file that this one is a packed copy of, if that was being read.
    pub original: Option<Key>,
    reader: Reader,
    /// Whether workers can read it, by ranges.
    in_ranges: bool,
    /// Where an earlier run left off: nothing before it is offered.
    resume: u64,
    /// Whether the engine knows of the file.
    pub announced: bool,
    /// Open while it is read, and as long as it is followed closely.
    file: Option<Arc<File>>,
    stream: Option<Stream>,
}

impl Track {
    /// Takes up a file at `resume`. Nothing is read of it but its identity.
    pub(super) fn new(config: &FileConfig, found: &Found, resume: u64) -> Result<Self, SourceError> {
        let path = found.path.clone();
        let file = Arc::new(File::open(&path).map_err(|error| io_error("open", &path, error))?);
        let identity = Identity::of(&file).map_err(|error| io_error("read", &path, error))?;
        let reader = Reader::new(partition(&config.source, &path), config.framing);
        let compression = Compression::of(&path);
        let plain = compression == Compression::None;
        let resume = if plain { within(found, resume) } else { resume };
        let in_ranges = plain && config.framing == Framing::Lines;
        Ok(Self {
            path,
            identity,
            compression,
            original: None,
            reader,
            in_ranges,
            resume,
            announced: false,
            file: Some(file),
            stream: None,
        })
    }

    /// Announces the file where reading of it goes on.
    pub(super) fn announce(&mut self, intake: &dyn Intake) {
        self.announced = true;
        let offset = self.reader.offset().max(self.resume);
        let partition = Arc::clone(self.reader.partition());
        intake.open(Position { partition, identity: self.identity.to_string(), offset });
    }

    /// How many bytes were read, by this run or another, of the file or of the one that it is a copy of.
    pub(super) fn passed(&self) -> u64 {
        self.taken().max(self.resume)
    }

    /// Goes on at an offset: what is before it was read from the file that this one is a copy of.
    pub(super) fn go_on_at(&mut self, offset: u64) {
        self.resume = offset;
    }

    /// Goes on under another name: the file was renamed.
    pub(super) fn rename(&mut self, path: PathBuf, intake: &dyn Intake) {
        self.reader.rename(partition(&self.reader.partition().source, &path));
        self.path = path;
        if self.announced {
            self.announce(intake);
        }
    }

    /// Tells how far the file goes, if that can be known without reading it.
    pub(super) fn report_size(&self, size: u64, intake: &dyn Intake) {
        if self.compression == Compression::None {
            intake.end_known(self.reader.partition(), size);
        }
    }

    /// Tells that the file goes as far as it was read.
    pub(super) fn report_end(&self, intake: &dyn Intake) {
        intake.end_known(self.reader.partition(), self.taken());
    }

    /// How many bytes were read.
    pub(super) fn taken(&self) -> u64 {
        self.reader.taken()
    }

    /// Closes the file. It is opened again when there is more to read.
    pub(super) fn close(&mut self) {
        self.file = None;
        self.stream = None;
    }

    /// Whether the file is open, so that it can be read even if it has no name any more.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// The metadata of the file as long as it is open, whatever its name is now.
    pub(super) fn metadata(&self) -> Option<Metadata> {
        self.file.as_ref()?.metadata().ok()
    }

    /// The open file.
    pub(super) fn file(&mut self) -> Result<&Arc<File>, SourceError> {
        if self.file.is_none() {
            let file = self.open_again().map_err(|error| io_error("open", &self.path, error))?;
            self.file = Some(file);
        }
        Ok(self.file.as_ref().expect("it was opened above"))
    }

    /// The file, opened for a moment if it is not.
    pub(super) fn handle(&self) -> io::Result<Arc<File>> {
        self.file.as_ref().map_or_else(|| self.open_again(), |file| Ok(Arc::clone(file)))
    }

    /// Looks at the beginning of the file anew, now that there is more of it.
    pub(super) fn grow_identity(&mut self, intake: &dyn Intake) -> Result<(), SourceError> {
        let file = Arc::clone(self.file()?);
        if let Some(grown) = self.identity.grown(&file).map_err(|error| io_error("read", &self.path, error))? {
            self.identity = grown;
            self.announce(intake);
        }
        Ok(())
    }

    /// Reads and offers up to an offset where an earlier run ended a record.
    pub(super) fn read_to(&mut self, end: u64, intake: &dyn Intake) -> Result<(), Halt> {
        while self.taken() < end {
            if intake.stopped() {
                return Err(Halt::Stopped);
            }
            if !self.read_block(end, intake)? {
                let reason = format!(
                    "it ends at byte {}, the last run read it to byte {end}, and has no checkpoint of what it read: put the \
                     file back, or begin anew with --fresh",
                    self.taken()
                );
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, reason);
                return Err(io_error("read again", &self.path, error).into());
            }
        }
        Ok(self.finish(intake)?)
    }

    /// Reads the file to its end.
    pub(super) fn read_whole(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        if self.in_ranges && intake.records_max() >= ranges::RECORDS_MAX {
            self.plan_whole(intake)?;
        } else {
            self.read_available(intake)?;
            self.finish(intake)?;
        }
        self.report_end(intake);
        self.close();
        Ok(())
    }

    /// Offers the ranges of the file from where reading goes on to its end.
    fn plan_whole(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        let offset = self.taken().max(self.resume);
        let file = RangeFile::new(Arc::clone(self.file()?), self.path.clone());
        let mut planner = Planner::new(file, Arc::clone(self.reader.partition()), offset);
        while let Some(chunk) = planner.next(intake)? {
            intake.offer(chunk)?;
        }
        self.reader.skip_to(planner.offset());
        Ok(())
    }

    /// Reads and offers until the end of what is there. An unfinished record is kept back.
    pub(super) fn read_available(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        while !intake.stopped() {
            if !self.read_block(u64::MAX, intake)? {
                return Ok(());
            }
        }
        Err(Halt::Stopped)
    }

    /// Reads a packed file again, behind what was read of it before: it was not whole then, or more was appended.
    pub(super) fn reread_available(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        self.close();
        self.read_available(intake)
    }

    /// Takes what is left for a record: no more will come.
    pub(super) fn finish(&mut self, intake: &dyn Intake) -> Result<(), Stopped> {
        let resume = self.resume;
        self.reader.finish(|chunk| offer(intake, chunk, resume))
    }

    /// Reads one block, not beyond `end`, and says whether there was anything.
    fn read_block(&mut self, end: u64, intake: &dyn Intake) -> Result<bool, Halt> {
        let resume = self.resume;
        let skip = resume.saturating_sub(self.taken());
        // A block ends where the earlier run left off, so that no chunk reaches across.
        let available = if skip > 0 { skip } else { self.available()?.min(end - self.taken()) };
        let mut stream = self.take_stream().map_err(|error| io_error("read", &self.path, error))?;
        let (mut bytes, room) = self.reader.buffer(available);
        let read = stream.read(&mut bytes, room);
        self.stream = Some(stream);
        // Also after a failure: the unfinished record is in there.
        self.reader.block(bytes, intake.records_max(), |chunk| offer(intake, chunk, resume))?;
        let read = read.map_err(|error| io_error("read", &self.path, error))?;
        if skip > 0 && self.taken() == resume {
            // The earlier run ended a record here, even if the file goes on in the same line by now.
            self.finish(intake)?;
        }
        Ok(read > 0)
    }

    /// How many bytes may be there to read.
    fn available(&mut self) -> Result<u64, SourceError> {
        if self.compression != Compression::None {
            return Ok(u64::MAX);
        }
        let taken = self.taken();
        let metadata = self.file()?.metadata().map_err(|error| io_error("read", &self.path, error))?;
        Ok(metadata.len().saturating_sub(taken).max(ROOM_BYTES_MIN))
    }

    /// The stream of the bytes behind those that were taken.
    fn take_stream(&mut self) -> io::Result<Stream> {
        if let Some(stream) = self.stream.take() {
            return Ok(stream);
        }
        let file = self.handle()?;
        self.file = Some(Arc::clone(&file));
        Stream::new(file, self.compression, self.taken())
    }

    /// Opens the file by its name, which may be that of another one by now.
    fn open_again(&self) -> io::Result<Arc<File>> {
        let file = File::open(&self.path)?;
        if Key::from(&file.metadata()?) != self.identity.key {
            return Err(io::Error::new(io::ErrorKind::NotFound, "another file has this name now"));
        }
        Ok(Arc::new(file))
    }
}

/// The partition of a file: its path is its name.
fn partition(source: &str, path: &Path) -> Arc<PartitionId> {
    Arc::new(PartitionId { source: source.into(), name: path.to_string_lossy().into() })
}

/// A plain file that ends before its position was cut off and written anew.
fn within(found: &Found, resume: u64) -> u64 {
    if resume <= found.metadata.len() {
        return resume;
    }
    let path = found.path.display();
    tracing::warn!(%path, resume, "the file ends before its position: reading it from its beginning");
    0
}

/// Offers what an earlier run has not offered.
fn offer(intake: &dyn Intake, chunk: Chunk, resume: u64) -> Result<(), Stopped> {
    if chunk.end <= resume { Ok(()) } else { intake.offer(chunk) }
}
