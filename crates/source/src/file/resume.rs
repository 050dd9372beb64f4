//! Which file goes on where: the positions of an earlier run are given to the files that they belong to.

use super::config::FileConfig;
use super::discover::{Found, in_folder};
use super::identity::Identity;
use super::io_error;
use super::track::{Halt, Track};
use proxima_event::{Intake, Position, SourceError};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A position whose identity was understood.
struct Known<'a> {
    position: &'a Position,
    identity: Identity,
}

/// The files with the offsets at which reading goes on: files that were rotated away since come first, for they are
/// the older ones; then all that were found, in their order.
pub(super) fn assign(config: &FileConfig, files: &[Found]) -> Result<Vec<(Found, u64)>, SourceError> {
    let mut known: Vec<Known<'_>> = config.resume.iter().map(Known::new).collect::<Result<_, _>>()?;
    let mut found = Vec::with_capacity(files.len());
    for file in files {
        let offset = take_position(&mut known, file)?;
        found.push((file.clone(), offset));
    }
    let mut all = rotated_away(config, files, &mut known)?;
    all.extend(found);
    Ok(all)
}

impl<'a> Known<'a> {
    fn new(position: &'a Position) -> Result<Self, SourceError> {
        let identity = position.identity.parse();
        let identity = identity.map_err(|_| {
            SourceError::Config(format!(
                "cannot resume {}: {:?} is no identity of a file",
                position.partition, position.identity
            ))
        })?;
        Ok(Self { position, identity })
    }

    fn path(&self) -> &Path {
        Path::new(&*self.position.partition.name)
    }

    /// Whether the position is one of the file that is read here.
    fn is_of_track(&self, track: &Track) -> bool {
        let (own, other) = (self.identity.key, track.identity.key);
        own == other || self.path() == track.path && own.inode == other.inode
    }

    fn lost(&self) -> SourceError {
        SourceError::Config(format!(
            "{} was read to byte {} by the last run, but is not there any more: put it back, or start anew with --fresh",
            self.position.partition, self.position.offset
        ))
    }

    /// Whether the position is one of this file. Devices may be numbered anew when a machine starts, so under its old
    /// name a file is known by its inode and its beginning alone.
    fn is_of(&self, found: &Found, file: &File) -> std::io::Result<bool> {
        let same_name = self.path() == found.path;
        let same_key = self.identity.key == found.key || same_name && self.identity.key.inode == found.key.inode;
        Ok(same_key && self.identity.begins(file)?)
    }
}

/// Takes the positions of a file out of those that are known. A file that was renamed while it was read has one under
/// either name: the furthest counts.
fn take_position(known: &mut Vec<Known<'_>>, found: &Found) -> Result<u64, SourceError> {
    if !known.iter().any(|known| known.identity.key.inode == found.key.inode) {
        return Ok(0);
    }
    let fail = |tried| move |error| io_error(tried, &found.path, error);
    let file = File::open(&found.path).map_err(fail("open"))?;
    let mut furthest = None;
    let mut others = Vec::with_capacity(known.len());
    for known in known.drain(..) {
        if known.is_of(found, &file).map_err(fail("read"))? {
            furthest = furthest.max(Some(known.position.offset));
        } else {
            others.push(known);
        }
    }
    *known = others;
    Ok(furthest.unwrap_or(0))
}

/// Looks for the files of the other positions beside where they were. A name that is still read but belongs to another
/// file now was rotated: the end of its earlier file may be unread.
fn rotated_away(
    config: &FileConfig,
    files: &[Found],
    known: &mut Vec<Known<'_>>,
) -> Result<Vec<(Found, u64)>, SourceError> {
    let is_read = |path: &Path| config.paths.iter().chain(files.iter().map(|file| &file.path)).any(|read| read == path);
    let folders: BTreeSet<PathBuf> =
        known.iter().map(Known::path).filter(|path| is_read(path)).map(folder_of).collect();
    let mut all = Vec::new();
    for folder in folders {
        for found in in_folder(&folder).unwrap_or_default() {
            let offset = take_position(known, &found)?;
            if offset > 0 && offset < found.metadata.len() {
                all.push((found, offset));
            }
        }
    }
    for lost in known {
        tracing::warn!(partition = %lost.position.partition, "the file that a position belongs to is gone");
    }
    all.sort_by_key(|(found, _)| found.metadata.modified().ok());
    Ok(all)
}

/// Reads the files that a cut names as far as it names them, in the order in which they are read.
pub(super) fn replay<T>(
    cut: &[Position],
    files: &mut [T],
    track_of: impl Fn(&mut T) -> &mut Track,
    intake: &dyn Intake,
) -> Result<(), Halt> {
    let mut ends = Vec::with_capacity(cut.len());
    for position in cut {
        let known = Known::new(position)?;
        let place = files.iter_mut().position(|file| known.is_of_track(track_of(file)));
        ends.push((place.ok_or_else(|| known.lost())?, position.offset));
    }
    ends.sort_unstable();
    for (place, end) in ends {
        track_of(&mut files[place]).read_to(end, intake)?;
    }
    intake.cut_replayed();
    Ok(())
}

pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
