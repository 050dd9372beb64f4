//! The source `file`: files, folders and globs, plain or packed, read once or followed.
//!
//! At the beginning of a record's way: [`discover`] finds the files, [`track`] reads one, [`stream`] unpacks it,
//! [`reader`] cuts it into chunks of whole records ([`frame`] knows where these end) and the chunks are offered to the
//! engine. Plain files of lines that are read once are only planned, in [`ranges`], and read by the workers. One thread
//! reads all files in the order of their names. A position is the [`identity`] of a file and an
//! offset in its unpacked bytes; [`resume`] finds the file again, even after rotation, and [`copies`] when it was packed.

mod config;
mod copies;
mod discover;
mod follow;
mod frame;
mod identity;
mod ranges;
mod reader;
mod resume;
mod stream;
mod track;

#[cfg(test)]
mod tests;

pub use config::{FileConfig, Framing};

use discover::Found;
use proxima_event::{Intake, Position, Resume, Source, SourceError};
use resume::Assignment;
use std::path::Path;
use std::sync::Arc;
use stream::Compression;
use track::{Halt, Track};

/// Reads files.
#[derive(Debug)]
pub struct FileSource {
    config: FileConfig,
    /// The files that were there at the beginning.
    files: Vec<Found>,
}

impl FileSource {
    /// Looks for the files.
    ///
    /// # Errors
    /// When a path names nothing, or nothing that can be read. An empty folder is fine only if it is followed.
    pub fn new(config: FileConfig) -> Result<Self, SourceError> {
        let files = discover::discover(&config)?;
        Ok(Self { config, files })
    }
}

impl Source for FileSource {
    fn run(mut self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let Resume { positions, cuts } = intake.resume();
        self.config.resume.extend(positions);
        let outcome = match self.config.follow {
            true => follow::follow(&self.config, &cuts, &*intake),
            false => read_once(&self.config, &self.files, &cuts, &*intake),
        };
        match outcome {
            Ok(()) | Err(Halt::Stopped) => Ok(()),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    /// Files that are followed grow side by side.
    fn is_sequence(&self) -> bool {
        !self.config.follow
    }
}

/// Reads all files to their ends. They are closed while they wait: there may be more than a process can hold open.
fn read_once(config: &FileConfig, files: &[Found], cuts: &[Vec<Position>], intake: &dyn Intake) -> Result<(), Halt> {
    let mut tracks = Vec::with_capacity(files.len());
    let Assignment { files, lost } = resume::assign(config, files, cuts)?;
    resume::tell_lost(&lost);
    for assigned in files {
        let found = &assigned.found;
        let mut track = Track::new(config, found, assigned.offset)?;
        track.original = assigned.original;
        track.announce(intake);
        track.report_size(found.metadata.len(), intake);
        track.close();
        tracks.push(track);
    }
    intake.resumed();
    // A packed one would be unpacked again from its beginning.
    let leave = |track: &mut Track| {
        if track.compression == Compression::None {
            track.close();
        }
    };
    for cut in cuts {
        resume::replay(cut, &mut tracks, |track| track, leave, intake)?;
    }
    for track in &mut tracks {
        track.read_whole(intake)?;
    }
    intake.caught_up(&config.source);
    Ok(())
}

fn io_error(tried: &'static str, path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Io { tried, place: path.display().to_string(), source }
}
