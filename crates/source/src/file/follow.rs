//! Files that are followed: what grows is read on, what is new is found, what is rotated is finished.
//!
//! The source looks at its files every [`poll`](super::FileConfig::poll), or less often if they are many. It knows them by
//! device and inode, not by name, so that it can tell what happened in between:
//!
//! - *rename and create*: the old file is read on under its new name until it was quiet for a while, the new one from
//!   its beginning;
//! - *copy and truncate*: the file is shorter than what was read of it, or begins otherwise, and is read anew. The path
//!   should not match the copies, for these are new files;
//! - *packed files* are read once their size rests; one that ends too early is read on when it has grown. A packed copy
//!   waits until the file that it was made of is gone, and goes on where that one was left.

use super::config::FileConfig;
use super::copies::{deleted, is_copy_of_gone, is_named_after, is_within};
use super::discover::{Found, in_folder, look_again};
use super::identity::{Identity, Key};
use super::resume::{self, Assigned, Assignment, folder_of};
use super::stream::Compression;
use super::track::{Halt, Track};
use proxima_event::{Intake, Position, SourceError};
use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

/// A file that did not change for this long is closed: there may be more files than a process can hold open.
const OPEN: Duration = Duration::from_secs(60);

/// How often a resting source looks whether the run ends.
const LOOK_UP: Duration = Duration::from_millis(20);

/// How often the names of files may change while they are opened.
const LOOKS_MAX: u32 = 50;

/// Looking at many files takes time: one part in so many …
const LOOKING_SHARE: u32 = 50;
/// … unless the files would be looked at less often than this; then it is one in so many at the most.
const SELDOM: Duration = Duration::from_millis(50);
const LOOKING_SHARE_MOST: u32 = 4;

/// Reads all files, and what is added to them, until the run ends.
pub(super) fn follow(config: &FileConfig, cuts: &[Vec<Position>], intake: &dyn Intake) -> Result<(), Halt> {
    let mut follower = Follower::new(config, cuts, intake)?;
    intake.resumed();
    for cut in cuts {
        resume::replay(cut, &mut follower.files, |file| &mut file.track, |_| {}, intake)?;
    }
    follower.read()?;
    intake.caught_up(&config.source);
    loop {
        let begin = Instant::now();
        follower.look()?;
        let pause = pause(config.poll, begin.elapsed());
        follower.read()?;
        rest(pause, intake)?;
    }
}

/// How long to rest when a look took so long.
fn pause(poll: Duration, look: Duration) -> Duration {
    (look * LOOKING_SHARE).min(SELDOM).max(look * LOOKING_SHARE_MOST).max(poll)
}

fn rest(pause: Duration, intake: &dyn Intake) -> Result<(), Halt> {
    let end = Instant::now() + pause;
    while !intake.stopped() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(LOOK_UP));
    }
    Err(Halt::Stopped)
}

/// The files that there are, opened, with the offsets at which they go on. Where they were given other names meanwhile, it is
/// looked again: a file under the name of another would go on where that was left, or from its beginning.
fn settled(config: &FileConfig, cuts: &[Vec<Position>]) -> Result<Vec<(Assigned, Track)>, SourceError> {
    let identity = |position: &Position| position.identity.parse::<Identity>().ok();
    let resumed: HashSet<u64> = config.resume.iter().filter_map(identity).map(|identity| identity.key.inode).collect();
    let mut looks = 0;
    loop {
        let found = look_again(config)?;
        let Assignment { files, lost } = resume::assign(config, &found, cuts)?;
        let (mut opened, mut moved) = (Vec::with_capacity(files.len()), false);
        for assigned in files {
            match open(config, &assigned)? {
                Some(track) => {
                    moved |= track.identity.key != assigned.found.key;
                    opened.push((assigned, track));
                }
                None => moved |= assigned.found.metadata.len() > 0,
            }
        }
        let names: HashMap<Key, &Path> = found.iter().map(|found| (found.key, &*found.path)).collect();
        moved |= look_again(config)?.iter().any(|now| match names.get(&now.key) {
            Some(&before) => before != now.path,
            None => resumed.contains(&now.key.inode),
        });
        looks += 1;
        if !moved || looks == LOOKS_MAX {
            resume::tell_lost(&lost);
            return Ok(opened);
        }
        sleep(LOOK_UP);
    }
}

/// Opens a file, if there is something in it: an empty one has no identity yet. `None` also if it is not there any more.
fn open(config: &FileConfig, assigned: &Assigned) -> Result<Option<Track>, SourceError> {
    if assigned.found.metadata.len() == 0 {
        return Ok(None);
    }
    let mut track = match Track::new(config, &assigned.found, assigned.offset) {
        Err(error) if is(&error, ErrorKind::NotFound) => return Ok(None),
        track => track?,
    };
    track.original = assigned.original;
    Ok(Some(track))
}

/// All files that are followed.
struct Follower<'a> {
    config: &'a FileConfig,
    intake: &'a dyn Intake,
    /// In the order in which they are read: those that were rotated away first.
    files: Vec<Followed>,
    /// Plain files that are gone, the last of each name, in the order in which they went.
    gone: Vec<Gone>,
}

/// A plain file that is gone, and how far it was read.
struct Gone {
    path: PathBuf,
    identity: Identity,
    taken: u64,
}

/// One file that is followed.
struct Followed {
    track: Track,
    /// As it was at the last look.
    seen: Stamp,
    /// Whether it was the same at the look before.
    at_rest: bool,
    /// As it was when it was read last.
    read: Option<Stamp>,
    /// Since when it is quiet, if it is not among the files that are to be read any more.
    rotated: Option<Instant>,
    copy: Copy,
}

/// What is known of a packed file before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    /// Nothing, or that it is none of a file that is there.
    No,
    /// It was not whole, when it was as this says.
    Unclear(Stamp),
    /// It is a copy of this file.
    Of(Key),
}

/// What changes when a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self { len: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl<'a> Follower<'a> {
    fn new(config: &'a FileConfig, cuts: &[Vec<Position>], intake: &'a dyn Intake) -> Result<Self, SourceError> {
        let mut follower = Self { config, intake, files: Vec::new(), gone: Vec::new() };
        for (assigned, track) in settled(config, cuts)? {
            follower.take_up(assigned.found, track, true);
        }
        for place in 0..follower.files.len() {
            if follower.files[place].is_packed() && !follower.waits(place) {
                follower.files[place].track.announce(intake);
            }
        }
        Ok(follower)
    }

    /// Takes up a file that was opened.
    fn take_up(&mut self, found: Found, mut track: Track, at_rest: bool) {
        // A packed one may be a copy: it is announced when that is known.
        if track.compression == Compression::None {
            track.announce(self.intake);
            track.report_size(found.metadata.len(), self.intake);
        }
        let seen = (&found.metadata).into();
        self.files.push(Followed { track, seen, at_rest, read: None, rotated: None, copy: Copy::No });
    }

    /// Reads what came since the last look.
    fn read(&mut self) -> Result<(), Halt> {
        for place in 0..self.files.len() {
            if self.waits(place) {
                continue;
            }
            let file = &mut self.files[place];
            match file.read(self.intake) {
                // It went since the last look: the next one tells where.
                Err(Halt::Failed(error)) if is(&error, ErrorKind::NotFound) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Whether a packed file waits for the one that it is a copy of. Once that is gone it goes on where that was left.
    fn waits(&mut self, place: usize) -> bool {
        let packed = &self.files[place];
        if !packed.is_packed() || !packed.at_rest || packed.read == Some(packed.seen) || packed.track.passed() > 0 {
            return false;
        }
        if let Copy::Of(_) = packed.copy {
            return true;
        }
        let path = &packed.track.path;
        let is_plain = |file: &&Followed| !file.is_packed();
        let is_named = |file: &&Followed| is_named_after(path, &file.track.path, file.rotated.is_none());
        for original in self.files.iter().filter(is_plain).filter(is_named) {
            if packed.copy == Copy::Unclear(packed.seen) {
                return true;
            }
            let key = original.track.identity.key;
            let copy = match original.track.handle().and_then(|plain| is_within(path, &plain)) {
                Ok(false) => continue,
                Ok(true) => Copy::Of(key),
                Err(_) => Copy::Unclear(packed.seen),
            };
            self.files[place].copy = copy;
            return true;
        }
        let is_of = |gone: &&Gone| is_copy_of_gone(path, (&gone.path, &gone.identity), gone.taken);
        if let Some(at) = self.gone.iter().rposition(|gone| is_of(&gone)) {
            let Gone { taken, .. } = self.gone.remove(at);
            self.files[place].track.go_on_at(taken);
        }
        false
    }

    /// Looks what became of the files, and whether there are others.
    fn look(&mut self) -> Result<(), Halt> {
        let found = match look_again(self.config) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(source = self.config.source, %error, "cannot look for files; trying again");
                return Ok(());
            }
        };
        let mut known: HashMap<Key, Followed> =
            std::mem::take(&mut self.files).into_iter().map(|file| (file.track.identity.key, file)).collect();
        let mut here: Vec<Option<Followed>> = Vec::with_capacity(found.len());
        let mut gone = Vec::new();
        for found in &found {
            let mut file = known.remove(&found.key);
            if let Some(same) = &mut file
                && !same.is_found_again(found, self.intake)?
            {
                gone.extend(file.take());
            }
            here.push(file);
        }
        // Before new files are taken up: they may have the names of those that were rotated away.
        self.files = self.rotate(known, &mut gone)?;
        for file in gone.into_iter().filter(|file| !file.is_packed()) {
            let gone = Gone::from(file);
            here.iter_mut().flatten().for_each(|file| file.inherit(&gone));
            self.gone.retain(|earlier| earlier.path != gone.path);
            self.gone.push(gone);
        }
        for (found, file) in found.iter().zip(here) {
            match file {
                Some(file) => self.files.push(file),
                None => {
                    let new = Assigned { found: found.clone(), offset: 0, original: None };
                    if let Some(track) = open(self.config, &new)? {
                        self.take_up(new.found, track, false);
                    }
                }
            }
        }
        Ok(())
    }

    /// The files that are not to be read any more but are not finished yet, the oldest first.
    fn rotate(&self, missing: HashMap<Key, Followed>, gone: &mut Vec<Followed>) -> Result<Vec<Followed>, Halt> {
        let mut rotated = Vec::new();
        let mut names: HashSet<PathBuf> = missing.values().map(|file| file.track.path.clone()).collect();
        for mut file in missing.into_values() {
            let is_finished = file.is_finished(self.config, &mut names, self.intake)?;
            if is_finished { &mut *gone } else { &mut rotated }.push(file);
        }
        rotated.sort_by_key(|file| (file.seen.modified, file.track.identity.key));
        Ok(rotated)
    }
}

impl From<Followed> for Gone {
    fn from(Followed { track, .. }: Followed) -> Self {
        Self { taken: track.passed(), identity: track.identity, path: track.path }
    }
}

impl Followed {
    fn is_packed(&self) -> bool {
        self.track.compression != Compression::None
    }

    /// Whether a file that was found again is the same: if it was written anew, what it held is gone.
    fn is_found_again(&mut self, found: &Found, intake: &dyn Intake) -> Result<bool, Halt> {
        let stamp = Stamp::from(&found.metadata);
        self.at_rest = stamp == self.seen;
        self.rotated = None;
        if self.track.path != found.path {
            self.track.rename(found.path.clone(), intake);
        }
        if !self.at_rest {
            self.seen = stamp;
            if self.is_written_anew()? {
                self.track.finish(intake)?;
                return Ok(false);
            }
            self.track.report_size(stamp.len, intake);
        }
        Ok(true)
    }

    /// A copy goes on where the file was left that it was made of.
    fn inherit(&mut self, gone: &Gone) {
        if self.copy == Copy::Of(gone.identity.key) {
            self.copy = Copy::No;
            self.track.go_on_at(gone.taken);
        }
    }

    fn is_written_anew(&mut self) -> Result<bool, SourceError> {
        if !self.is_packed() && self.seen.len < self.track.taken() {
            return Ok(true);
        }
        let identity = self.track.identity;
        let file = match self.track.file() {
            // It went since it was found: the next look tells where.
            Err(error) if is(&error, ErrorKind::NotFound) => return Ok(false),
            file => file?,
        };
        identity.is_of(file).map(|same| !same).map_err(|error| super::io_error("read", &self.track.path, error))
    }

    /// Whether a file that is not to be read any more is finished: it is read on for a while by its open handle. `names` are
    /// those of all such files.
    fn is_finished(
        &mut self,
        config: &FileConfig,
        names: &mut HashSet<PathBuf>,
        intake: &dyn Intake,
    ) -> Result<bool, Halt> {
        let before = self.seen;
        if let Some(metadata) = self.track.metadata() {
            self.seen = Stamp::from(&metadata);
        }
        match self.rotated {
            None => {
                if self.begin_rotated(names, intake) {
                    return Ok(false);
                }
            }
            Some(since) if self.seen != before || since.elapsed() < config.rotated => {
                self.rotated = Some(if self.seen == before { since } else { Instant::now() });
                return Ok(false);
            }
            Some(_) => {}
        }
        self.track.finish(intake)?;
        self.track.report_end(intake);
        Ok(true)
    }

    /// Looks for the new name of a file. If it was closed and has none, there is nothing more to read.
    fn begin_rotated(&mut self, names: &mut HashSet<PathBuf>, intake: &dyn Intake) -> bool {
        let key = self.track.identity.key;
        let beside = in_folder(&folder_of(&self.track.path)).unwrap_or_default();
        match beside.into_iter().find(|found| found.key == key) {
            Some(found) => self.track.rename(found.path, intake),
            None if self.track.is_open() => {
                // Each has a position of its own, also where one after the other went from the same name.
                let name = |nth| deleted(&self.track.path, nth);
                let free = (1..).map(name).find(|name| !names.contains(name)).expect("there are numbers enough");
                names.insert(free.clone());
                self.track.rename(free, intake);
            }
            None => return false,
        }
        self.rotated = Some(Instant::now());
        true
    }

    fn read(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        if self.read == Some(self.seen) {
            self.close_if_quiet();
            return Ok(());
        }
        match self.is_packed() {
            false => self.read_plain(intake),
            true if self.at_rest => self.read_packed(intake),
            true => Ok(()),
        }
    }

    fn read_plain(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        self.track.read_available(intake)?;
        self.read = Some(self.seen);
        self.track.grow_identity(intake)?;
        Ok(())
    }

    fn read_packed(&mut self, intake: &dyn Intake) -> Result<(), Halt> {
        self.read = Some(self.seen);
        if !self.track.announced {
            self.track.announce(intake);
        }
        match self.track.reread_available(intake) {
            Err(Halt::Failed(error)) if is(&error, ErrorKind::NotFound) => {
                // It has another name since: nothing was read of it.
                self.read = None;
                Err(Halt::Failed(error))
            }
            Err(Halt::Failed(error)) if is(&error, ErrorKind::UnexpectedEof) => {
                tracing::warn!(%error, "the file is not whole yet; waiting for the rest of it");
                Ok(())
            }
            outcome => {
                outcome?;
                self.track.finish(intake)?;
                self.track.report_end(intake);
                Ok(())
            }
        }
    }

    fn close_if_quiet(&mut self) {
        let quiet = self.seen.modified.and_then(|modified| modified.elapsed().ok());
        if self.rotated.is_none() && quiet.is_some_and(|quiet| quiet > OPEN) {
            self.track.close();
        }
    }
}

fn is(error: &SourceError, kind: ErrorKind) -> bool {
    matches!(error, SourceError::Io { source, .. } if source.kind() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_are_looked_at_less_often() {
        let ms = Duration::from_millis;
        let us = Duration::from_micros;
        for (look_us, rest_ms) in [(0, 10), (200, 10), (500, 25), (1_000, 50), (5_000, 50), (20_000, 80)] {
            assert_eq!(pause(ms(10), us(look_us)), ms(rest_ms));
        }
        assert_eq!(pause(ms(100), ms(1)), ms(100));
    }
}
