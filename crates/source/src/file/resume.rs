//! Which file goes on where: the positions of an earlier run are given to the files that they belong to.

use super::config::FileConfig;
use super::copies::is_copy_of_gone;
use super::discover::{Found, in_folder};
use super::identity::{Identity, Key};
use super::io_error;
use super::track::{Halt, Track};
use proxima_event::{Intake, PartitionId, Position, SourceError};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A position whose identity was understood.
struct Known<'a> {
    position: &'a Position,
    identity: Identity,
}

/// Positions by the inodes of their files: there may be many thousands.
type ByInode<'a> = HashMap<u64, Vec<Known<'a>>>;

/// A file and where reading of it goes on.
pub(super) struct Assigned {
    pub found: Found,
    pub offset: u64,
    /// The file whose position this is, if that was packed since.
    pub original: Option<Key>,
}

/// Which file goes on where.
pub(super) struct Assignment {
    pub files: Vec<Assigned>,
    /// The positions whose files are gone.
    pub lost: Vec<Arc<PartitionId>>,
}

/// Warns of what is gone.
pub(super) fn tell_lost(lost: &[Arc<PartitionId>]) {
    for partition in lost {
        tracing::warn!(
            %partition,
            "the file that a position belongs to is gone; should it come back it is read from its beginning"
        );
    }
}

/// The files with the offsets at which reading goes on: files that were rotated away since come first, for they are
/// the older ones; then all that were found, in their order. The cuts behind the positions name files that are newer.
pub(super) fn assign(config: &FileConfig, files: &[Found], cuts: &[Vec<Position>]) -> Result<Assignment, SourceError> {
    let mut known = ByInode::new();
    for position in &config.resume {
        let position = Known::new(position)?;
        known.entry(position.identity.key.inode).or_default().push(position);
    }
    let newer = newer(&known, files, cuts)?;
    let mut all = Vec::with_capacity(files.len());
    for found in files {
        let offset = take_position(&mut known, found)?;
        all.push(Assigned { found: found.clone(), offset, original: None });
    }
    let mut rotated = rotated_away(config, files, &mut known)?;
    let mut known: Vec<Known<'_>> = known.into_values().flatten().collect();
    known.sort_by(|one, other| one.position.partition.cmp(&other.position.partition));
    for file in all.iter_mut().filter(|file| file.offset == 0) {
        file.take_over(&mut known);
        if file.original.is_none() {
            let is_copy = |Known { position, identity }: &&Known<'_>| {
                is_copy_of_gone(&file.found.path, (Path::new(&*position.partition.name), identity), position.offset)
            };
            file.original = newer.iter().find(is_copy).map(|newer| newer.identity.key);
        }
    }
    rotated.extend(all);
    let lost = known.iter().map(|known| Arc::clone(&known.position.partition)).collect();
    Ok(Assignment { files: rotated, lost })
}

/// Where the cuts leave files that the run before began behind its last checkpoint, and that are not there now.
fn newer<'a>(known: &ByInode<'_>, files: &[Found], cuts: &'a [Vec<Position>]) -> Result<Vec<Known<'a>>, SourceError> {
    let mut newer = BTreeMap::new();
    for position in cuts.iter().flatten() {
        let position = Known::new(position)?;
        newer.insert(position.identity.key, position);
    }
    let files: HashMap<Key, &Found> = files.iter().map(|found| (found.key, found)).collect();
    // The number of a file that is gone is given again.
    let is_it = |found: &Found, newer: &Known<'_>| {
        File::open(&found.path).and_then(|file| newer.identity.begins(&file)).unwrap_or(false)
    };
    let is_known =
        |key: &Key| known.get(&key.inode).is_some_and(|known| known.iter().any(|known| known.identity.key == *key));
    newer.retain(|key, newer| !is_known(key) && !files.get(key).is_some_and(|found| is_it(found, newer)));
    Ok(newer.into_values().collect())
}

impl Assigned {
    /// Takes over the position of a file that is gone, if this is a packed copy of it. Of several files the one that was read
    /// least counts: rather twice than not at all.
    fn take_over(&mut self, gone: &mut Vec<Known<'_>>) {
        let mut furthest = BTreeMap::<Key, u64>::new();
        for Known { position, identity } in gone.iter() {
            let Position { partition, offset, .. } = position;
            if is_copy_of_gone(&self.found.path, (Path::new(&*partition.name), identity), *offset) {
                let furthest = furthest.entry(identity.key).or_default();
                *furthest = (*furthest).max(*offset);
            }
        }
        if let Some((key, offset)) = furthest.into_iter().min_by_key(|(_, offset)| *offset) {
            gone.retain(|known| known.identity.key != key);
            (self.offset, self.original) = (offset, Some(key));
        }
    }
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
    fn is_of_track(&self, track: &Track) -> Result<bool, SourceError> {
        let (own, other) = (self.identity.key, track.identity.key);
        let same_key = own == other || self.path() == track.path && own.inode == other.inode;
        // The number of a file that is gone is given again.
        let fail = |tried| move |error| io_error(tried, &track.path, error);
        let begins = same_key && self.identity.begins(&*track.handle().map_err(fail("open"))?).map_err(fail("read"))?;
        Ok(begins || Some(own) == track.original)
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
fn take_position(known: &mut ByInode<'_>, found: &Found) -> Result<u64, SourceError> {
    let inode = found.key.inode;
    if !known.contains_key(&inode) {
        return Ok(0);
    }
    let fail = |tried| move |error| io_error(tried, &found.path, error);
    let file = match File::open(&found.path) {
        // It was rotated since it was found.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        file => file.map_err(fail("open"))?,
    };
    let mut furthest = None;
    let mut others = Vec::new();
    for known in known.remove(&inode).into_iter().flatten() {
        if known.is_of(found, &file).map_err(fail("read"))? {
            furthest = furthest.max(Some(known.position.offset));
        } else {
            others.push(known);
        }
    }
    if !others.is_empty() {
        known.insert(inode, others);
    }
    Ok(furthest.unwrap_or(0))
}

/// Looks for the files of the other positions beside where they were. A name that is still read but belongs to another
/// file now was rotated: the end of its earlier file may be unread.
fn rotated_away(config: &FileConfig, files: &[Found], known: &mut ByInode<'_>) -> Result<Vec<Assigned>, SourceError> {
    let read: HashSet<&Path> =
        config.paths.iter().chain(files.iter().map(|file| &file.path)).map(PathBuf::as_path).collect();
    let folders: BTreeSet<PathBuf> =
        known.values().flatten().map(Known::path).filter(|path| read.contains(path)).map(folder_of).collect();
    let mut all = Vec::new();
    for folder in folders {
        for found in in_folder(&folder).unwrap_or_default() {
            let offset = take_position(known, &found)?;
            if offset > 0 && offset < found.metadata.len() {
                all.push(Assigned { found, offset, original: None });
            }
        }
    }
    all.sort_by_key(|file| file.found.metadata.modified().ok());
    Ok(all)
}

/// Reads the files that a cut names as far as it names them, in the order in which they are read. There may be more of them than a
/// process can hold open: then `leave` lets go of each.
pub(super) fn replay<T>(
    cut: &[Position],
    files: &mut [T],
    track_of: impl Fn(&mut T) -> &mut Track,
    leave: impl Fn(&mut Track),
    intake: &dyn Intake,
) -> Result<(), Halt> {
    if cut.is_empty() {
        intake.cut_replayed();
        return Ok(());
    }
    let mut by_inode: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, file) in files.iter_mut().enumerate() {
        let track = track_of(file);
        let own = [Some(track.identity.key), track.original];
        own.into_iter().flatten().for_each(|key| by_inode.entry(key.inode).or_default().push(at));
    }
    let mut ends = Vec::with_capacity(cut.len());
    for position in cut {
        let known = Known::new(position)?;
        let mut place = None;
        for &at in by_inode.get(&known.identity.key.inode).into_iter().flatten() {
            if known.is_of_track(track_of(&mut files[at]))? {
                place = Some(at);
                break;
            }
        }
        match place {
            Some(place) => ends.push((place, position.offset)),
            // It was found, and nothing read of it.
            None if position.offset == 0 => {}
            None => return Err(known.lost().into()),
        }
    }
    ends.sort_unstable();
    for (place, end) in ends {
        let track = track_of(&mut files[place]);
        track.read_to(end, intake)?;
        leave(track);
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
